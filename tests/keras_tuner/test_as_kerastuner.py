"""What a search does around its trials, as KerasTuner 1.4.8 does it: the values here are those of its own runs."""

import json
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import unitune
from unitune import keras_tuner
from unitune.keras_tuner import applications, errors
from unitune.keras_tuner.engine.stateful import at_once

pytestmark = pytest.mark.slow

FIT = {"epochs": 1, "validation_split": 0.25, "verbose": 0}


def network(hp, units=3, loss="sparse_categorical_crossentropy", out=2, **settings):
    import keras

    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(units, "tanh"), keras.layers.Dense(out, "softmax" if out == 2 else None)]
    )
    model.compile(keras.optimizers.SGD(0.1), loss, **settings)
    return model


# Failures ---------------------------------------------------------------------------------------------------------


def test_only_failures_in_a_row_end_a_search_and_what_came_before_is_trained(rows, tmp_path):
    bad = {2, 3, 5, 6}

    def build(hp):
        if hp.Int("i", 1, 9) in bad:
            raise ValueError("not this one")
        return network(hp)

    made = keras_tuner.GridSearch(build, "val_loss", directory=tmp_path, max_consecutive_failed_trials=3)
    made.search(*rows[:2], **FIT)
    assert [t.status[0] for t in made.oracle.trials.values()] == list("CFFCFFCCC")
    assert list(made.results()["error"].dropna()) == ["ValueError: not this one"] * 4
    bad |= {4}
    made = keras_tuner.GridSearch(
        build, "val_loss", directory=tmp_path, overwrite=True, max_consecutive_failed_trials=3
    )
    with pytest.raises(RuntimeError, match=r"limit of 3(.|\n)*not this one"):
        made.search(*rows[:2], **FIT)
    assert [t.status[0] for t in made.oracle.trials.values()] == list("CFFF")


@pytest.mark.filterwarnings("ignore:.* trials were trained with plain `fit`")
def test_one_trial_that_cannot_be_trained_fails_alone(rows, tmp_path):
    target = np.eye(3, dtype="float32")[np.resize([0, 1, 2], len(rows[0]))]

    def build(hp):
        return network(
            hp, loss="mse" if hp.Choice("loss", ["mse", "own"]) == "mse" else "mae", out=hp.Choice("out", [3, 5])
        )

    made = keras_tuner.GridSearch(build, "val_loss", directory=tmp_path)
    made.search(rows[0], target, **FIT)
    assert {(t.hyperparameters["out"], t.status) for t in made.oracle.trials.values()} == {
        (3, "COMPLETED"),
        (5, "FAILED"),
    }


def test_a_typo_is_an_error_of_the_constructor(tmp_path):
    def build(hp):
        hp.Int("units", 1, 4)
        return network(hpp)  # noqa: F821

    with pytest.raises(NameError, match="hpp"):
        keras_tuner.RandomSearch(build, "val_loss", directory=tmp_path)


# Code of the user's own --------------------------------------------------------------------------------------------


class Counted(keras_tuner.HyperModel):
    """Counts its calls, and sees that it may set a handler of signals, as on the main thread only."""

    def __init__(self, fitted):
        super().__init__()
        self.built, self.fitted, self.how = 0, 0, fitted

    def build(self, hp):
        self.built += 1
        hp.Int("units", 2, 9)
        return network(hp)

    def fit(self, hp, model, x, y, validation_split, epochs, callbacks):
        assert threading.current_thread() is threading.main_thread()
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        self.fitted += 1
        return self.how(model, x, y, {"validation_split": validation_split, "epochs": epochs, "callbacks": callbacks})


def _fit(model, x, y, fit):
    return model.fit(x, y, verbose=0, **fit)


def _fit_where_it_has_no_form(model, x, y, fit):
    return model.fit(x, y, verbose=0, validation_freq=2, **{**fit, "epochs": 2})


def _fit_twice(model, x, y, fit):
    model.fit(x, y, verbose=0, **fit)
    return model.fit(x, y, verbose=0, **fit)


def _own_loop(model, x, y, fit):
    import keras

    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build(model.trainable_variables)
    for callback in fit["callbacks"]:
        callback.set_model(model)
    loss = float(np.mean(model.evaluate(x, y, verbose=0)))
    model.layers[0].bias.assign([7.0, 8.0, 9.0])
    for callback in fit["callbacks"]:
        callback.on_epoch_end(0, {"val_loss": loss})
    return loss


