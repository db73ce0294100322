"""Exports, read with the tools that they are for."""

import struct
import sys
import types
from functools import partial

import optuna
import pandas as pd
import pytest
import store_fakes as fakes
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

import unitune
from unitune.errors import OptionError, SaveError
from unitune.space import Choice, Fixed, Float, Hyperparameter, Int, Space
from unitune.store.export_optuna import distributions

# `tensorboardX` reads its own version in a way that setuptools warns of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboardX")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of twelve trials, of which two failed, that is recorded but not saved."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    fakes.kept(folder, trials=12)
    return folder


@pytest.fixture(scope="module")
def result(run):
    return unitune.load(run)


def test_a_study_has_every_trial_with_its_value_and_curve(run, result, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    assert "12 trials" in unitune.export(run, "optuna", url)
    study = optuna.load_study(study_name="mine", storage=url)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert len(study.trials) == 12
    for mine, theirs in zip(result.trials, study.trials, strict=True):
        assert theirs.params == dict(mine.configuration)
        if mine.state == "failed":
            assert theirs.state == TrialState.FAIL
            assert "diverged" in theirs.user_attrs["failure"]
            continue
        assert theirs.value == mine.scores["accuracy"].mean
        history = result.history(mine).query("metric == 'accuracy' and split == 'validation'")
        means = history.groupby("epoch")["value"].mean()
        assert theirs.intermediate_values == pytest.approx(means.to_dict())
        assert theirs.user_attrs["parameters"] == mine.n_parameters
        assert theirs.user_attrs["accuracy of each fold"] == list(mine.scores["accuracy"].values)
        assert theirs.user_attrs["log_loss"] == mine.scores["log_loss"].mean
    assert study.best_trial.user_attrs["number in Unitune"] == result.best.number


def test_a_study_can_be_gone_on_with_in_optuna(run, tmp_path):
    path = str(tmp_path / "study.log")
    unitune.export(run, "optuna", path)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
    study = optuna.load_study(study_name="mine", storage=storage, sampler=optuna.samplers.TPESampler(seed=0))
    trial = study.ask(distributions(fakes.a_space()))
    assert set(trial.params) == {"units", "activation", "learning_rate"}
    assert trial.number == 12


def test_a_study_is_not_written_over(run, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    unitune.export(run, "optuna", url)
    with pytest.raises(OptionError, match="never overwritten"):
        unitune.export(run, "optuna", url)


def test_distributions_are_those_of_the_domains():
    space = Space(
        [
            Hyperparameter("units", Int(8, 64, 8)),
            Hyperparameter("batch", Int(16, 256, log=True)),
            Hyperparameter("rate", Float(1e-4, 1e-1, log=True)),
            Hyperparameter("dropout", Float(0.0, 0.5, 0.1)),
            Hyperparameter("activation", Choice(("relu", abs))),
            Hyperparameter("epochs", Fixed(5)),
        ]
    )
    assert distributions(space) == {
        "units": IntDistribution(8, 64, step=8),
        "batch": IntDistribution(16, 256, log=True),
        "rate": FloatDistribution(1e-4, 1e-1, log=True),
        "dropout": CategoricalDistribution([0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        "activation": CategoricalDistribution(["relu", "abs"]),
    }


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_are_those_of_the_run(run, result, kind):
    unitune.export(run, kind)
    folder = run / f"export-{kind}"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}" for name in ("trials", "members", "histories", "probes")
    }
    # Otherwise pandas before 3 reads some numbers a last bit beside.
    means = {"accuracy_mean": lambda text: float(text or "nan")}
    read = partial(pd.read_csv, converters=means) if kind == "csv" else pd.read_parquet
    trials = read(folder / f"trials.{kind}")
    assert trials["trial"].tolist() == result.table()["trial"].tolist()
    assert trials["accuracy_mean"].dropna().tolist() == pytest.approx(result.table()["mean"].dropna().tolist(), abs=0)
    assert len(read(folder / f"members.{kind}")) == 36


def scalars(folder):
    """The scalars of TensorBoard's event files: records of a length, a checksum, an `Event`, and a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for file in sorted(folder.glob("events*")):
        content, place = file.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            place += 12 + length + 4
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(value.simple_value)
    return found


def test_events_hold_curves_and_scores(run, result, tmp_path):
    unitune.export(run, "tensorboard", tmp_path / "events")
    folders = sorted(path.name for path in (tmp_path / "events").iterdir())
    assert folders == [f"trial_{number:04d}" for number in range(1, 13)]
    events = scalars(tmp_path / "events" / "trial_0001")
    curve = events["validation/loss"]
    history = result.history(1).query("metric == 'loss' and split == 'validation'")
    assert curve == pytest.approx(history.groupby("epoch")["value"].mean().tolist(), rel=1e-6)
    assert events["score/accuracy"][0] == pytest.approx(result.trials[0].scores["accuracy"].mean)
    with pytest.raises(OptionError, match="not empty"):
        unitune.export(run, "tensorboard", tmp_path / "events")


@pytest.fixture
def mlflow(monkeypatch):
    """A stand-in for MLflow's client, whose real package is large, and the calls that it got."""
    calls = []

    class MlflowException(Exception):  # noqa: N818 - its name there
        pass

    class MlflowClient:
        def __init__(self, tracking_uri):
            if tracking_uri.startswith("file:"):
                raise MlflowException("The filesystem tracking backend is in maintenance mode.")
            calls.append(("uri", tracking_uri))

        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            return name

        def create_run(self, experiment, run_name):
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id=run_name))

        def log_batch(self, run_id, metrics=(), params=(), tags=()):
            calls.append((run_id, list(metrics), dict(params), dict(tags)))

        def set_terminated(self, run_id, status):
            if calls[0][1] == "http://breaks" and len(calls) > 9:
                raise MlflowException("no answer")
            calls.append((run_id, status))

    entities, exceptions = types.ModuleType("mlflow.entities"), types.ModuleType("mlflow.exceptions")
    entities.Metric = lambda *values: values
    entities.Param = entities.RunTag = lambda key, value: (key, value)
    exceptions.MlflowException = MlflowException
    module = types.ModuleType("mlflow")
    module.MlflowClient, module.entities, module.exceptions = MlflowClient, entities, exceptions
    for one in (module, entities, exceptions):
        monkeypatch.setitem(sys.modules, one.__name__, one)
    return calls


