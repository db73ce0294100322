"""Networks of different depth, with and without dropout or normalization, of several optimizers, in one program."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stretch_worker as worker

from unitune.data.arrays import Split
from unitune.engine.fused import FusedEngine, read_jobs
from unitune.engine.stretch import fitted, joined_kinds, laid_out
from unitune.models import dense
from unitune.models.blueprint import Blueprint, LayerSpec
from unitune.models.heads import head
from unitune.records import Member

pytestmark = pytest.mark.slow

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
NORMALISED = (6, 7)  # which in float64 differ from `fit` by 3e-8, also alone in a program


@pytest.fixture(scope="module", params=[("tensorflow", "float32"), ("jax", "float64")], ids="-".join)
def trained(request, tmp_path_factory):
    backend, dtype = request.param
    file = tmp_path_factory.mktemp("stretch") / backend
    command = [sys.executable, str(Path(worker.__file__)), backend, dtype, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return pickle.loads(file.read_bytes()), TOLERANCE[dtype]


def test_members_that_lack_layers_train_as_fit_trains_them(trained):
    found, exact = trained
    assert found["programs"] == 1
    for trial, fit in found["fit"].items():
        fused = found["fused"][trial]
        assert fused["engine"] == "fused"
        tolerance = max(exact, 1e-7) if trial in NORMALISED else exact
        for name in ("curves", "predictions"):
            np.testing.assert_allclose(fused[name], fit[name], rtol=tolerance, atol=tolerance, err_msg=f"{trial}")
        assert [one.shape for one in fused["weights"]] == [one.shape for one in fit["weights"]]
        for mine, theirs in zip(fused["weights"], fit["weights"], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=10 * tolerance, atol=10 * tolerance, err_msg=f"{trial}")


def test_probes_are_those_of_the_layers_that_a_member_has(trained):
    found, _ = trained
    for trial, depth in ((0, 1), (1, 3), (2, 2), (3, 1)):
        probes = found["fused"][trial]["probes"]
        assert probes["dead_units"][-1] == depth
        assert probes["gradient_norm"][-1] == depth + 1


def test_a_mixed_space_needs_few_programs():
    """60 random trials of eight hyperparameters on five folds were 34 programs."""
    rng, own, jobs = np.random.default_rng(0), head("binary"), []
    for trial in range(60):
        configuration = {
            "layers": int(rng.integers(1, 4)),
            "units": int(rng.choice([16, 32, 64, 128, 256])),
            "activation": str(rng.choice(["relu", "tanh", "gelu", "elu"])),
            "optimizer": str(rng.choice(["adam", "rmsprop", "sgd"])),
            "learning_rate": float(10 ** rng.uniform(-4, -2)),
            "dropout": float(rng.choice([0.0, 0.2, 0.4])),
            "weight_decay": float(rng.choice([0.0, 1e-4, 1e-3])),
            "batch_size": int(rng.choice([16, 32, 64])),
            "epochs": 20,
        }
        network, training = dense.blueprint(configuration, own), dense.training(configuration, own)
        for fold in range(5):
            member = Member(trial=trial, fold=fold, repeat=0, seed=fold)
            jobs.append(worker.Job(member=member, split=fold, blueprint=network, training=training))
    x, y = np.zeros((569, 30), "float32"), np.zeros((569, 1), "float32")
    splits = [Split(fold=i, repeat=0, x_train=x[:455], y_train=y[:455], x_val=x[455:], y_val=y[455:]) for i in range(5)]
    _, readings, refused = read_jobs(jobs, splits)
    plan = FusedEngine().plan(jobs, readings, splits)
    assert not refused
    assert plan.n_members == 300
    assert plan.n_programs <= 6


def test_a_member_that_pauses_goes_on_in_a_program_of_more_layers_bit_for_bit():
    splits, jobs = [worker.split("float32")], worker.jobs()[:3]
    engine = FusedEngine(probes=False)
    whole = worker.by_trial(engine.train(jobs, splits))
    states = engine.prepare(jobs, splits)
    for until in (1, None):
        stage = [replace(job, until=until, state=state) for job, state in zip(jobs, states, strict=True)]
        outcomes = list(engine.train(stage, splits))
        found = worker.by_trial(outcomes)
        of_trial = {
            job.member.trial: state
            for one in outcomes
            if one.states
            for job, state in zip(one.jobs, one.states, strict=True)
        }
        states = [of_trial.get(job.member.trial) for job in jobs]
    for trial, one in whole.items():
        for mine, theirs in zip(one["weights"], found[trial]["weights"], strict=True):
            assert np.array_equal(mine, theirs)


def test_later_batches_of_shallower_networks_find_the_deeper_program():
    splits, engine = [worker.split("float32")], FusedEngine(probes=False)
    jobs = worker.jobs()

    def keys(chosen):
        _, readings, _ = read_jobs(chosen, splits)
        return {tile.key for tile in engine.plan(chosen, readings, splits).tiles}

    first = keys(jobs)
    assert keys(jobs[:1]) == keys(jobs[2:3]) == first


def test_a_member_that_diverges_leaves_deeper_neighbours_as_they_are():
    splits, jobs = [worker.split("float32")], worker.jobs()[:3]
    wild = replace(jobs[0].training, optimizer=replace(jobs[0].training.optimizer, learning_rate=float("inf")))
    engine = FusedEngine(probes=False)
    calm = worker.by_trial(engine.train(jobs, splits))
    beside = worker.by_trial(engine.train([replace(jobs[0], training=wild), *jobs[1:]], splits))
    for trial in (1, 2):
        for mine, theirs in zip(calm[trial]["weights"], beside[trial]["weights"], strict=True):
            assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("odd", ["softmax", "flatten"])
def test_what_cannot_be_padded_or_is_no_such_layer_stays_apart(odd):
    layers = [LayerSpec(class_name="Dense", config={"units": 4, "activation": "relu"})]
    extra = {"softmax": [LayerSpec(class_name="Dense", config={"units": 3, "activation": "softmax"})]}
    extra["flatten"] = [LayerSpec(class_name="UnitNormalization")]
    last = LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"})
    plain, other = (Blueprint(layers=(*layers, *more, last)) for more in ([], extra[odd]))
    jobs = [worker.job(i, one, "Adam") for i, one in enumerate((plain, other))]
    splits = [worker.split("float32")]
    _, readings, refused = read_jobs(jobs, splits)
    assert not refused
    assert FusedEngine().plan(jobs, readings, splits).n_programs == 2


def test_a_chain_fits_into_another_from_the_front():
    dense, relu, drop, odd = (("Dense",), ("Activation",), ("Dropout",), ("Conv2D",))
    assert fitted([dense, relu, dense, relu], [dense, relu, drop, dense, relu, drop]) == [0, 1, 3, 4]
    assert fitted([dense], [drop, dense]) is None  # the first layer is everybody's
    assert fitted([dense, relu], [dense, odd, relu]) is None
    assert joined_kinds([dense, relu, drop], [dense, dense, relu]) is not None
    assert joined_kinds([dense, odd], [dense, relu]) is None


def test_a_network_laid_out_is_itself_where_nothing_is_missing():
    (reading,) = read_jobs(worker.jobs()[:1], [worker.split("float32")])[1]
    assert laid_out(reading, reading.nodes) is reading
