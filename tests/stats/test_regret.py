"""The short form of `python -m bench.regret`: one trained search whose truth is known."""

from pathlib import Path

import numpy as np
import pytest


@pytest.mark.slow
def test_a_trained_search_is_measured_kept_and_read_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    from bench import regret, searches

    monkeypatch.setattr(searches, "UNSEEN", 500)
    monkeypatch.setattr(searches, "UNITS", [4, 16, 64])
    first = searches.train("easy", "grid", 0)
    searches.save(first, tmp_path)
    again = searches.load("easy", "grid", 0, tmp_path)
    assert again is not None
    assert np.array_equal(again.values, first.values)
    assert first.values.shape == (12, 15)
    assert first.truth.shape == (12,)
    for reading in regret.READINGS:
        found = regret.measure(first, reading)
        assert found == regret.measure(again, reading)
        assert 0 <= found.recommended <= 1  # no further behind than the median configuration
        assert found.parameters <= np.log(16)
        assert 0 < found.size < 1
        assert found.false <= found.claims
    assert "| easy (1) |" in regret.line("easy", [found])
