"""Errors that a user can fix."""


class UserError(Exception):
    """One sentence that names the key or file and the fix; shown without a traceback."""


class Stopped(BaseException):
    """A step was left before its end, which is no error; shown without a traceback. `status` is the exit status."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status
