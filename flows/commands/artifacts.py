"""kospilot artifacts: what the store holds, whether it is intact, why it is there, what may go, and
what comes in.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from flows.console import print_json, say, size, stdout, table

app = typer.Typer(
    name="artifacts", no_args_is_help=True, help="The store: list, show, verify, why, gc, import."
)
Key = Annotated[str, typer.Argument(help="An artifact's key, or its beginning.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command("list")
def list_artifacts(as_json: Json = False) -> None:
    """Every artifact: step, key, size, when it was made."""
    store = _store()
    rows = [
        (
            manifest.recipe.step,
            manifest.key,
            size(store.size(manifest)),
            _when(manifest),
            _state(store, manifest),
        )
        for manifest in store.manifests()
    ]
    names = ("step", "key", "size", "made", "state")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        table("", names, rows)


@app.command()
def show(key: Key, as_json: Json = False) -> None:
    """One artifact's manifest: inputs, settings, files, metrics."""
    from dataclasses import asdict

    from tasks.core.chain.housekeeping import resolve

    store = _store()
    manifest = resolve(store, key)
    if as_json:
        print_json(asdict(manifest))
        return
    stdout.print(
        f"{manifest.recipe.step} {manifest.key}  ({_state(store, manifest)})", markup=False
    )
    stdout.print(
        f"folder: {store.path(manifest.recipe.step, manifest.key)}", markup=False, soft_wrap=True
    )
    stdout.print(f"made: {manifest.made['finished']} in {manifest.made['seconds']} s", markup=False)
    table("from", ("step", "key"), list(manifest.lineage.items()))
    table("settings", ("setting", "value"), list(manifest.recipe.settings.items()))
    table(
        "files",
        ("file", "size", "sha256"),
        [(path, size(n), sha[:16]) for path, (n, sha) in manifest.files.items()],
    )
    metrics = dict(manifest.metrics)
    table("checks", ("name", "found"), list(metrics.pop("checks", {}).items()))
    table("metrics", ("name", "value"), list(metrics.items()))


@app.command()
def verify(
    key: Annotated[
        str | None, typer.Argument(help="An artifact's key; all of them by default.")
    ] = None,
) -> None:
    """Reads every file again and compares its digest."""
    from tasks.core.chain.housekeeping import resolve, unreadable

    store = _store()
    manifests = [resolve(store, key)] if key else store.manifests()
    broken = 0
    for manifest in manifests:
        problem = store.problem(manifest.recipe.step, manifest.key, deep=True)
        broken += problem is not None
        stdout.print(
            f"{manifest.recipe.step} {manifest.key}: {problem or 'intact'}",
            markup=False,
            soft_wrap=True,
        )
    lost = unreadable(store)
    for folder in lost:
        stdout.print(
            f"{folder}: its manifest.json is missing or damaged", markup=False, soft_wrap=True
        )
    if broken or lost:
        say("The next run makes what is damaged again, and what depends on changed content.")
        raise typer.Exit(1)


@app.command()
def why(key: Key) -> None:
    """What this artifact was made from, and what changed since the one before it."""
    from tasks.core.chain.housekeeping import resolve
    from tasks.core.chain.plan import difference

    store = _store()
    manifest = resolve(store, key)
    step, profile = manifest.recipe.step, manifest.made["profile"]
    earlier = store.before(manifest.recipe, profile, manifest.made["finished"])
    if earlier:
        reason = difference(earlier.recipe, manifest.recipe)
        stdout.print(
            f"{step} {manifest.key} was made after {earlier.key} because {reason}.", markup=False
        )
    else:
        stdout.print(
            f"{step} {manifest.key} was the first of its step in profile {profile}.", markup=False
        )
    for name, upstream in manifest.lineage.items():
        stdout.print(f"  read {name} {upstream}", markup=False)
    for name, digest in manifest.recipe.outside.items():
        stdout.print(f"  looked at {name}: {digest[:48]}", markup=False, soft_wrap=True)


@app.command()
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove what is listed.")] = False,
    attempts: Annotated[
        bool, typer.Option(help="Also interrupted work that would be resumed.")
    ] = False,
) -> None:
    """Lists what no newest artifact is made from; removes it with --yes. Interrupted work stays
    unless --attempts.
    """
    from tasks.core.chain.housekeeping import garbage

    store = _store()
    found = garbage(store)
    models = [] if found.working else _unneeded_models(store, remove=yes)
    if found.working:
        say(
            "A run is at work: artifacts that it may read are not listed. Try again when it is done."
        )
    entries = found.unneeded + (found.attempts if attempts else [])
    total = sum(amount for _, amount in entries)
    _show_entries(store, "", entries)
    if found.attempts and not attempts:
        _show_entries(
            store,
            "interrupted, and resumed by the same command (--attempts removes them)",
            found.attempts,
        )
    for tag in models:
        stdout.print(f"model {tag}", markup=False)
    if not entries and not models:
        say("Nothing to remove.")
    elif not yes:
        say(
            f"{size(total)} would be freed. Remove them with `kospilot artifacts gc {'--attempts ' * attempts}--yes`."
        )
    else:
        for entry, _ in entries:
            store.discard(entry)
        say(f"{size(total)} freed.")


@app.command("import")
def import_adapter(
    folder: Annotated[
        Path,
        typer.Argument(help="The folder that `python -m tasks.core.training` wrote elsewhere."),
    ],
    profile: Annotated[str, typer.Argument(help="The profile whose stage it is.")] = "kospi-7b",
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[SETTINGS]...", help="section.name=value")
    ] = None,
    step: Annotated[
        str | None, typer.Option(help="stage1, stage2 or stage3; by default what the folder says.")
    ] = None,
) -> None:
    """Takes an adapter trained on another machine into the store, if it is exactly what the plan
    asks for.
    """
    from tasks.core.chain.adoption import adopt
    from tasks.core.chain.run import prepare

    ref, new = adopt(prepare(profile, overrides or []), step, folder.expanduser())
    say(
        f"{ref.step} is in the store now: the next run skips it."
        if new
        else f"{ref.step} was there already, intact."
    )
    stdout.print(f"{ref.step} {ref.key}", markup=False)


def _unneeded_models(store, remove: bool) -> list[str]:
    """Our models on the server that no name and no kept artifact needs; removed if asked."""
    from tasks.core.chain.housekeeping import unneeded_tags
    from tasks.core.chain.run import kospilot_home
    from tasks.core.errors import WorkError
    from tasks.core.serving.servers import open_server

    try:
        with open_server(kospilot_home()) as server:
            tags = unneeded_tags(store, server.tags())
            for tag in tags if remove else []:
                server.delete(tag)
    except WorkError as error:
        say(f"The models on the server stay: {error}")
        return []
    return tags


def _show_entries(store, title: str, entries: list) -> None:
    table(
        title,
        ("folder", "size"),
        [(entry.relative_to(store.root), size(amount)) for entry, amount in entries],
    )


def _store():
    from tasks.core.chain.run import kospilot_home
    from tasks.core.chain.store import Store

    return Store(kospilot_home() / "artifacts")


def _when(manifest) -> str:
    """Local time, to the minute."""
    return datetime.fromisoformat(manifest.made["finished"]).astimezone().strftime("%Y-%m-%d %H:%M")


def _state(store, manifest) -> str:
    if problem := store.problem(manifest.recipe.step, manifest.key):
        return problem
    return "expended" if store.expended(manifest) else "intact"
