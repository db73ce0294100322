"""The commands on real runs: a CSV file with text columns, missing values and a text target."""

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from unitune.cli.app import app

pytestmark = pytest.mark.slow

UNITUNE = Path(sys.executable).with_name("unitune")
FLAGS = ("--target", "state", "--units", "4,8", "--activations", "relu,tanh", "--folds", "3", "--epochs", "2")


def shell(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the installed command in a process of its own."""
    words = [str(UNITUNE), *map(str, arguments)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_flowers: Callable[..., pd.DataFrame]) -> Path:
    """A folder with a table, new rows, and the run `runs/mine`."""
    folder = tmp_path_factory.mktemp("home")
    make_flowers().to_csv(folder / "flowers.csv", index=False)
    make_flowers(n_rows=7, seed=1).drop(columns="state").to_csv(folder / "new.csv", index=False)
    done = shell("tune", "flowers.csv", *FLAGS, "--name", "mine", folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    return folder


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls a command that trains nothing there, in this process."""
    monkeypatch.chdir(home)
    monkeypatch.delenv("COLUMNS", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_table_is_on_standard_output(home: Path) -> None:
    shown = (home / "stdout.txt").read_text()
    ranks = re.findall(r"^\s*(\d)\s+[48]\s+(?:relu|tanh)\s", shown, flags=re.MULTILINE)
    assert ranks == ["1", "2", "3", "4"]
    assert "runs/mine" in shown


def test_progress_without_a_terminal_is_plain_lines(home: Path) -> None:
    lines = (home / "stderr.txt").read_text()
    assert "4/4 trials" in lines
    assert "best accuracy" in lines
    assert "\x1b" not in lines
    assert "\r" not in lines
    assert "TensorFlow" not in lines
    assert "WARNING" not in lines


def test_run_folder(home: Path) -> None:
    names = {path.name for path in (home / "runs" / "mine").iterdir()}
    assert {"summary.json", "trials.csv", "histories.parquet", "best.keras"} <= names
    assert len([name for name in names if name.endswith(".png")]) >= 2
    summary = json.loads((home / "runs" / "mine" / "summary.json").read_text())
    assert summary["n_trials"] == 4
    assert summary["n_members"] == 12
    assert summary["command"].startswith("unitune tune flowers.csv --target state")
    assert len(pd.read_csv(home / "runs" / "mine" / "trials.csv")) == 4


def test_show_prints_the_table_again(home: Path, at_home: Callable[..., Any]) -> None:
    shown = at_home("show", "runs/mine").stdout
    assert shown.strip()
    assert shown.strip() in (home / "stdout.txt").read_text()
    top = at_home("show", "runs/mine", "--top", "1").stdout
    assert "3 more trials" in top


def test_show_json_is_the_summary(home: Path, at_home: Callable[..., Any]) -> None:
    done = at_home("show", "runs/mine", "--json")
    assert json.loads(done.stdout) == json.loads((home / "runs" / "mine" / "summary.json").read_text())


def test_predictions_are_those_of_the_model_in_a_process_without_unitune(
    home: Path, at_home: Callable[..., Any]
) -> None:
    done = at_home("predict", "runs/mine", "new.csv", "-o", "predictions.csv")
    assert done.exit_code == 0, done.stderr
    predictions = pd.read_csv(home / "predictions.csv")
    assert len(predictions) == 7
    assert set(predictions["prediction"]) <= {"open", "closed"}
    code = """
import sys, keras, numpy as np, pandas as pd
new = pd.read_csv("new.csv")
model = keras.models.load_model("runs/mine/best.keras")
inputs = {}
for spec in model.inputs:
    column = new[spec.name]
    if "string" in str(spec.dtype):
        inputs[spec.name] = column.map({True: "true", False: "false"}) if column.dtype == bool else column.fillna("")
        inputs[spec.name] = inputs[spec.name].to_numpy(dtype=object).reshape(-1, 1)
    else:
        inputs[spec.name] = column.astype("float32").to_numpy().reshape(-1, 1)
assert "unitune" not in sys.modules
import tensorflow as tf
inputs = {name: tf.constant(value) for name, value in inputs.items()}
np.save("direct.npy", np.asarray(model(inputs)))
"""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    direct = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert direct.returncode == 0, direct.stderr
    probability = predictions.filter(regex="open").iloc[:, 0].to_numpy()
    np.testing.assert_allclose(np.load(home / "direct.npy").ravel(), probability, rtol=1e-5)


def test_the_same_seed_gives_the_same_table(home: Path, at_home: Callable[..., Any]) -> None:
    done = shell("tune", "flowers.csv", *FLAGS, "--name", "again", "--json", "--quiet", folder=home)
    assert done.stderr == ""
    summary = json.loads(done.stdout)
    assert summary == json.loads((home / "runs" / "again" / "summary.json").read_text())
    first, second = (pd.read_csv(home / "runs" / name / "trials.csv") for name in ("mine", "again"))
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), second.drop(columns="seconds"))
    compared = at_home("compare", "runs/mine", "runs/again")
    assert compared.exit_code == 0, compared.stderr
    assert "now called `unitune compare-runs`" in compared.stderr
    assert "runs/mine" in compared.stdout
    assert "runs/again" in compared.stdout


