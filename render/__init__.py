"""See and draw: a photo becomes a subject, a motion becomes controls."""
