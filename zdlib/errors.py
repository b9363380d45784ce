"""The one exception a user is meant to see."""


class ZDError(Exception):
    """Bad input or a missing file: one line that names the culprit and the fix.

    Everything user-facing (command line, notebooks, pipeline) prints the message alone, without a traceback.

    Attributes:
        exit_status: of the command line.
    """

    exit_status = 1

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))


def named_in_profile(key: str) -> str:
    """How messages say what named a file of the data, when that is a profile's key."""
    return f"{key} (in the profile or by --set; or ZD_DATA)"
