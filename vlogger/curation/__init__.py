"""Training data: stills and clips become pools (docs/architecture.md, "Training data")."""