def _own_loop_without_callbacks(model, x, y, fit):
    model.layers[0].bias.assign([7.0, 8.0, 9.0])
    return {"val_loss": float(np.mean(model.evaluate(x, y, verbose=0)))}


@pytest.mark.parametrize(
    ("how", "engine"),
    [
        (_fit, "fused"),
        (_fit_where_it_has_no_form, "solo"),
        (_fit_twice, "solo"),
        (_own_loop, "solo"),
        (_own_loop_without_callbacks, "solo"),
    ],
)
@pytest.mark.filterwarnings("ignore:.* trials were trained with plain `fit`")
def test_a_fit_of_the_users_own_runs_once_on_the_main_thread_and_its_model_is_kept(how, engine, rows, tmp_path):
    mine = Counted(how)
    made = keras_tuner.RandomSearch(mine, "val_loss", 2, seed=0, directory=tmp_path)
    explored = mine.built
    fit = {name: value for name, value in FIT.items() if name != "verbose"}
    made.oracle.verbose = 0
    made.search(*rows[:2], **fit)
    assert list(made.results()["engine"]) == [engine] * 2, made.results()
    assert (mine.built - explored, mine.fitted) == (2, 2)
    model = made.get_best_models()[0]
    if "loop" in how.__name__:
        np.testing.assert_array_equal(model.layers[0].bias, [7.0, 8.0, 9.0])
    else:
        assert np.isfinite(model.evaluate(*rows[2], verbose=0))


@pytest.mark.parametrize("comes_to_fit", [True, False])
def test_a_run_trial_of_the_users_own_is_read_up_to_that_of_the_tuner(comes_to_fit, rows, tmp_path):
    sizes = []

    class Batches(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            kwargs["batch_size"] = trial.hyperparameters.Int("batch_size", 16, 32, step=16)
            sizes.append(kwargs["batch_size"])
            if comes_to_fit:
                return super().run_trial(trial, *args, **kwargs)
            model = self.hypermodel.build(trial.hyperparameters)
            return model.fit(*args, **kwargs)

    made = Batches(lambda hp: network(hp, hp.Int("units", 2, 9)), "val_loss", 3, seed=0, directory=tmp_path)
    made.search(*rows[:2], **FIT)
    assert len(sizes) == 3
    assert {"batch_size", "units"} <= set(made.oracle.get_space().values)
    assert made.get_best_models()[0].evaluate(*rows[2], verbose=0) > 0
    if comes_to_fit:
        assert set(made.results()["engine"]) == {"fused"}


def test_a_function_whose_trial_has_no_fused_form_runs_once(rows, tmp_path):
    import keras

    class Mine(keras.callbacks.Callback):
        pass

    built = []

    def build(hp):
        built.append(threading.current_thread())
        model = network(hp, hp.Int("units", 2, 9))
        built.append(float(np.sum(model.layers[0].kernel)))  # a look at a variable is no reason to build it again
        return model

    made = keras_tuner.RandomSearch(build, "val_loss", 2, seed=0, directory=tmp_path)
    explored = len(built)
    with pytest.warns(UserWarning, match="2 of 2 trials were trained with plain `fit`"):
        made.search(*rows[:2], callbacks=[Mine()], **FIT)
    assert len(built) == explored + 4
    assert set(built[::2]) == {threading.main_thread()}
    assert all(built[1::2])


# What is on disk ---------------------------------------------------------------------------------------------------


def test_what_was_trained_before_a_search_ended_is_kept(rows, tmp_path):
    class Ends(keras_tuner.HyperModel):
        after = 3

        def build(self, hp):
            hp.Int("units", 2, 40)
            return network(hp)

        def fit(self, hp, model, *args, **kwargs):
            history = model.fit(*args, **kwargs)
            self.after -= 1
            if self.after == 0:
                raise errors.FatalError("enough")
            return history

    made = keras_tuner.RandomSearch(Ends(), "val_loss", 5, seed=0, directory=tmp_path)
    with pytest.raises(errors.FatalError, match="enough"):
        made.search(*rows[:2], **FIT)
    again = keras_tuner.RandomSearch(Ends(), "val_loss", 5, seed=0, directory=tmp_path)
    done = [t for t in again.oracle.trials.values() if t.status == "COMPLETED"]
    assert len(done) == 4  # all of the tile, but for the one that raised
    assert np.isfinite(again.get_best_models()[0].evaluate(*rows[2], verbose=0))
    again.search(*rows[:2], **FIT)
    assert [t.status for t in again.oracle.trials.values()] == ["COMPLETED"] * 5
    assert {t.score for t in done} <= {t.score for t in again.oracle.trials.values()}


def test_a_search_that_is_killed_in_its_first_training_goes_on(rows, tmp_path):
    script = """
        import os, numpy as np, keras
        from unitune import keras_tuner
        from unitune.engine.fused import FusedEngine
        def build(hp):
            units = hp.Int("units", 2, 9)
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)])
            model.compile("sgd", "mse")
            return model
        FusedEngine.train = lambda *args, **kwargs: os._exit(9)
        made = keras_tuner.RandomSearch(build, "val_loss", 3, seed=0, directory=%r)
        made.search(np.ones((8, 4), "float32"), np.ones(8, "float32"), validation_split=0.5, verbose=0)
    """
    script = textwrap.dedent(script) % str(tmp_path)
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=300).returncode == 9
    begun = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("*/trial_*/trial.json")}
    assert len(begun) == 3

    def build(hp):
        return network(hp, hp.Int("units", 2, 9), "mse", 1)

    made = keras_tuner.RandomSearch(build, "val_loss", 3, seed=0, directory=tmp_path)
    made.search(*rows[:2], **FIT)
    assert [t.status for t in made.oracle.trials.values()] == ["COMPLETED"] * 3
    for trial_id, trial in made.oracle.trials.items():
        assert trial.hyperparameters.values == begun[f"trial_{trial_id}"]["hyperparameters"]["values"]


