import re

import numpy as np
import pytest

import unitune
from unitune import keras_tuner
from unitune.keras_tuner import errors

pytestmark = pytest.mark.slow


def searched(build_model, rows, folder, tuner=keras_tuner.RandomSearch, fit=None, **settings):
    x, y, held_out = rows
    settings = {"objective": "val_accuracy", "seed": 1, "directory": folder, **settings}
    if tuner is not keras_tuner.Hyperband:
        settings.setdefault("max_trials", 4)
    made = tuner(build_model, **settings)
    made.search(x, y, **{"epochs": 3, "validation_data": held_out, "verbose": 0, **(fit or {})})
    return made


@pytest.fixture(scope="module")
def random_search(build_model, rows, tmp_path_factory):
    return searched(build_model, rows, tmp_path_factory.mktemp("random"), executions_per_trial=2)


def test_trials_are_fused_and_every_executions_score_is_there(random_search):
    table = random_search.results()
    assert list(table["engine"]) == ["fused"] * 4
    np.testing.assert_allclose(table["score"], (table["score_1"] + table["score_2"]) / 2)
    assert table["score"].is_monotonic_decreasing


def test_inactive_hyperparameters_are_not_shown(random_search):
    for trial in random_search.oracle.trials.values():
        assert "units_1" not in trial.hyperparameters.values or trial.hyperparameters.values["layers"] in (1, 2)


