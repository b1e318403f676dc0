"""What a person at the command line did or has that cannot work."""


class UserError(Exception):
    """One clear sentence: what is wrong, in which file, what to do about it. Shown without a traceback, exit code 2."""
