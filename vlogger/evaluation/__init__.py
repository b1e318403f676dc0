"""The instrument: what `python -m vlogger.evaluate` measures, one file for each family of metrics."""
