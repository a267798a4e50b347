"""Many rows are made by two processes: the same bytes, the same errors, and nothing is left."""

import time
from pathlib import Path

import psutil
import pytest

from tasks.core.errors import WorkError
from tasks.core.kinds import KINDS
from tasks.core.settings.synthesis import Synthesis
from tasks.core.synthesis import sharing
from tasks.core.synthesis.kind_rows import Material, Source
from tests.synthetic import whitespace_tokenizer


@pytest.fixture
def two_processes(monkeypatch):
    monkeypatch.setattr(sharing, "FEWEST_SHARED", 1)
    monkeypatch.setattr(sharing, "cores", lambda: 2)


@pytest.fixture
def one_process(monkeypatch):
    def refuse(command):
        raise AssertionError(f"{command} was started")

    monkeypatch.setattr(sharing, "start_child", refuse)


def made(train, tmp_path, **settings):
    """Each kind's rows, as lines."""
    source = Source(train, whitespace_tokenizer(tmp_path), Synthesis(**settings))
    quotas, material = sharing.quotas_of(source.synthesis), Material.of(source)
    with sharing.second_process(source) as second:
        return {
            quota.kind.name: lines
            for quota, lines in sharing.lines_by_kind(quotas, material, second)
        }


def test_two_processes_make_the_bytes_of_one(two_processes, train, tmp_path, monkeypatch):
    make, took = sharing.lines_of, []

    def make_when_the_second_has_one(quota, material):
        took.append(quota.kind.name)
        while not [process for process in psutil.Process().children() if has_taken(process, took)]:
            time.sleep(0.05)
        return make(quota, material)

    monkeypatch.setattr(sharing, "lines_of", make_when_the_second_has_one)
    shared = made(train, tmp_path, rows=60)
    assert 0 < len(took) < len(KINDS)
    monkeypatch.setattr(sharing, "lines_of", make)
    monkeypatch.setattr(sharing, "cores", lambda: 1)
    assert made(train, tmp_path, rows=60) == shared
    assert count(shared) == 60


def count(lines_of_kind):
    return sum(map(len, lines_of_kind.values()))


def has_taken(process, took):
    """Whether a second process has taken a kind beside those that this one took."""
    folder = Path(process.cmdline()[-1])
    return len(list(folder.glob("*.taken"))) > len(took)


def test_few_rows_start_no_process(one_process, train, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "cores", lambda: 64)
    assert count(made(train, tmp_path, rows=24)) == 24


def test_a_single_core_starts_no_process(one_process, train, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "FEWEST_SHARED", 1)
    monkeypatch.setattr(sharing, "cores", lambda: 1)
    assert count(made(train, tmp_path, rows=24)) == 24


def test_the_second_process_fails_with_its_own_words(two_processes, train, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "_take", lambda *_: False)  # it has all to do
    with pytest.raises(WorkError) as raised:
        made(train, tmp_path, rows=1, token_budget=20)
    assert str(raised.value).startswith("No full_analysis row in ")
    assert str(raised.value).endswith("Raise the budget, or lower synthesis.rows.")


def test_an_interrupt_ends_the_second_process(two_processes, train, tmp_path, monkeypatch):
    def interrupt(quota, material):
        raise KeyboardInterrupt

    monkeypatch.setattr(sharing, "lines_of", interrupt)
    before = set(psutil.Process().children())  # other tests' programs
    with pytest.raises(KeyboardInterrupt):
        made(train, tmp_path, rows=2_000)
    assert set(psutil.Process().children()) <= before
