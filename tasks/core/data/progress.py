"""The progress of one part of a step as a stretch of the step's whole bar."""

from tasks.core.records.artifacts import Progress


def stretch_of(progress: Progress, start: float, width: float) -> Progress:
    """A progress for one part: its 0 to 1 is `start` to `start + width` of the whole bar."""

    def report(share: float, text: str) -> None:
        progress(start + width * share, text)

    return report
