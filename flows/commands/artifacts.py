"""kospilot artifacts: what the store holds, whether it is intact, and what may go or comes in.

Its command `graph` is in artifacts_graph.py.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.artifacts_graph import graph
from flows.commands.options import Json, Overrides
from flows.console import long_table, print_json, say, size, stdout, table

if TYPE_CHECKING:
    from tasks.core.chain.housekeeping import Entry, Garbage
    from tasks.core.chain.manifest import Manifest
    from tasks.core.chain.store import Glance, Store
    from tasks.core.serving.servers import Server

app = typer.Typer(
    name="artifacts",
    no_args_is_help=True,
    help="The store: list, show, verify, why, graph, gc, import.",
)
app.command()(graph)
NO_MANIFEST = "its manifest.json is missing or damaged"
_COLUMNS = ("step", "key", "size", "made", "state")
Key = Annotated[str, typer.Argument(help="An artifact's key, or its beginning.")]


@app.command("list")
def list_artifacts(as_json: Json = False) -> None:
    """Lists every artifact: step, key, size, when it was made. `verify` reads the files too."""
    store = _store()
    rows = []
    manifests = store.manifests()
    for manifest in manifests:
        glance = store.glance(manifest)
        state = _state(glance)
        made = _local_time(manifest)
        rows.append((manifest.recipe.step, manifest.key, size(glance.size), made, state))
    for folder in store.unreadable(manifests):
        rows.append((folder.parent.name, folder.name, "", "", NO_MANIFEST))
    if as_json:
        print_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    else:
        long_table(_COLUMNS, rows)


@app.command()
def show(key: Key, as_json: Json = False) -> None:
    """Shows one artifact's manifest: inputs, settings, files, metrics."""
    from dataclasses import asdict

    from tasks.core.chain.housekeeping import find_artifact

    store = _store()
    manifest = find_artifact(store, key)
    if as_json:
        print_json(asdict(manifest))
        return
    step = manifest.recipe.step
    folder = store.path(step, manifest.key)
    made = manifest.made
    stdout.print(f"{step} {manifest.key}  ({_state(store.glance(manifest))})", markup=False)
    stdout.print(f"folder: {folder}", markup=False, soft_wrap=True)
    stdout.print(f"made: {made['finished']} in {made.get('seconds', '?')} s", markup=False)
    table("from", ("step", "key"), list(manifest.lineage.items()))
    table("settings", ("setting", "value"), list(manifest.recipe.settings.items()))
    files = [(path, size(amount), sha[:16]) for path, (amount, sha) in manifest.files.items()]
    table("files", ("file", "size", "sha256"), files)
    metrics = dict(manifest.metrics)
    checks = metrics.pop("checks", None)
    if isinstance(checks, dict):
        table("checks", ("name", "found"), list(checks.items()))
    table("metrics", ("name", "value"), list(metrics.items()))


@app.command()
def verify(
    key: Annotated[
        str | None, typer.Argument(help="An artifact's key; all of them by default.")
    ] = None,
) -> None:
    """Reads every file again and compares its digest; the next run makes what is damaged again.

    A run reads a file again only if its size, a time or its inode changed. Rot on the disk changes
    none of them: it is this command that finds it. The models on kospilot's own servers are read
    too.
    """
    from tasks.core.chain.housekeeping import find_artifact
    from tasks.core.chain.served import verify_served
    from tasks.core.serving.servers import HeldModels
    from tasks.core.settings.home import kospilot_home

    store = _store()
    manifests = [find_artifact(store, key)] if key else store.manifests()
    broken = False
    for manifest in manifests:
        step = manifest.recipe.step
        problem = store.verify(step, manifest.key)
        broken = broken or problem is not None
        stdout.print(f"{step} {manifest.key}: {problem or 'intact'}", markup=False, soft_wrap=True)
    unreadable = [] if key else store.unreadable(manifests)
    for folder in unreadable:
        stdout.print(f"{folder}: {NO_MANIFEST}", markup=False, soft_wrap=True)
    home = kospilot_home()
    models = [] if key else verify_served(store, home, HeldModels(home).problem)
    for model in models:
        text = f"model {model.tag}: {model.problem or 'intact'}"
        stdout.print(text, markup=False, soft_wrap=True)
    if broken or unreadable or any(model.problem for model in models):
        say("The next run that needs what is damaged makes it again.")
        raise typer.Exit(1)


