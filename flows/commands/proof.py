"""The proof of a release that the chain did not make: the chain's own hops, up to the quantized
file, on rows of the adapter's training.
"""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from flows.console import say
from tasks.core.errors import RequestError

if TYPE_CHECKING:
    from flows.commands.adapters import Made, Request
    from tasks.core.chain.manifest import Manifest
    from tasks.core.chain.store import Store
    from tasks.core.parity.prompts import Rows
    from tasks.core.records.artifacts import Progress


def check_rows(file: Path | None) -> Path | None:
    """Returns the file of training rows. Raises RequestError if it is named and not there."""
    from tasks.core.files.foreign import refuse_pointer

    if file is None:
        return None
    if file.is_file():
        refuse_pointer(file)
        return file
    raise RequestError(
        f"--rows {file} is no file. Name the adapter's training rows: JSONL, parquet or CSV with a"
        " column `messages`."
    )


def training_rows(request: "Request", home: Path, work: Path, report: "Progress") -> "Rows":
    """Returns the rows that an adapter is proven with: the file that was named, those that its
    stage was trained on if they are still there and whole, else the packaged ones.

    Raises RequestError for a file without usable rows.
    """
    if request.rows_file is None and request.source.artifact:
        rows = _rows_of_stage(request.source.artifact, home)
        if rows.strategy or rows.finance:
            return rows
    return _normalized(request.rows_file, work, report)


def prove(request: "Request", made: "Made", rows: "Rows", work: Path, report: "Progress") -> None:
    """Raises WorkError, with the hop and the remedy, unless each hop is the model that was trained.

    What was measured is shown.
    """
    from tasks.core.parity.prompts import choose_prompts
    from tasks.core.parity.proof import Release, prove_computed
    from tasks.core.parity.report import table_lines

    logging.getLogger("tasks.core.parity").setLevel(logging.ERROR)  # the error says it
    base = made.model.tokenizer_dir
    release = Release(
        base=base,
        adapter=request.source.folder,
        trained=request.trained_on,
        merged=made.parts.merged,
        f16=made.parts.f16,
        quantized=made.parts.gguf,
        quantization=request.quantization,
    )
    hops = work / "hops"
    hops.mkdir()
    prompts = choose_prompts(rows, base)
    figures = prove_computed(release, prompts, hops, report)
    shutil.rmtree(hops)
    for line in table_lines(figures):
        say(line)
    say(f"Proven on {len(prompts.prompts)} prompts of {_whose_rows(request, rows, work)}.")


def _whose_rows(request: "Request", rows: "Rows", work: Path) -> str:
    if request.rows_file:
        return str(request.rows_file)
    if rows.finance and rows.finance.is_relative_to(work):
        return "packaged rows; on the adapter's own (--rows FILE) the figures say more"
    return "its stage's own rows"


def _rows_of_stage(manifest: "Manifest", home: Path) -> "Rows":
    from tasks.core.chain.store import Store
    from tasks.core.parity.prompts import Rows

    store = Store(home / "artifacts")
    strategy = _made_from(manifest, store, "synthesize")
    finance = _made_from(manifest, store, "normalize")
    return Rows(
        strategy=_existing(strategy / "rows.jsonl") if strategy else None,
        finance=_existing(finance / "rows.parquet") if finance else None,
    )


def _made_from(manifest: "Manifest", store: "Store", step: str) -> Path | None:
    """The folder of the artifact of a step that another was made from, directly or not; None if it
    is not there or damaged.
    """
    for other, key in manifest.lineage.items():
        made = store.manifest(other, key)
        if made and other == step:
            return None if store.problem(step, key) else store.path(step, key)
        found = _made_from(made, store, step) if made else None
        if found:
            return found
    return None


def _existing(file: Path) -> Path | None:
    return file if file.is_file() else None


def _normalized(file: Path | None, work: Path, report: "Progress") -> "Rows":
    """Rows as `normalize` makes them, of a file of one's own or of those that are packaged."""
    from tasks.core.data.download import packaged_rows
    from tasks.core.data.normalize import normalize
    from tasks.core.kinds.base import ANALYST_PROMPT
    from tasks.core.parity.prompts import Rows
    from tasks.core.settings.profiles import load

    sources = packaged_rows()
    data = load("demo").settings.data
    if file:
        sources = work / "sources"
        sources.mkdir()
        shutil.copyfile(file, sources / f"own{file.suffix}")
        data = data.model_copy(update={"own": str(file), "own_share": 1.0})
    normalize(sources, ANALYST_PROMPT, data, work / "rows", report)
    return Rows(finance=work / "rows" / "rows.parquet")
