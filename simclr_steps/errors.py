"""Errors that a user can mend."""


class UserError(Exception):
    """One sentence that names the key or the file, and the mend; shown without a traceback."""