def test_functions_are_shown_by_their_names(rows, tmp_path, capsys):
    import keras

    def wave(values):
        return keras.ops.sin(values)

    def build(hp):
        activation = hp.Choice("act", ["relu", wave, None])
        model = keras.Sequential([keras.layers.Dense(2, activation=activation), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    tuner = keras_tuner.GridSearch(build, objective="val_loss", directory=tmp_path)
    tuner.search(*rows[:2], epochs=1, validation_data=rows[2], verbose=0)
    assert set(tuner.results()["act"]) == {"relu", "wave", None}
    tuner.results_summary()
    assert "act: wave\n" in capsys.readouterr().out
    tuner.search_space_summary()
    assert capsys.readouterr().out.endswith("act (Choice)\n  relu, wave, None; default relu\n")


def test_the_space_is_shown_with_its_conditions(tmp_path, capsys):
    import keras

    def build(hp):
        hp.Choice("kind", ["mlp", "cnn"])
        with hp.conditional_scope("kind", ["cnn"]):
            hp.Int("filters", 8, 32, step=2, sampling="log")
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    keras_tuner.RandomSearch(build, "val_loss", directory=tmp_path).search_space_summary()
    shown = capsys.readouterr().out
    assert shown.startswith("Search space summary: 2 hyperparameters\n")
    assert "kind (Choice)\n  mlp, cnn; default mlp\n" in shown
    assert "filters (Int), where kind = cnn\n  8, 16, 32; default 8\n" in shown


def test_models_come_back_as_they_were_in_their_best_epoch(random_search, rows):
    x, y = rows[2]
    best = random_search.oracle.get_best_trials()[0]
    objective = max(one["val_accuracy"] for one in best.executions)
    loss, accuracy = random_search.get_best_models()[0].evaluate(x, y, verbose=0)
    assert accuracy == pytest.approx(objective)
    assert np.isfinite(loss)
    assert random_search.get_best_hyperparameters()[0].values == best.hyperparameters.values


def test_a_project_is_continued_unless_it_is_to_be_overwritten(random_search, build_model, rows, capsys):
    settings = {"objective": "val_accuracy", "directory": random_search.directory, "executions_per_trial": 2}
    again = keras_tuner.RandomSearch(build_model, max_trials=4, **settings)
    assert {one: t.score for one, t in again.oracle.trials.items()} == {
        one: t.score for one, t in random_search.oracle.trials.items()
    }
    assert again.remaining_trials == 0
    assert again.get_best_models()[0].predict(rows[0][:2], verbose=0).shape == (2, 2)
    with pytest.raises(RuntimeError, match="overwrite=True"):
        keras_tuner.BayesianOptimization(build_model, max_trials=4, **settings)


def test_one_seed_covers_everything(random_search, build_model, rows, tmp_path):
    same = searched(build_model, rows, tmp_path, executions_per_trial=2)
    assert [t.score for t in same.oracle.trials.values()] == [t.score for t in random_search.oracle.trials.values()]
    assert [t.hyperparameters.values for t in same.oracle.trials.values()] == [
        t.hyperparameters.values for t in random_search.oracle.trials.values()
    ]


def test_fused_training_is_what_fit_would_have_done(build_model, rows, tmp_path):
    """From a model's own weights, on the same rows in the same order."""

    def with_weights(hp):
        model = build_model(hp)
        model.build((None, 4))
        model.set_weights([np.linspace(-0.5, 0.7, w.size).reshape(w.shape) for w in model.get_weights()])
        return model

    fit = {"shuffle": False, "batch_size": 16}
    fused = searched(with_weights, rows, tmp_path / "f", objective="val_loss", max_trials=2, fit=fit)
    solo = searched(with_weights, rows, tmp_path / "s", objective="val_loss", max_trials=2, fit=fit, engine="solo")
    assert [t.engine for t in fused.oracle.trials.values()] == ["fused", "fused"]
    for one, other in zip(fused.oracle.trials.values(), solo.oracle.trials.values(), strict=True):
        assert one.hyperparameters.values == other.hyperparameters.values
        for name, value in other.executions[0].items():
            assert one.executions[0][name] == pytest.approx(value, rel=1e-4), name


def test_a_grid_visits_every_combination_once(rows, tmp_path):
    def build(hp):
        import keras

        model = keras.Sequential()
        if hp.Boolean("hidden"):
            model.add(keras.layers.Dense(hp.Choice("units", [2, 3]), activation="tanh"))
        model.add(keras.layers.Dense(1, activation=hp.Choice("output", ["sigmoid", None])))
        model.compile("sgd", "mse")
        return model

    found = searched(build, rows, tmp_path, keras_tuner.GridSearch, objective="val_loss", max_trials=None)
    tried = [frozenset(t.hyperparameters.values.items()) for t in found.oracle.trials.values()]
    assert len(tried) == len(set(tried))
    assert {(dict(one)["hidden"], dict(one).get("units"), dict(one)["output"]) for one in tried} >= {
        (True, units, output) for units in (2, 3) for output in ("sigmoid", None)
    }


def test_hyperband_goes_on_with_the_optimizers_state(build_model, rows, tmp_path):
    found = searched(
        build_model,
        rows,
        tmp_path,
        keras_tuner.Hyperband,
        max_epochs=4,
        factor=2,
        objective="val_loss",
        fit={"epochs": 9},
    )
    trials = found.oracle.trials
    later = [t for t in trials.values() if "tuner/trial_id" in t.hyperparameters.values]
    assert later
    for trial in later:
        values = trial.hyperparameters.values
        before = trials[values["tuner/trial_id"]]
        assert values["tuner/initial_epoch"] == before.hyperparameters.values["tuner/epochs"]
        mine = {name: value for name, value in values.items() if not name.startswith("tuner/")}
        assert mine.items() <= before.hyperparameters.values.items() | mine.items()
    assert set(found.results()["engine"]) == {"fused"}


def test_bayesian_optimization_repeats_nothing_in_a_small_space(rows, tmp_path):
    def build(hp):
        import keras

        hp.Choice("a", ["p", "q", "r"])
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    settings = {"objective": "val_loss", "max_trials": 20, "num_initial_points": 3}
    found = searched(build, rows, tmp_path, keras_tuner.BayesianOptimization, fit={"epochs": 1}, **settings)
    tried = {frozenset(t.hyperparameters.values.items()) for t in found.oracle.trials.values()}
    assert len(tried) == len(found.oracle.trials) == 12


def test_folds_stand_in_for_validation_rows(build_model, rows, tmp_path):
    made = keras_tuner.RandomSearch(build_model, "val_accuracy", 2, seed=0, directory=tmp_path, folds=3)
    made.search(rows[0], rows[1], epochs=2, verbose=0)
    assert [len(t.executions) for t in made.oracle.trials.values()] == [3, 3]
    made.oracle.max_trials = 3
    with pytest.raises(unitune.OptionError, match="`folds`"):
        made.search(rows[0], rows[1], validation_split=0.2, verbose=0)


def test_the_weights_of_the_best_only_are_kept(build_model, rows, tmp_path):
    found = searched(build_model, rows, tmp_path, keep=1)
    assert len(list(tmp_path.glob("*/trial_*/weights.npz"))) == 1
    with pytest.raises(unitune.OptionError, match="were not kept"):
        found.get_best_models(2)


def test_a_fit_of_the_users_own_is_fused_up_to_its_call_of_fit(build_model, rows, tmp_path):
    class Scaled(keras_tuner.HyperModel):
        def build(self, hp):
            return build_model(hp)

        def fit(self, hp, model, x, y, **kwargs):
            if hp.Boolean("scale"):
                x = x / 2
            history = model.fit(x, y, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)
            values = model.evaluate(*kwargs["validation_data"], verbose=0)
            return {"val_accuracy": values[1], "last": history.history["val_accuracy"][-1]}

    found = searched(Scaled(), rows, tmp_path, max_trials=4)
    assert set(found.results()["engine"]) == {"fused"}
    assert {"scale", "batch_size"} <= set(found.oracle.get_space().values)
    # The model was given its trained weights before the user's code went on.
    assert all(t.executions[0]["val_accuracy"] >= 0.3 for t in found.oracle.trials.values())


def test_a_fit_of_the_users_own_is_fused_for_a_functional_model_too(rows, tmp_path):
    import keras

    class Mine(keras_tuner.HyperModel):
        def build(self, hp):
            entry = keras.Input(rows[0].shape[1:])
            hidden = keras.layers.Dense(hp.Int("units", 2, 4, step=2), activation="relu")(entry)
            model = keras.Model(entry, keras.layers.Dense(3, activation="softmax")(hidden))
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)

    found = searched(Mine(), rows, tmp_path, max_trials=2)
    assert list(found.results()["engine"]) == ["fused", "fused"]


def test_what_has_no_fused_form_runs_with_keras_and_says_why(build_model, rows, tmp_path):
    import keras

    class Mine(keras.callbacks.Callback):
        pass

    with pytest.warns(UserWarning, match="2 of 2 trials were trained with plain `fit`.*`Mine`"):
        found = searched(build_model, rows, tmp_path, max_trials=2, fit={"epochs": 1, "callbacks": [Mine()]})
    assert list(found.results()["engine"]) == ["solo", "solo"]
    assert found.results()["engine_reason"].str.contains("Mine").all()
    with pytest.raises(unitune.FusionError, match="Mine"):
        searched(build_model, rows, tmp_path / "b", engine="fused", fit={"callbacks": [Mine()]})


def test_run_trial_can_be_anything(tmp_path):
    class Parabola(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return (trial.hyperparameters.Float("x", -1, 1) - 0.5) ** 2

    made = Parabola(max_trials=20, directory=tmp_path, seed=0)
    made.search(verbose=0)
    assert made.oracle.get_best_trials()[0].score < 0.05


# Bad input ------------------------------------------------------------------------------------------------------


def test_a_function_that_raises_is_told_of_once_retried_and_ends_the_search(rows, tmp_path, capsys):
    calls = []

    def build(hp):
        calls.append(hp.values)
        if hp.Int("units", 1, 100) > 1:  # with the defaults it would be an error of the constructor, as in KerasTuner
            raise ZeroDivisionError("of my own")

    made = keras_tuner.RandomSearch(
        build, "val_loss", 9, seed=0, directory=tmp_path, max_retries_per_trial=1, max_consecutive_failed_trials=2
    )
    with pytest.raises(RuntimeError, match=r"limit of 2(.|\n)*of my own"):
        made.search(rows[0], rows[1], validation_data=rows[2])
    assert [t.status for t in made.oracle.trials.values()] == ["FAILED", "FAILED"]
    shown = capsys.readouterr().out
    assert shown.count("ZeroDivisionError: of my own") == 1
    assert re.findall(r'File ".*", line \d+, in (\w+)', shown) == ["build"]


def test_the_traceback_of_a_trial_that_was_not_fused_says_nothing_of_that(rows, tmp_path):
    def build(hp):
        import keras

        class Own(keras.Sequential):
            def train_step(self, *args, **kwargs):
                raise ZeroDivisionError("of my own")

        model = Own([keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    made = keras_tuner.RandomSearch(build, "val_loss", 1, seed=0, directory=tmp_path, max_consecutive_failed_trials=1)
    with pytest.raises(RuntimeError, match="of my own") as raised:
        made.search(rows[0], rows[1], validation_data=rows[2], verbose=0)
    assert "another exception" not in str(raised.value)


@pytest.mark.parametrize(("returned", "said"), [(None, "NoneType"), ("model", "str")])
def test_a_function_that_returns_no_model_is_refused(returned, said, rows, tmp_path):
    made = keras_tuner.RandomSearch(lambda hp: returned, "val_loss", 2, directory=tmp_path)
    with pytest.raises(errors.FatalTypeError, match=f"Expected the model-building function.*{said}"):
        made.search(rows[0], rows[1], verbose=0)


def test_a_model_that_is_not_compiled_fails_its_trial(rows, tmp_path):
    def build(hp):
        import keras

        hp.Int("units", 1, 9)
        return keras.Sequential([keras.layers.Dense(1)])

    made = keras_tuner.RandomSearch(build, "val_loss", 4, directory=tmp_path)
    with pytest.raises(RuntimeError, match="compile"):
        made.search(rows[0], rows[1], validation_data=rows[2], verbose=0)


def test_an_objective_that_is_not_logged_lists_those_that_are(build_model, rows, tmp_path):
    made = keras_tuner.RandomSearch(build_model, keras_tuner.Objective("val_f1", "max"), 2, directory=tmp_path, seed=0)
    with pytest.raises(errors.FatalValueError, match=r"`val_f1`.*`accuracy`, `loss`, `val_accuracy`, `val_loss`"):
        made.search(rows[0], rows[1], epochs=1, validation_data=rows[2], verbose=0)


def test_the_first_of_two_domains_of_one_name_holds_as_in_kerastuner(rows, tmp_path, caplog):
    seen = []

    def build(hp):
        import keras

        seen.append((hp.Int("units", 2, 4), hp.Int("units", 20, 80)))
        model = keras.Sequential([keras.layers.Dense(seen[-1][0]), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    found = searched(build, rows, tmp_path, objective="val_loss", max_trials=2, fit={"epochs": 1})
    assert set(found.results()["engine"]) == {"fused"}
    assert all(first == second and 2 <= first <= 4 for first, second in seen)
    assert caplog.text.count("the first one holds") == 1


def test_a_loss_that_is_no_number_makes_a_trial_invalid(rows, tmp_path):
    def build(hp):
        import keras

        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(hp.Choice("rate", [1e30, 0.01])), "mse")
        return model

    found = searched(build, rows, tmp_path, objective="val_loss", max_trials=2, fit={"epochs": 2})
    by_rate = {t.hyperparameters["rate"]: t.status for t in found.oracle.trials.values()}
    assert by_rate == {1e30: "INVALID", 0.01: "COMPLETED"}


def test_public_names_are_where_kerastuner_has_them():
    from unitune.keras_tuner.engine import base_tuner, hyperparameters, oracle, trial
    from unitune.keras_tuner.oracles import HyperbandOracle
    from unitune.keras_tuner.tuners import RandomSearch

    assert RandomSearch is keras_tuner.RandomSearch is unitune.RandomSearch
    assert issubclass(HyperbandOracle, oracle.Oracle)
    assert issubclass(keras_tuner.Tuner, base_tuner.BaseTuner)
    assert hyperparameters.HyperParameters is unitune.HyperParameters
    assert trial.TrialStatus.COMPLETED == "COMPLETED"


@pytest.mark.parametrize("kind", ["tf.data", "PyDataset"])
def test_rows_in_batches_are_read_into_memory(kind, build_model, rows, tmp_path, in_batches):
    x, y, held_out = rows
    data = in_batches(kind, x, y)
    settings = {"objective": "val_loss", "max_trials": 2, "seed": 0}
    fit = {"epochs": 2, "validation_data": held_out, "verbose": 0, "shuffle": False}
    batched = keras_tuner.RandomSearch(build_model, directory=tmp_path / "a", **settings)
    batched.search(data, **fit)
    plain = keras_tuner.RandomSearch(build_model, directory=tmp_path / "b", **settings)
    plain.search(x, y, batch_size=16, **fit)
    assert set(batched.results()["engine"]) == {"fused"}
    assert list(batched.results()["score"]) == list(plain.results()["score"])


def test_another_optimizer_leaves_loss_and_metrics_as_they_were(build_model, rows, tmp_path):
    import keras

    found = searched(build_model, rows, tmp_path, max_trials=2, optimizer=keras.optimizers.SGD(0.05), fit={"epochs": 1})
    assert set(found.results()["status"]) == {"COMPLETED"}
    model = found.get_best_models()[0]
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert model.loss == "sparse_categorical_crossentropy"
