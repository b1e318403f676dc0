"""The configuration of `vlogger.track`, apart from the groups of `conf`."""
