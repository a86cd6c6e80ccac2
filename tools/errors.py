"""Errors a user can mend. Each message is one sentence that names the file or field and the mend."""


class FiducialError(Exception):
    """Base of every error that is shown to a user as one sentence instead of a traceback."""

    exit_code = 1


class InputError(FiducialError):
    """Unusable input or arguments: the user can mend it (exit code 2)."""

    exit_code = 2


class TransientError(FiducialError):
    """A failure that another attempt may mend; the controller retries it, with a bound."""
