"""Why a reasoning log is dropped."""


class Unsound(Exception):
    """A log that no row can be made of: the reason, under which it is counted, and what is wrong
    with this one.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
