"""Tables to tune on, and a way to call the command line in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from unitune.cli.app import app


@pytest.fixture
def unitune(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Calls the command line inside a fresh folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def flowers(n_rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """Two classes that two numbers, a text column and a truth value tell apart; a twelfth of the cells is missing."""
    generator = np.random.default_rng(seed)
    opened = generator.random(n_rows) < 0.5
    frame = pd.DataFrame(
        {
            "length": np.where(opened, 4.0, 2.0) + generator.normal(0, 0.5, n_rows),
            "width": generator.normal(1, 0.3, n_rows),
            "colour": np.where(opened, "red", generator.choice(["blue", "white"], n_rows)),
            "scented": generator.random(n_rows) < 0.5,
            "state": np.where(opened, "open", "closed"),
        }
    )
    frame.loc[::12, "length"] = np.nan
    frame.loc[5::12, "colour"] = None
    return frame


@pytest.fixture(scope="session")
def make_flowers() -> Callable[..., pd.DataFrame]:
    return flowers


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "flowers.csv"
    flowers().to_csv(path, index=False)
    return path
