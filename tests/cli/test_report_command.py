from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def test_report_and_show(unitune: Callable[..., Any], tmp_path: Path) -> None:
    from unitune import tune
    from unitune.testing import FakeEngine

    x = np.random.default_rng(0).normal(size=(80, 3))
    tune(
        x,
        (x[:, 0] > 0).astype(int),
        units=[2, 4],
        activations="relu",
        epochs=2,
        folds=2,
        progress=False,
        out=tmp_path,
        name="run",
        engine=FakeEngine(),
    )
    done = unitune("report", tmp_path / "run", "-o", "mine.html")
    assert done.exit_code == 0
    assert done.stdout.strip() == "mine.html"
    assert (tmp_path / "mine.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert unitune("report", tmp_path / "run").stdout.strip() == str(tmp_path / "run" / "report.html")
    assert unitune("report", tmp_path / "nothing").exit_code == 2
    assert unitune("report", tmp_path / "run", "-o", tmp_path / "no" / "where.html").exit_code == 2

    shown = unitune("show", tmp_path / "run").stdout
    assert "Conclusion" in shown
    assert "Report:" in shown
    assert shown.index("Conclusion") < shown.index("Report:")
