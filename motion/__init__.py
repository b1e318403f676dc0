"""Hear: speech becomes motion."""
