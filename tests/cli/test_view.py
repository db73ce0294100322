import io
import math

import pandas as pd
import pytest
from rich.console import Console

from unitune.cli import view

ROWS = [
    {"rank": 1, "trial": 4, "mean": 0.98, "expected": 0.978, "low": 0.97, "high": 0.99, "train": 0.99}
    | {"p_best": 0.7, "expected_loss": 0.001, "units": 32, "activation": "gelu"},
    {"rank": 2, "trial": 1, "mean": 0.96, "expected": 0.961, "low": 0.93, "high": 0.99, "train": 0.97}
    | {"p_best": 0.001, "expected_loss": 0.012, "units": 8, "activation": "tanh"},
    {"rank": None, "trial": 2, "units": 8, "activation": "relu"}
    | dict.fromkeys(("mean", "expected", "low", "high", "p_best", "expected_loss", "train"), math.nan),
]


def table(**more: object) -> pd.DataFrame:
    frame = pd.DataFrame(ROWS).assign(std=0.01, gap=0.01, parameters=1234, seconds=2.5, engine="solo", **more)
    return frame.astype({"rank": "Int64"})


def drawn(frame: pd.DataFrame, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(view.trials(frame, objective="accuracy", width=width))
    return [line.strip() for line in console.file.getvalue().splitlines() if line.strip()]


@pytest.mark.parametrize("width", [*range(50, 130), 200])
def test_a_line_for_each_trial_at_any_width(width: int) -> None:
    lines = drawn(table(), width)
    assert len(lines) == 2 + len(ROWS)  # the header and its rule
    assert max(map(len, lines)) <= width
    assert lines[0].split()[:4] == ["#", "units", "activation", "accuracy"]
    assert {"1", "gelu", "0.9800"} <= set(lines[2].split())
    assert "failed" in lines[-1]
    assert "…" not in "".join(lines)


def test_many_hyperparameters_leave_room_for_the_pick() -> None:
    more = {"learning_rate": 0.05024, "weight_decay": 0.0001, "batch_size": 32, "dropout": 0.25}
    picks = {"pick": ["best", "recommended", ""], "credible": [True, True, False]}
    narrow = drawn(table(**more, **picks), 80)
    assert narrow[-2].endswith("★")
    assert "…" not in "".join(narrow)
    assert drawn(table(**more, **picks), 120)[-2].endswith("recommended")
    grid = view.trials(table(**more, **picks), objective="accuracy", width=80)
    assert "★: recommended." in view.meanings(grid)


def test_a_wide_terminal_shows_intervals_as_lines() -> None:
    assert "●" in "".join(drawn(table(), 140))
    assert "●" not in "".join(drawn(table(), 70))


def test_what_is_not_known_has_no_column() -> None:
    header = drawn(table().assign(low=math.nan, high=math.nan), 140)[0]
    assert "interval" not in header
    assert "P best" in header
    nothing = dict.fromkeys(("expected", "low", "high", "p_best", "expected_loss"), math.nan)
    header = drawn(table().assign(**nothing), 140)[0]
    assert not {"expected", "P", "loss"} & set(header.split())


def test_probabilities_are_in_percent() -> None:
    lines = drawn(table(), 140)
    assert "70 %" in lines[2]
    assert "< 1 %" in lines[3]


def test_many_hyperparameters_push_out_what_matters_less() -> None:
    settings = {"learning_rate": 0.00123456, "optimizer": "rmsprop", "dropout": 0.25, "layers": 2}
    header, _, first, *_ = drawn(table(**settings), 80)
    assert "parameters" not in header
    assert {"learning_rate", "optimizer", "dropout", "layers", "accuracy"} <= set(header.split())
    assert "0.001235" in first


def test_inactive_hyperparameters_are_left_empty() -> None:
    frame = table(units_2=pd.array([8, None, 16], dtype="Int64"))
    assert [line.split().count("<NA>") + line.split().count("nan") for line in drawn(frame, 120)] == [0] * 5


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.5, 0.5), (-2.0, 0.1)])
def test_interval_fills_its_width(low: float, high: float) -> None:
    line = view.interval((low + high) / 2, low, high, low, high, 21).plain
    assert len(line) == 21
    assert line[10] == "●"


def test_the_best_the_recommended_and_what_may_be_best_are_marked() -> None:
    frame = table(pick=["best", "recommended", ""], credible=[True, True, False])
    for width in (75, 120):
        lines = drawn(frame, width)
        assert "best" in lines[2].split()
        assert "recommended" in lines[3].split()
    others = drawn(table(pick=["best, recommended", "", ""], credible=[True, True, False]), 100)
    assert "best, recommended" in others[2]
    assert "may be best" in others[3]
    assert "may be best" not in others[4]


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_only_columns_that_are_there_are_explained(width: int) -> None:
    header = drawn(table(), width)[0]
    said = view.meanings(view.trials(table(), objective="accuracy", width=width))
    for title in view.MEANINGS:
        assert (f"{title}:" in said) == (title in header)