def test_interrupt_keeps_and_shows_what_is_done(home: Path) -> None:
    words = [str(UNITUNE), "tune", "flowers.csv", "--target", "state", "--units", "1:4096", "--strategy", "random"]
    words += ["--activations", "relu", "--trials", "4000", "--epochs", "1", "--engine", "solo", "--name", "cut"]
    words += ["--folds", "2"]
    # A shell lets what it starts in the background ignore Ctrl-C, and so does all that is started there.
    heard = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    words = [sys.executable, "-c", heard, *words]
    with subprocess.Popen(words, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if re.match(r"[1-9]\d*/", line):
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=300)  # a hang, not slowness, is what it ends
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    done = json.loads((home / "runs" / "cut" / "summary.json").read_text())["n_trials"]
    assert 1 <= done < 4000
    assert re.search(r"^\s*1\s+\d+\s", stdout, flags=re.MULTILINE)


def test_a_terminal_shows_a_bar(home: Path) -> None:
    master, slave = pty.openpty()
    words = [str(UNITUNE), "tune", "flowers.csv", *FLAGS, "--activations", "relu", "--folds", "2", "--name", "seen"]
    with subprocess.Popen(words, cwd=home, stdin=slave, stdout=slave, stderr=slave, close_fds=True) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                shown += os.read(master, 4096)
            except OSError:  # Linux's way of saying that the other end is closed
                break
    os.close(master)
    assert process.returncode == 0
    text = shown.decode()
    assert "/2 trials" in text
    assert "━" in text


def test_a_full_disk_keeps_the_run_so_far(
    unitune: Callable[..., Any], table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keras.Model, "save", full)
    flags = ("--target", "state", "--units", 4, "--activations", "relu", "--folds", 2, "--epochs", 1)
    done = unitune("tune", table, *flags, "--name", "full", "--quiet")
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.stderr
    assert re.search(r"No space left on device.*runs/full` keeps .*trials\.csv.*Free some space", done.stderr)
    assert re.search(r"^\s*1\s+", done.stdout, flags=re.MULTILINE)  # the table is shown all the same
    kept = {path.name for path in Path("runs/full").iterdir()}
    assert {"trials.csv", "histories.parquet", "summary.json"} <= kept
    assert "best.keras" not in kept
    shown = unitune("show", "runs/full")
    assert shown.exit_code == 0, shown.output


def test_configuration_file_and_flags_that_overrule_it(unitune: Callable[..., Any], table: Path, tune_calls) -> None:
    Path("space.toml").write_text('target = "length"\nunits = [1, 2]\nlearning-rates = "1e-4:1e-2:log"\nfolds = 3\n')
    unitune("tune", table, "--config", "space.toml", "--target", "state", "--units", "16,32", "--per-layer")
    (call,) = tune_calls
    assert call["target"] == ["state"]
    assert call["units"] == "16,32"
    assert call["learning_rates"] == "1e-4:1e-2:log"
    assert call["folds"] == 3
    assert call["per_layer"] is True
    assert call["out"] == "runs"


def test_what_is_not_given_is_left_to_the_library(unitune: Callable[..., Any], table: Path, tune_calls) -> None:
    unitune("tune", table, "--target", "state", "--quiet", "--seed", 3)
    (call,) = tune_calls
    assert call == {
        "x": str(table),
        "target": ["state"],
        "seed": 3,
        "out": "runs",
        "progress": False,
        "callbacks": [],
    }


@pytest.fixture
def tune_calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the command hands to the library, which then stops."""
    calls = []

    def record(x: object, **arguments: Any) -> None:
        calls.append({"x": x, **arguments})
        raise SystemExit(0)

    monkeypatch.setattr("unitune.tuner.tune", record)
    return calls
