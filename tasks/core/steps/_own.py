"""A user's own rows and pairs, as artifacts' keys know them: by their content."""

from tasks.core.chain.step import Surroundings


def own_digest(setting: str, file: str, around: Surroundings) -> dict[str, str]:
    """Returns the digest of the file that a setting names, and nothing if it names none.

    Raises RequestError if there is no such file.
    """
    from tasks.core.synthesis.own import require_file

    if not file:
        return {}
    return {setting: around.memory.digest_of(require_file(setting, file))}
