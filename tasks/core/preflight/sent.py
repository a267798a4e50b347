"""One step of a run on another machine, as it travels through Prefect: what to make, of what.

Both machines share the store. The artifact's recipe travels too: where another one would come out,
because the code or what lies outside the store differs, nothing is made.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from tasks.core.chain.manifest import Recipe
from tasks.core.chain.plan import difference
from tasks.core.chain.run import Run
from tasks.core.errors import RequestError
from tasks.core.preflight.prepare import check_steps, surveyed_run
from tasks.core.processes.host import host_name
from tasks.core.processes.http import is_loopback
from tasks.core.records.artifacts import Ref
from tasks.core.serving.ollama_host import host_url
from tasks.core.settings.profiles import load
from tasks.core.steps import chain

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sent:
    """A step that a run sends to another machine."""

    name: str
    profile: str
    overrides: list[str]
    file: str  # of the run's settings, which names it and is not read here; see Resolved.file
    part: str  # of the run, see Run.part
    forced: bool
    refs: dict[str, Ref]  # what the step reads
    recipe: Recipe
    host: str  # where the run is
    ollama: str | None  # the address in OLLAMA_HOST there

    @classmethod
    def of(cls, run: Run, name: str, reads: Mapping[str, Ref]) -> "Sent":
        """The step of this run, which reads these artifacts."""
        return cls(
            name=name,
            profile=run.resolved.profile,
            overrides=list(run.resolved.overrides),
            file=run.resolved.file,
            part=run.part,
            forced=name in run.force,
            refs=dict(reads),
            recipe=run.recipe(name, reads),
            host=host_name(),
            ollama=host_url(),
        )


def read_sent(sent: dict[str, Any]) -> Sent:
    """A step that was sent as JSON. Raises RequestError if it has another form."""
    try:
        refs = {name: Ref(**ref) for name, ref in sent["refs"].items()}
        return Sent(**{**sent, "refs": refs, "recipe": Recipe(**sent["recipe"])})
    except (KeyError, TypeError, AttributeError) as error:
        raise RequestError(
            f"This is no step as kospilot {version('kospilot')} sends it ({error}). Start `full`,"
            " which sends its steps itself, and give all workers the same kospilot."
        ) from None


def prepare_sent(sent: Sent) -> Run:
    """Returns a run of which this step can be carried out here.

    Of the world outside the store only what this step depends on is surveyed: the rest, such as the
    market's folder, need not be on this machine. Raises RequestError unless the step would make
    here what is waited for there.
    """
    resolved = replace(load(sent.profile, sent.overrides), file=sent.file)
    steps = chain(resolved.settings)
    check_steps(steps, [sent.name])
    force = [sent.name] if sent.forced else []
    run = surveyed_run(resolved, force, steps, surveyed={sent.name: steps[sent.name]})
    run = replace(run, part=sent.part)
    _check_server(sent, steps[sent.name].asks_server)
    _check_inputs(run, sent)
    recipe = run.recipe(sent.name, sent.refs)
    if recipe.key != sent.recipe.key:
        ours = Recipe(**json.loads(json.dumps(asdict(recipe))))
        raise RequestError(
            f"{host_name()} would make another {sent.name} than {sent.host} asks for:"
            f" {difference(sent.recipe, ours)}. Update kospilot on both machines to the same"
            " version."
        )
    return run


def _check_server(sent: Sent, asks: bool) -> None:
    """Refuses to ask another model server than the one on which the run puts its models.

    A step that asks none only warns of it: a later one will be refused.
    """
    ours = host_url()
    is_own = ours is not None and is_loopback(urlsplit(ours).hostname or "")
    if ours == sent.ollama and not (is_own and sent.host != host_name()):
        return
    told = (
        f"OLLAMA_HOST is {sent.ollama or 'not set'} on {sent.host} and {ours or 'not set'} on"
        f" {host_name()}, so each asks a model server of its own. Set it to one that all workers"
        " reach by the same address, or nowhere."
    )
    if asks:
        raise RequestError(f"{sent.name} is not asked here: {told}")
    log.warning("%s", told)


def _check_inputs(run: Run, sent: Sent) -> None:
    for ref in sent.refs.values():
        problem = run.store.problem(ref.step, ref.key)
        if problem:
            raise RequestError(
                f"{ref.step} {ref.key}, which {sent.host} has, is {problem} on {host_name()}:"
                f" {run.store.path(ref.step, ref.key)}. KOSPILOT_HOME must be one folder that all"
                " workers share."
            )