def test_two_writers_of_one_file_do_not_share_a_draft(tmp_path):
    with at_once(tmp_path / "a.json") as one, at_once(tmp_path / "a.json") as other:
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


# Proposals ----------------------------------------------------------------------------------------------------------


def numbers(tuner, folder, space, **settings):
    class Numbers(tuner):
        def run_trial(self, trial, *args, **kwargs):
            self.hypermodel.build(trial.hyperparameters)
            return float(trial.hyperparameters["a"])

    made = Numbers(space, seed=7, directory=folder, **settings)
    made.search(verbose=0)
    return [trial.hyperparameters.values for trial in made.oracle.trials.values()]


def test_a_seed_draws_the_trials_that_kerastuner_draws(tmp_path):
    def space(hp):
        hp.Int("a", 1, 100)
        hp.Int("b", 2, 64, step=2, sampling="log")
        hp.Float("c", 1e-4, 1, sampling="log")
        hp.Choice("d", ["p", "q", "r"])
        hp.Boolean("e")

    found = numbers(keras_tuner.RandomSearch, tmp_path, space, max_trials=2)
    assert [(v["a"], v["b"], v["d"], v["e"]) for v in found] == [(33, 4, "q", False), (48, 4, "r", False)]
    assert found[0]["c"] == pytest.approx(0.007112617127901861)


def test_hyperband_has_the_brackets_and_rounds_that_kerastuner_has(tmp_path):
    found = numbers(keras_tuner.Hyperband, tmp_path, lambda hp: hp.Int("a", 1, 10**6), max_epochs=10, factor=3)
    rounds = [(v["tuner/bracket"], v["tuner/round"]) for v in found]
    assert {one: rounds.count(one) for one in sorted(set(rounds))} == {
        (0, 0): 4, (1, 0): 6, (1, 1): 2, (2, 0): 12, (2, 1): 4, (2, 2): 2,
    }  # fmt: skip


