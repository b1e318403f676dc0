"""Sharpen: a small video becomes a large one."""
