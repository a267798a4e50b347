"""What Ollama's answers hold, as far as kospilot reads them (its api/types.go).

Go writes an empty list as null. Anything else of another type is no answer of Ollama's.
"""

from pydantic import BaseModel, ConfigDict, Field


class Reply(BaseModel):
    """An answer; whatever else it has is passed over."""

    model_config = ConfigDict(strict=True)


class Version(Reply):
    """GET /api/version."""

    version: str = Field(max_length=100)


class Model(Reply):
    """A model that the server has."""

    name: str
    digest: str = Field(min_length=1)


class Tags(Reply):
    """GET /api/tags."""

    models: list[Model] | None


class Loaded(Reply):
    """A model that is in memory."""

    name: str
    context_length: int | None = None


class Running(Reply):
    """GET /api/ps."""

    models: list[Loaded] | None = None


class Shown(Reply):
    """POST /api/show; all is empty for a model that is not there."""

    template: str | None = None
    system: str | None = None
    parameters: str | None = None
    modelfile: str | None = None
    renderer: str | None = None
    parser: str | None = None


class Debug(Reply):
    """What /api/chat would have asked."""

    rendered_template: str


class Rendered(Reply):
    """POST /api/chat with _debug_render_only; an Ollama that does not know it has no such part."""

    debug: Debug | None = Field(None, alias="_debug_info")


class Counted(Reply):
    """POST /api/chat, without its text."""

    prompt_eval_count: int = Field(ge=0)