def test_a_trial_that_is_tried_again_keeps_its_number(rows, tmp_path, capsys):
    fails = [True]

    class Once(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            if trial.trial_id == "0" and fails.pop():
                fails.append(False)
                raise ValueError("once")
            return float(trial.hyperparameters.Int("a", 1, 9))

    made = Once(lambda hp: hp.Int("a", 1, 9), max_trials=2, seed=0, directory=tmp_path, max_retries_per_trial=1)
    made.search()
    begins = [line for line in capsys.readouterr().out.splitlines() if line.endswith("begins")]
    assert begins == ["Trial 1 of 2 begins", "Trial 1 of 2 begins", "Trial 2 of 2 begins"]


# KerasTuner's own objects and names ---------------------------------------------------------------------------------


def test_what_was_written_for_kerastuner_is_taken(rows, tmp_path):
    """Classes of a package of that name, which need not be installed."""

    class HyperModel:
        tunable, name = True, None

        def declare_hyperparameters(self, hp):
            pass

        def build(self, hp):
            return network(hp, hp.Int("units", 2, 9))

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, **kwargs)

    class Objective:
        name, direction = "val_loss", "min"

    HyperModel.fit.__qualname__ = "HyperModel.fit"
    HyperModel.fit.__module__ = Objective.__module__ = "keras_tuner.src.engine"
    made = keras_tuner.RandomSearch(HyperModel(), Objective(), 2, seed=0, directory=tmp_path)
    made.search(*rows[:2], **FIT)
    assert set(made.results()["engine"]) == {"fused"}
    assert made.oracle.objective == keras_tuner.Objective("val_loss", "min")


@pytest.mark.parametrize("kind", [keras_tuner.RandomSearch, keras_tuner.GridSearch])
def test_a_project_of_kerastuners_is_continued_or_left_alone(kind, rows, tmp_path):
    made = kind(lambda hp: network(hp, hp.Int("units", 2, 9)), "val_loss", 2, seed=0, directory=tmp_path)
    made.search(*rows[:2], **FIT)
    file = tmp_path / "untitled_project" / "oracle.json"
    state = json.loads(file.read_text())
    own = {"kind", "open", "settled"}
    file.write_text(json.dumps({name: value for name, value in state.items() if name not in own}))
    settings = {"max_trials": 3, "seed": 0, "directory": tmp_path}
    if kind is keras_tuner.GridSearch:
        with pytest.raises(RuntimeError, match="begun with KerasTuner") as told:
            kind(lambda hp: network(hp, hp.Int("units", 2, 9)), "val_loss", **settings)
        assert "overwrite" not in str(told.value)
        return
    again = kind(lambda hp: network(hp, hp.Int("units", 2, 9)), "val_loss", **settings)
    again.search(*rows[:2], **FIT)
    assert [t.status for t in again.oracle.trials.values()] == ["COMPLETED"] * 3


def test_a_server_of_kerastuners_is_no_way_to_share_a_search(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with pytest.raises(unitune.OptionError, match=r'KERASTUNER_ORACLE_IP.*executor="ray"'):
        keras_tuner.RandomSearch(network, "val_loss", directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_names_of_kerastuner_are_there():
    assert keras_tuner.__version__.startswith("1.4")
    assert keras_tuner.tuners.Sklearn is keras_tuner.SklearnTuner
    assert keras_tuner.engine.multi_execution_tuner.MultiExecutionTuner is keras_tuner.Tuner


@pytest.mark.parametrize(
    ("made", "names", "parameters"),
    [
        (
            applications.HyperResNet,
            {"version", "conv3_depth", "conv4_depth", "pooling", "optimizer", "learning_rate"},
            23_585_290,
        ),
        (
            applications.HyperXception,
            {"activation", "conv2d_num_filters", "kernel_size", "initial_strides", "sep_num_filters", "pooling"}
            | {"num_residual_blocks", "num_dense_layers", "dropout_rate", "dense_use_bn", "learning_rate"},
            1_059_744,
        ),
    ],
)  # fmt: skip
def test_applications_are_those_of_kerastuner(made, names, parameters):
    hp = keras_tuner.HyperParameters()
    model = made(input_shape=(64, 64, 3), classes=10).build(hp)
    assert (set(hp.values), model.count_params()) == (names, parameters)
    with pytest.raises(unitune.OptionError, match="classes"):
        made(input_shape=(64, 64, 3))


def test_augmentations_are_those_of_kerastuner():
    hp = keras_tuner.HyperParameters()
    made = applications.HyperImageAugment(input_shape=(8, 8, 3), rotate=[0.2, 0.3], contrast=None, augment_layers=2)
    images = np.random.default_rng(0).random((4, 8, 8, 3), "float32")
    assert np.shape(made.build(hp)(images)) == images.shape
    assert [one.name for one in hp.space] == [
        "augment_layers", "factor_rotate", "factor_translate_x", "factor_translate_y",
    ]  # fmt: skip
    assert (hp.space[1].min_value, hp.space[1].max_value) == (0.2, 0.3)