def test_mlflow_gets_parameters_scores_and_curves(run, mlflow):
    unitune.export(run, "mlflow", "http://localhost:5000")
    assert mlflow[0] == ("uri", "http://localhost:5000")
    first = [call for call in mlflow if call[0] == "trial 1" and len(call) == 4]
    assert {name for call in first for name in call[2]} == {"units", "activation", "learning_rate"}
    assert {metric[0] for call in first for metric in call[1]} >= {"accuracy", "train/loss", "validation/loss"}
    assert [call[1] for call in mlflow if len(call) == 2][1:].count("FAILED") == 2


def test_a_place_that_mlflow_does_not_take_is_refused(run, mlflow):
    with pytest.raises(OptionError, match=r"maintenance mode.*sqlite:///"):
        unitune.export(run, "mlflow", "file:///runs")
    assert mlflow == []


def test_an_mlflow_that_stops_answering_is_told(run, mlflow):
    with pytest.raises(SaveError, match=r"no answer.*delete it there"):
        unitune.export(run, "mlflow", "http://breaks")


MISSING = {"optuna": "sqlite:///x.db", "mlflow": "http://x", "tensorboard": "events"}


@pytest.mark.parametrize("to", MISSING)
def test_what_is_not_installed_is_named(run, to, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, {"tensorboard": "tensorboardX"}.get(to, to), None)
    with pytest.raises(OptionError, match=r"not installed.*pip install"):
        unitune.export(run, to, MISSING[to])


def test_a_place_is_needed_and_the_format_known(run):
    with pytest.raises(OptionError, match="Did you mean `optuna`"):
        unitune.export(run, "optunna")
    with pytest.raises(OptionError, match="needs a place"):
        unitune.export(run, "optuna")
    with pytest.raises(OptionError, match="within reach"):
        unitune.export(run, "optuna", "sqlite:////nowhere/study.db")
    with pytest.raises(OptionError, match=r"\.log"):
        unitune.export(run, "optuna", "study.txt")


def test_the_command_says_what_it_wrote(run, tmp_path):
    from typer.testing import CliRunner

    from unitune.cli.app import app

    done = CliRunner().invoke(app, ["export", str(run), "--to", "csv", str(tmp_path / "tables")])
    assert done.exit_code == 0
    assert "trials.csv" in done.stdout
    assert (tmp_path / "tables" / "members.csv").is_file()
    refused = CliRunner().invoke(app, ["export", str(run), "--to", "excel"])
    assert refused.exit_code == 2
    assert "must be a known format" in refused.stderr