@app.command()
def why(key: Key) -> None:
    """Says what this artifact was made from, and what changed since the one before it."""
    from tasks.core.chain.housekeeping import find_artifact
    from tasks.core.chain.plan import difference

    store = _store()
    manifest = find_artifact(store, key)
    name = f"{manifest.recipe.step} {manifest.key}"
    profile = manifest.made["profile"]
    earlier = store.before(manifest.recipe, profile, manifest.made["finished"])
    if earlier:
        reason = difference(earlier.recipe, manifest.recipe)
        stdout.print(f"{name} was made after {earlier.key} because {reason}.", markup=False)
    else:
        stdout.print(f"{name} was the first of its step in profile {profile}.", markup=False)
    for step, upstream in manifest.lineage.items():
        stdout.print(f"  read {step} {upstream}", markup=False)
    for source, digest in manifest.recipe.outside.items():
        stdout.print(f"  looked at {source}: {digest[:48]}", markup=False, soft_wrap=True)


@app.command()
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove what is listed.")] = False,
    attempts: Annotated[
        bool, typer.Option(help="Also interrupted work that would be resumed.")
    ] = False,
) -> None:
    """Lists artifacts that no profile's newest result was made from; --yes removes them.

    Interrupted work stays unless --attempts.
    """
    from tasks.core.chain.housekeeping import garbage, remove_dead_locks
    from tasks.core.steps import CHAIN

    store = _store()
    resumable = [step.name for step in CHAIN if step.resumes]
    unneeded = garbage(store, resumable)
    models = []
    if unneeded.working:
        say(
            "A run is at work: artifacts that it may read are not listed."
            " Try again when it is done."
        )
    else:
        models = _unneeded_models(store, unneeded, remove=yes)
    entries = unneeded.unneeded
    if attempts:
        entries = entries + unneeded.attempts
    _show_entries(store, "", entries)
    if unneeded.attempts and not attempts:
        title = "interrupted, and resumed by the same command (--attempts removes them)"
        _show_entries(store, title, unneeded.attempts)
    for tag in models:
        stdout.print(f"model {tag}", markup=False)
    if yes:
        remove_dead_locks(store)
    if not entries and not models:
        say("Nothing to remove.")
    elif yes:
        _remove(store, unneeded, entries)
    else:
        total = size(sum(entry.size for entry in entries))
        options = "--attempts --yes" if attempts else "--yes"
        say(f"{total} would be freed. Remove them with `kospilot artifacts gc {options}`.")


def _remove(store: "Store", found: "Garbage", entries: "Sequence[Entry]") -> None:
    """Removes the entries that nobody came to need since they were listed."""
    from tasks.core.chain.housekeeping import remove
    from tasks.core.steps import CHAIN

    removed = remove(store, found, entries, [step.name for step in CHAIN if step.resumes])
    for entry in removed.spared:
        say(f"{entry.path.relative_to(store.root.parent)} stays: a run needs it now.")
    say(f"{size(removed.freed)} freed.")


