"""What the UI is shown of a step at work: how far it is, at last 100 %, and a training's loss."""

import json
from types import SimpleNamespace
from uuid import UUID

import httpx
import pytest

from tasks import shown
from tasks.shown import Progress, show_files

ARTIFACT = UUID(int=7)


@pytest.fixture
def told(monkeypatch):
    """What Prefect was told, in order; this process counts as a task's."""
    calls = []

    def create(kind):
        def created(value, key, text):
            calls.append((kind, key, value, text))
            return ARTIFACT

        return created

    monkeypatch.setattr(shown.TaskRunContext, "get", lambda: object())
    monkeypatch.setattr(shown, "create_progress_artifact", create("progress"))
    monkeypatch.setattr(shown, "create_markdown_artifact", create("markdown"))
    monkeypatch.setattr(
        shown, "update_progress_artifact", lambda *given: calls.append(("update", *given))
    )
    monkeypatch.setattr(shown, "_replace_text", lambda *given: calls.append(("replace", *given)))
    return calls


def train(folder, *losses):
    """What a training leaves in its folder after these losses."""
    folder.mkdir(exist_ok=True)
    lines = [
        {"step": 10 * (number + 1), "steps": 100, "loss": loss}
        for number, loss in enumerate(losses)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "telemetry.jsonl").write_text(text)
    (folder / "loss.png").write_bytes(f"picture of {len(losses)}".encode())


def test_progress_ends_at_100_percent(told, tmp_path):
    progress = Progress(tmp_path, "pairs", tmp_path / "staging")
    progress(0.3, "30 / 100 pairs")
    progress(0.4, "40 / 100 pairs")  # a moment later: not worth a request
    progress.end(tmp_path)
    assert told == [
        ("progress", "progress-pairs", 30.0, "30 / 100 pairs"),
        ("update", ARTIFACT, 100.0, "done"),
    ]


def test_a_server_that_is_away_fails_no_step_and_is_told_later(told, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(shown.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(shown, "update_progress_artifact", away)
    progress = Progress(tmp_path, "stage1", tmp_path / "staging")
    progress(0.1, "step 1 of 10")
    now[0] += 6
    train(tmp_path / "staging", 2.0)
    progress(0.2, "step 2 of 10")
    assert told == [("progress", "progress-stage1", 10.0, "step 1 of 10")]
    monkeypatch.setattr(
        shown, "update_progress_artifact", lambda *given: told.append(("update", *given))
    )
    now[0] += 31
    progress(0.3, "step 3 of 10")
    assert ("update", ARTIFACT, 30.0, "step 3 of 10") in told


def away(*given):
    raise httpx.ConnectError("All connection attempts failed")


def test_a_last_word_stays(told, tmp_path):
    progress = Progress(tmp_path, "pairs", tmp_path / "staging")
    progress(1.0, "100 pairs")
    progress.end(tmp_path)
    assert told == [("progress", "progress-pairs", 100.0, "100 pairs")]


def test_a_step_that_was_found_shows_no_progress(told, tmp_path):
    Progress(tmp_path, "pairs", tmp_path / "staging").end(tmp_path)
    assert told == []


def test_a_trainings_loss_is_shown_once_a_minute_in_one_place(told, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(shown.time, "monotonic", lambda: now[0])
    staging = tmp_path / "staging"
    progress = Progress(tmp_path, "stage2", staging)
    progress(0.1, "step 1")  # nothing is drawn yet
    train(staging, 2.5)
    for seconds, losses in ((10, (2.5,)), (30, (2.5, 2.0)), (75, (2.5, 2.0, 1.25))):
        now[0] = seconds
        train(staging, *losses)
        progress(0.2, "later")
    train(tmp_path / "artifact", 2.5, 2.0, 1.25, 1.0)
    progress.end(tmp_path / "artifact")
    shown_losses = [call for call in told if call[0] in ("markdown", "replace")]
    assert [call[0] for call in shown_losses] == ["markdown", "replace", "replace"]
    first, second, last = (call[2] for call in shown_losses)
    assert first.startswith("Loss 2.500 at step 10 of 100: +0.000 since step 10.")
    assert second.startswith("Loss 1.250 at step 30 of 100: -1.250 since step 10.")
    assert last.startswith("Loss 1.000 at step 40 of 100: -1.500 since step 10.")
    assert "](data:image/png;base64," in last


def test_a_report_is_linked_within_the_ui_that_is_open(told, tmp_path):
    (tmp_path / "report.md").write_text("# Rows")
    (tmp_path / "README.md").write_text("a model card")
    (tmp_path / "loss.png").write_bytes(b"picture")
    run = SimpleNamespace(store=SimpleNamespace(path=lambda step, key: tmp_path))
    ref = SimpleNamespace(step="stage2", key="0")
    link = show_files(run, ref, "title")
    assert link == f"[report](../../artifacts/artifact/{ARTIFACT})"
    [(_, key, text, title)] = told
    assert (key, title) == ("stage2-report", "title")
    assert text.startswith("# Rows\n\n![loss](data:image/png;base64,") and "card" not in text
