"""kospilot artifacts graph: a picture of what stands behind a model or an artifact."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.console import duration, say, size, stdout
from tasks.core.errors import RequestError

if TYPE_CHECKING:
    from tasks.core.chain.lineage import Ancestor
    from tasks.core.chain.lineage_picture import Card
    from tasks.core.chain.manifest import Manifest
    from tasks.core.chain.store import Store

_WIDTH = 108  # letters of a note
_GONE = "gone: the store has no readable manifest of it"


def graph(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A model on the server (NAME or NAME:TAG), or an artifact's key or its beginning;"
            " by default the newest release."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The picture to write; by default NAME.svg, here.")
    ] = None,
) -> None:
    """Draws which market day, base, sources and settings stand behind a model or an artifact."""
    from tasks.core.chain.lineage import trace
    from tasks.core.chain.lineage_picture import draw
    from tasks.core.chain.store import Store
    from tasks.core.files.atomic import write_text
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    store = Store(home / "artifacts")
    manifest = _find(store, home, name)
    step = manifest.recipe.step
    named = name or _tag(manifest) or f"{step}-{manifest.key[:8]}"
    file = out or Path(re.sub("[^A-Za-z0-9.-]+", "-", named) + ".svg")
    if file.is_dir() or not file.parent.is_dir():
        raise RequestError(f"{file} cannot be written: name a file in a folder that is there.")
    ancestors = trace(store, manifest)
    title = f"What stands behind {named}"
    write_text(file, draw(title, _summary(ancestors), _cards(store, ancestors)))
    say(f"{title}: {len(ancestors)} artifacts, in a picture for a browser.")
    stdout.print(str(file), markup=False, soft_wrap=True)


def _find(store: "Store", home: Path, name: str | None) -> "Manifest":
    """The artifact that a name means: of a model, what says most about it.

    Raises RequestError if there is none.
    """
    from tasks.core.chain.housekeeping import find_artifact
    from tasks.core.serving.tags import same_name

    if name is None:
        promotions = store.manifests("promote")
        served = [one for one in promotions if one.metrics.get("promoted")]
        manifests = served or promotions or store.manifests()
        if not manifests:
            raise RequestError("The store is empty. `kospilot demo` makes a first model.")
        return manifests[-1]
    registered = store.manifests("register")
    for manifest in reversed(registered):
        if same_name(_tag(manifest), name):
            return _last_about(store, manifest)
    if re.fullmatch("[0-9a-f]+", name) and store.find(name):
        return find_artifact(store, name)
    digest = _served_digest(home, name)
    for manifest in reversed(registered):
        if manifest.metrics.get("digest") == digest:
            return _last_about(store, manifest)
    raise RequestError(
        f"{name} is no model of this store: none was registered with its digest, {digest[:19]}."
        " `kospilot artifacts list` shows the keys that can be named instead."
    )


def _tag(manifest: "Manifest") -> str:
    """Under which tag a model was registered; empty if this is none."""
    tag = manifest.metrics.get("tag")
    return tag if isinstance(tag, str) else ""


def _served_digest(home: Path, name: str) -> str:
    """What holds a name now, which only the server knows: a rollback moves it."""
    from flows.commands.models import digest_of
    from tasks.core.serving.servers import open_holder

    with open_holder(home, name) as server:
        return digest_of(server, name)


def _last_about(store: "Store", registered: "Manifest") -> "Manifest":
    """The newest promotion of a registered model, else its evaluation, else the model itself."""
    for step in ("promote", "evaluate"):
        for manifest in reversed(store.manifests(step)):
            if manifest.lineage.get("register") == registered.key:
                return manifest
    return registered


def _summary(ancestors: "Sequence[Ancestor]") -> list[str]:
    """The market days, the base and the sources that all began with."""
    from tasks.core.chain.lineage_picture import shortened

    lines = []
    for ancestor in ancestors:
        step, key = ancestor.name
        metrics = ancestor.manifest.metrics if ancestor.manifest else {}
        if step == "market":
            lines.append(f"Market {key[:8]}: {_days(metrics) or _GONE}")
        if step == "download":
            lines += _bases(key, metrics)
    return [shortened(line, _WIDTH) for line in lines]


def _bases(key: str, metrics: dict[str, Any]) -> list[str]:
    """The base, and the names of the sources, of one download."""
    sources = _sources(metrics)
    if not sources:
        return [f"Base {key[:8]}: {_GONE}"]
    lines = [f"Base {key[:8]}: {sources[0].removeprefix('base: ')}"]
    if sources[1:]:
        names = ", ".join(told.partition(":")[0] for told in sources[1:])
        lines.append(f"Sources: {names}")
    return lines


def _days(metrics: dict[str, Any]) -> str:
    """The days of a market; empty if these are no market's metrics."""
    if "train_until" not in metrics:
        return ""
    kind = "generated, not real" if metrics.get("generated") else "imported"
    days, first, last = (metrics.get(name, "?") for name in ("days", "first", "last"))
    return f"{days} days, {first} to {last} ({kind}); trained on until {metrics['train_until']}"


