"""A release that did not get its name is told, with the reasons; one that got it is not."""

import pytest

from flows import notices


@pytest.mark.parametrize("promoted", [True, False])
def test_a_refused_release_is_told_with_its_reasons(monkeypatch, promoted):
    told = []
    monkeypatch.setattr(notices, "emit_event", lambda *event, payload: told.append(payload["text"]))
    promotion = {"name": "kospi", "tag": "kospi:a1", "promoted": promoted, "reasons": ["x", "y"]}
    notices.tell_refused(promotion)
    assert told == ([] if promoted else ["kospi:a1 is not promoted: x; y."])
