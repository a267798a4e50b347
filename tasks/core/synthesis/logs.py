"""Rows from a live system's reasoning logs (synthesis.logs), of the kinds that are not drawn.

Every row is proven as the drawn ones are; a log that makes no true row is dropped, counted by its
reason. Training sees the logs of days up to the market's last training day, the evaluation later
ones. Beside a market whose prices are invented, dates say nothing, and the evaluation gets the last
fifth of the logs' own days.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import jsonschema_rs

from tasks.core.errors import RequestError
from tasks.core.files.log_folder import find_logs
from tasks.core.kinds import GIVEN_KINDS
from tasks.core.kinds.base import GivenKind, Scene, scene_to_dict, system_prompt
from tasks.core.kinds.judging.judge import TEXT_PARTS
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.kinds.texts import to_text
from tasks.core.records.logs import Log
from tasks.core.records.market_days import read_marks, read_snapshots
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis.checks import check_row
from tasks.core.synthesis.dates import dates_in
from tasks.core.synthesis.log_faults import Unsound
from tasks.core.synthesis.log_files import EXAMPLE, name_of, read_log
from tasks.core.synthesis.near import KnownTexts

logger = logging.getLogger(__name__)

CountTokens = Callable[[list[str]], list[int]]

HELD_FILE = "held_logs.jsonl"
"""Beside rows.jsonl: the scenes that the evaluation asks about, one a line."""

_WORDINGS = 20
"""Wordings of a log's question and context that are tried before the log is dropped."""

_REASONS = {**{part: f"not {part}" for part in TEXT_PARTS}, "grade": "not graded right"}
"""Reasons for which logs are dropped, by the rules of the proof that they break."""

_HELD_SHARE = 0.2
"""Share of the logs' days that the evaluation gets beside a market whose days are invented."""


@dataclass(frozen=True)
class Market:
    """What of the market decides which logs are trained on."""

    last_day: str  # of its training part
    generated: bool

    @classmethod
    def of(cls, train: Path) -> "Market":
        """Reads them from the training part of the market artifact."""
        days = [day.date for day in read_snapshots(train)]
        return cls(max(days, default=""), read_marks(train)["generated"])


@dataclass
class Logged:
    """The rows of logs, the scenes that are kept for the evaluation, and what was dropped."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    files: int = 0
    dropped: dict[str, dict[str, Any]] = field(default_factory=dict)  # reason: logs, example

    def drop(self, name: str, fault: Unsound) -> None:
        """Counts a log that is dropped. The first one of each reason is its example."""
        entry = self.dropped.setdefault(
            fault.reason, {"logs": 0, "example": f"{name}: {fault.detail}"}
        )
        entry["logs"] += 1

    def report(self) -> dict[str, Any]:
        """Returns the counts for the report."""
        return {
            "files": self.files,
            "rows": len(self.rows),
            "held": len(self.held),
            "dropped": dict(sorted(self.dropped.items())),
        }


def logged_rows(synthesis: Synthesis, market: Market, count: CountTokens) -> Logged:
    """Returns the rows of synthesis.logs, and none without it.

    Raises RequestError if no log makes a row.
    """
    logged = Logged()
    if not synthesis.logs:
        return logged
    files = find_logs(Path(synthesis.logs).expanduser(), "synthesis.logs")
    logs = _sound_logs(files, synthesis, logged)
    last_day = _last_trained_day(logs, market)
    training = [log for log in logs if log.day <= last_day]
    held = [log for log in logs if log.day > last_day]
    for kind in GIVEN_KINDS:
        maker = _Maker(kind, synthesis, count, market.last_day)
        _make_rows(training, maker, logged)
        _hold(held, maker, logged)
    if not logged.rows:
        _refuse(synthesis.logs, logged, market)
    taken = len(logged.rows), len(logged.held)
    logger.info(
        "of %d logs %d make rows, %d are kept for the evaluation, %d are dropped (report.json says"
        " why)",
        *(logged.files, *taken, logged.files - sum(taken)),
    )
    return logged


def _sound_logs(files: list[Path], synthesis: Synthesis, logged: Logged) -> list[Log]:
    logs = []
    logged.files = len(files)
    for file in files:
        try:
            logs.append(read_log(file, synthesis))
        except Unsound as fault:
            logged.drop(name_of(file), fault)
    return logs


def _last_trained_day(logs: list[Log], market: Market) -> str:
    """Returns the last day whose logs are trained on; later ones are the evaluation's."""
    days = sorted({log.day for log in logs})
    if not market.generated or not days:
        return market.last_day
    held = max(1, round(len(days) * _HELD_SHARE))
    return days[max(0, len(days) - held - 1)]


