"""`verify`: the recorded curves against plain `fit`, from a live result, from a folder, and with other rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import unitune
from unitune.cli.app import app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["kind"] = np.where(x[:, 0] + 0.3 * rng.normal(size=60) > 0, "yes", "no")
    return frame


@pytest.fixture(scope="module")
def table(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "rows.csv"
    rows.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def result(table: Path) -> unitune.Result:
    return unitune.tune(
        table,
        target="kind",
        units=[3, 5],
        dropouts=0.2,
        epochs=3,
        folds=2,
        out=table.parent,
        name="run",
        progress=False,
    )


def test_recorded_curves_are_those_of_fit(result: unitune.Result) -> None:
    found = result.verify()
    assert found.trial == result.recommended.number
    assert found.members == 2
    assert len(found.curves) == 2 * 3 * 2 * 2  # members, epochs, metrics, splits
    assert found.curves["recorded"].notna().all()
    assert found.largest_difference < 1e-5


def test_from_a_folder_the_rows_are_read_again(result: unitune.Result) -> None:
    assert result.folder is not None
    other = next(trial.number for trial in result.trials if trial.number != result.recommended.number)
    found = unitune.verify(result.folder, trial=other)
    assert found.trial == other
    assert found.largest_difference < 1e-5


def test_what_was_recorded_wrongly_is_seen(result: unitune.Result) -> None:
    history = result.history()
    wrong = history.copy()
    chosen = (wrong["epoch"] == 2) & (wrong["metric"] == "loss") & (wrong["split"] == "train") & (wrong["fold"] == 0)
    wrong.loc[chosen, "value"] *= 1.5
    from unitune.result.verification import verify_members

    found = verify_members(*result._source.members(result.recommended), wrong, trial=result.recommended.number)
    worst = found.curves.loc[found.curves["difference"].idxmax()]
    assert (worst["epoch"], worst["metric"], worst["split"]) == (2, "loss", "train")
    assert found.largest_difference == pytest.approx(1 / 3, rel=1e-4)


def test_other_rows_are_refused(result: unitune.Result, rows: pd.DataFrame) -> None:
    assert result.folder is not None
    with pytest.raises(unitune.DataError, match="must be those of the run"):
        unitune.verify(result.folder, rows.assign(a=rows["a"] + 1))


def test_rows_that_were_arrays_have_to_be_given(rows: pd.DataFrame, tmp_path: Path) -> None:
    x, y = rows[["a", "b", "c"]].to_numpy(), rows["kind"].to_numpy()
    folder = unitune.tune(x, y, units=3, epochs=1, folds=2, out=tmp_path, name="arrays", progress=False).folder
    assert folder is not None
    with pytest.raises(unitune.OptionError, match=r"Give them: `unitune\.verify"):
        unitune.verify(folder)
    assert unitune.verify(folder, x, y).largest_difference < 1e-5


def test_the_command_prints_both_curves(result: unitune.Result) -> None:
    done = CliRunner().invoke(app, ["verify", str(result.folder)])
    assert done.exit_code == 0
    assert "loss, validation rows" in done.stdout
    assert "plain fit" in done.stdout
    assert "the largest relative difference" in done.stdout
    as_json = CliRunner().invoke(app, ["verify", str(result.folder), "--json"])
    assert json.loads(as_json.stdout)["n_members"] == 2