def _sources(metrics: dict[str, Any]) -> list[str]:
    """Where the base and each source came from, the base first."""
    told = []
    for name, source in metrics.items():
        if isinstance(source, dict) and "from" in source:
            revision = str(source.get("revision", ""))[:19]
            told.append(f"{name}: {source['from']} {revision}".strip())
    return sorted(told, key=lambda text: not text.startswith("base:"))


def _cards(store: "Store", ancestors: "Sequence[Ancestor]") -> "list[Card]":
    places = {ancestor.name: number for number, ancestor in enumerate(ancestors)}
    cards = []
    for ancestor in ancestors:
        reads = tuple(places[name] for name in ancestor.reads)
        cards.append(_card(store, ancestor, reads))
    return cards


def _card(store: "Store", ancestor: "Ancestor", reads: tuple[int, ...]) -> "Card":
    from tasks.core.chain.lineage_picture import Card, shortened

    step, key = ancestor.name
    manifest = ancestor.manifest
    if manifest is None:
        return Card(step, key, "", (), (), f"{step} {key}", reads, _GONE, is_gone=True)
    problem = store.glance(manifest).problem
    warning = shortened(f"damaged: {problem}", _WIDTH - 8) if problem else ""
    lines = tuple(shortened(line, _WIDTH - 8) for line in _came_to(store, manifest))
    facts = [*_settings(manifest), _outside(manifest)]
    hint = "\n".join([f"{step} {key}", f"digest {manifest.digest}", *map(", ".join, facts)])
    return Card(step, key, _date(manifest), lines, _notes(facts), hint, reads, warning)


def _notes(facts: list[list[str]]) -> tuple[str, ...]:
    from tasks.core.chain.lineage_picture import wrapped

    notes: list[str] = []
    for fact in facts:
        notes += wrapped(fact, _WIDTH, 4)
    return tuple(notes)


def _settings(manifest: "Manifest") -> list[list[str]]:
    """The settings that shaped the content, a list for each section."""
    sections: dict[str, list[str]] = {}
    for name, value in manifest.recipe.settings.items():
        section, _, field = name.partition(".")
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        known = sections.setdefault(section, [])
        known.append(f"{field}={text}" if known else f"{section}: {field}={text}")
    return list(sections.values())


def _outside(manifest: "Manifest") -> list[str]:
    """What the content depends on outside the store."""
    if manifest.recipe.step == "download":
        return _sources(manifest.metrics)
    return [f"{name} {digest[:12]}" for name, digest in manifest.recipe.outside.items()]


def _date(manifest: "Manifest") -> str:
    """When the artifact was made: the picture may be read in another time zone."""
    finished: str = manifest.made["finished"]
    try:
        return datetime.fromisoformat(finished).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError):
        return finished


def _came_to(store: "Store", manifest: "Manifest") -> list[str]:
    """The main figures of an artifact, in words, then its size and how it was made."""
    figures = ", ".join([*_figures(manifest.metrics), *_contents(manifest.metrics)])
    total = size(sum(amount for amount, _ in manifest.files.values()))
    if store.expended(manifest):
        total += " (removed after the release; rebuilt when needed)"
    seconds = manifest.made.get("seconds")
    took = f", made in {duration(seconds)}" if isinstance(seconds, int | float) else ""
    made = f"{total}{took}, profile {manifest.made['profile']}"
    return [figures, made] if figures else [made]


def _figures(metrics: dict[str, Any]) -> list[str]:
    from tasks.core.chain.figures import figures_of

    figures = figures_of(metrics)
    told = []
    if figures.grade is not None:
        told.append(f"mean grade {figures.grade:.2f}")
    if figures.fully_right is not None:
        told.append(f"fully right {100 * figures.fully_right:.0f} %")
    if figures.held_out_loss is not None:
        told.append(f"held-out loss {figures.held_out_loss:.4f}")
    if figures.tokens_per_s is not None:
        told.append(f"{figures.tokens_per_s:,.0f} tokens/s")
    if figures.peak_memory_gib is not None:
        told.append(f"at most {figures.peak_memory_gib:.1f} GiB of memory")
    return told


def _contents(metrics: dict[str, Any]) -> list[str]:
    """What else the metrics tell: days, rows, a quantization, a proof, a tag, a decision."""
    told = []
    if _days(metrics):
        told.append(_days(metrics))
    for name in ("rows", "pairs"):
        if type(metrics.get(name)) is int:
            told.append(f"{metrics[name]:,} {name}")
    if "quantization" in metrics:
        bits = metrics.get("bits_per_weight", "?")
        told.append(f"{metrics['quantization']}, {bits} bits per weight")
    proven = [hop for hop, found in metrics.items() if _is_faultless(found)]
    if proven:
        told.append(f"the same model after each hop: {', '.join(proven)}")
    if "tag" in metrics:
        told.append(str(metrics["tag"]))
    if "promoted" in metrics:
        told.append("promoted" if metrics["promoted"] else "not promoted")
    return told


def _is_faultless(hop: object) -> bool:
    """Whether this is what a hop's proof found, and it found no fault."""
    return isinstance(hop, dict) and hop.get("faults") == []