@app.command("import")
def import_adapter(
    folder: Annotated[
        Path,
        typer.Argument(help="The folder that `python -m tasks.core.training` wrote elsewhere."),
    ],
    profile: Annotated[
        str, typer.Argument(help="The profile or file whose stage it is.")
    ] = "kospi-7b",
    overrides: Overrides = None,
    step: Annotated[
        str | None, typer.Option(help="stage1, stage2 or stage3; by default what the folder says.")
    ] = None,
) -> None:
    """Takes in an adapter trained on another machine, if it is exactly what the plan asks for."""
    from tasks.core.chain.adoption import adopt
    from tasks.core.preflight.prepare import prepare

    adoption = adopt(prepare(profile, overrides or []), step, folder.expanduser())
    ref = adoption.ref
    if adoption.new:
        say(f"{ref.step} is in the store now: the next run skips it.")
    else:
        say(f"{ref.step} was there already, intact.")
    stdout.print(f"{ref.step} {ref.key}", markup=False)


def _unneeded_models(store: "Store", garbage: "Garbage", remove: bool) -> list[str]:
    """Our models on the servers that no name and no kept artifact needs; removed if asked."""
    from tasks.core.chain.housekeeping import unneeded_tags
    from tasks.core.errors import WorkError
    from tasks.core.serving.embedded import EmbeddedServer
    from tasks.core.serving.servers import open_server, server_name
    from tasks.core.serving.temporary import noted
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    notes = noted(home)
    unneeded = unneeded_tags(store, garbage, notes)
    found: list[str] = []
    asked = {server_name(home), EmbeddedServer.name}
    for name in sorted(asked):
        try:
            with open_server(home, name) as server:
                if remove:
                    found += _remove_models(store, garbage, server, unneeded)
                else:
                    found += _unneeded_on(server, unneeded)
        except WorkError as error:
            say(f"The models on {name} stay: {error}")
    for tag in sorted(unneeded & notes.keys()):
        if notes[tag] not in asked:
            say(f"{tag} may be on {notes[tag]} still: gc removes it {_when_asked(notes[tag])}.")
    return found


def _when_asked(server: str) -> str:
    """In which surroundings gc asks a server, in words for the user."""
    if server == "ollama private":
        return "when OLLAMA_HOST is unset and Ollama is installed"
    return f"with OLLAMA_HOST={server.removeprefix('ollama ')}"


def _unneeded_on(server: "Server", unneeded: set[str]) -> list[str]:
    """The unneeded models that one server holds."""
    from tasks.core.serving.tags import full_name

    names = {full_name(tag).casefold() for tag in unneeded}  # a server may spell them otherwise
    return [tag for tag in server.tags() if tag.casefold() in names]


def _remove_models(
    store: "Store", garbage: "Garbage", server: "Server", unneeded: set[str]
) -> list[str]:
    """Removes a server's unneeded models, unless a run came to need them; their notes go too."""
    from tasks.core.serving.temporary import cross_out, noted
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    found = _unneeded_on(server, unneeded)
    with store.gate():
        if store.latest_run() != garbage.latest_run:
            say(f"The models on {server.name} stay: a run began. Try again when it is done.")
            return []
        for tag in found:
            server.delete(tag)
        for tag, name in noted(home).items():
            if tag in unneeded and name == server.name:
                cross_out(tag, home)
    return found


def _show_entries(store: "Store", title: str, entries: "Sequence[Entry]") -> None:
    if not entries:
        return
    if title:
        stdout.print(title, markup=False)
    rows = []
    for entry in entries:
        content = ", its content, which is rebuilt when needed" if entry.expends else ""
        folder = entry.path
        if folder.is_relative_to(store.root.parent):
            folder = folder.relative_to(store.root.parent)
        rows.append((size(entry.size), f"{folder}{content}"))
    long_table(("size", "folder"), rows)


def _store() -> "Store":
    from tasks.core.chain.store import Store
    from tasks.core.settings.home import kospilot_home

    return Store(kospilot_home() / "artifacts")


def _local_time(manifest: "Manifest") -> str:
    """When the artifact was made, in local time to the minute."""
    finished: str = manifest.made["finished"]
    try:
        return datetime.fromisoformat(finished).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return finished


def _state(glance: "Glance") -> str:
    if glance.problem:
        return glance.problem
    return "expended" if glance.expended else "intact"
