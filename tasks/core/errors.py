"""The two kinds of failure a user sees; the command turns them into its exit codes."""


class RequestError(Exception):
    """What was asked for cannot be done: nothing was changed. Exit code 2."""


class WorkError(Exception):
    """The work itself failed; what was finished stays, and the next run goes on from there. Exit
    code 1.
    """