@dataclass(frozen=True)
class _Maker:
    """What the rows of one kind are made with."""

    kind: GivenKind
    synthesis: Synthesis
    count: CountTokens
    last_day: str
    asked: dict[str, str] = field(default_factory=dict)  # the training logs by what they were told
    questions: KnownTexts = field(default_factory=KnownTexts)  # those of training

    def row_of(self, log: Log, held: bool) -> dict[str, Any]:
        """Returns the log's row in the first wording that is proven. Raises Unsound if none is."""
        rng = Random(f"{self.synthesis.seed} {self.kind.name} {log.name}")
        templates = len(self.kind.templates(log.language))
        trained = templates - HELD_TEMPLATES
        first, last = (trained, templates) if held else (0, trained)
        problems = []
        for _ in range(_WORDINGS):
            scene = self.kind.scene_of(log, rng.randrange(first, last), rng.randrange(1, 2**32))
            row = _row(scene, self.kind)
            _require_schema(row, self.kind)
            problems = [problem for problem in check_row(row) if problem.rule != "held_out"]
            if not problems:
                return self._counted(row)
        # The grade alone says what failed, and not why.
        problems.sort(key=lambda problem: problem.rule == "grade")
        rule, detail = problems[0].rule, problems[0].detail
        raise Unsound(_REASONS.get(rule, rule), detail)

    def _counted(self, row: dict[str, Any]) -> dict[str, Any]:
        tokens = sum(self.count([message["content"] for message in row["messages"]]))
        budget = self.synthesis.token_budget
        if tokens > budget:
            raise Unsound(f"more tokens than {budget:,}", f"{tokens:,}")
        row["metadata"]["tokens"] = tokens
        return row


def _make_rows(logs: list[Log], maker: _Maker, logged: Logged) -> None:
    for log in logs:
        try:
            _refuse_later_days(log, maker.last_day)
            _refuse_again(log, maker)
            row = maker.row_of(log, held=False)
            maker.asked[_told(log)] = log.name
            maker.questions.add(_question(row))
            logged.rows.append(row)
        except Unsound as fault:
            logged.drop(log.name, fault)


def _refuse_later_days(log: Log, last_day: str) -> None:
    texts = [log.reasoning, *(signal.rationale for signal in log.signals), *log.words.values()]
    later = [day for day in dates_in(texts) if day > last_day]
    if later:
        raise Unsound("a later day", f"it names {later[0]}, after {last_day}")


def _refuse_again(log: Log, maker: _Maker) -> None:
    """Raises Unsound if a log was told what another was: two answers would contradict each other,
    or be one.
    """
    other = maker.asked.get(_told(log))
    if other:
        raise Unsound("the same question", f"as {other}")


def _told(log: Log) -> str:
    """Returns all that the question of a log says."""
    return repr((log.numbers, log.words, [signal.ticker for signal in log.signals]))


def _hold(logs: list[Log], maker: _Maker, logged: Logged) -> None:
    """Keeps the scenes of logs that no training row asks or nearly asks."""
    for log in logs:
        try:
            _refuse_again(log, maker)
            row = maker.row_of(log, held=True)
            if maker.questions.is_near(_question(row)):
                raise Unsound("nearly a training question", _question(row)[:60])
            logged.held.append({**row["metadata"]["scene"], "day": log.day})
        except Unsound as fault:
            logged.drop(log.name, fault)


def _question(row: dict[str, Any]) -> str:
    return str(row["messages"][1]["content"])


def _row(scene: Scene, kind: GivenKind) -> dict[str, Any]:
    question = kind.ask(scene, Random(scene.seed))
    answer = to_text(kind.answer(scene, Random(scene.seed)))
    return {
        "messages": [
            {"role": "system", "content": system_prompt(scene.language)},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ],
        "metadata": {
            "kind": scene.kind,
            "language": scene.language,
            "template": scene.template,
            "layout": scene.layout,
            "regime": scene.regime,
            "date": None,
            "day": None,
            "simulated": [],
            "origins": {},
            "scene": scene_to_dict(scene),
        },
    }


def _require_schema(row: dict[str, Any], kind: GivenKind) -> None:
    """Raises Unsound with the first thing in a row's answer that the kind's schema does not allow,
    such as a text that is too long.
    """
    answer = json.loads(row["messages"][2]["content"])
    for error in jsonschema_rs.Draft202012Validator(kind.schema).iter_errors(answer):
        path = ".".join(map(str, error.instance_path))
        raise Unsound("schema", f"{path}: {error.message[-80:]}")


def _refuse(folder: str, logged: Logged, market: Market) -> None:
    """Raises RequestError, because no log makes a row."""
    if logged.held:
        first = min(scene["day"] for scene in logged.held)
        raise RequestError(
            f"synthesis.logs={folder}: the logs that make rows begin on {first}, after the market's"
            f" last training day, {market.last_day}: the evaluation keeps them. Set"
            " market.train_until to a later day of an up-to-date market, or leave synthesis.logs"
            " out."
        )
    reasons = [
        f"{entry['logs']} {reason} ({entry['example']})"
        for reason, entry in sorted(logged.dropped.items())
    ]
    raise RequestError(
        f"synthesis.logs={folder} holds no sound log. Of {logged.files:,} files: "
        f"{'; '.join(reasons)}. A log looks like {EXAMPLE}"
    )
