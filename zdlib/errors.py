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
