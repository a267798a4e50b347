"""What the doctor reads of the cards, without loading torch."""

import pytest

from tasks.core.preflight.doctor import check_gpu


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A driver that answers with these lines, or not at all."""

    def answers(*lines: str, code: int = 0) -> None:
        text = "\n".join(lines)
        script = (
            f'#!/bin/sh\n[ "$1" = --query-gpu={WANTED} ]'
            f" && printf '%s\\n' '{text}'\nexit {code}\n"
        )
        (tmp_path / "nvidia-smi").write_text(script)
        (tmp_path / "nvidia-smi").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return answers


WANTED = "name,memory.total,memory.free,compute_cap,driver_version"


def test_each_card_is_told_with_its_memory_and_bf16(driver):
    driver("NVIDIA H200, 143771, 143262, 9.0, 580.65.06", "NVIDIA L4, 23034, 11517, 8.9, 580.65.06")
    told = check_gpu(required=True)
    assert told.status == "ok"
    assert told.detail == (
        "NVIDIA H200, 139.9 of 140.4 GiB free, compute capability 9.0 (bf16), driver 580.65.06;"
        " NVIDIA L4, 11.2 of 22.5 GiB free, compute capability 8.9 (bf16), driver 580.65.06"
    )


def test_a_card_that_shares_the_machines_memory(driver):
    driver("NVIDIA GB10, [N/A], [N/A], 12.1, 580.95.05")
    assert (
        "NVIDIA GB10, ? of ? GiB free, compute capability 12.1 (bf16)"
        in check_gpu(required=True).detail
    )


def test_a_card_without_bf16_trains_more_slowly(driver):
    driver("Tesla T4, 15360, 15100, 7.5, 580.65.06")
    told = check_gpu(required=True)
    assert told.status == "warn"
    assert "compute capability 7.5 (no bf16)" in told.detail
    assert "not on kospilot's engine" in told.remedy


@pytest.mark.parametrize(("required", "status"), [(True, "fail"), (False, "ok")])
def test_no_card_matters_where_one_is_needed(driver, required, status):
    assert check_gpu(required).status == status  # no driver
    driver("NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.", code=9)
    assert check_gpu(required).status == status
