"""Hydra's groups of configuration, read as pkg://conf."""
