"""What a table and nothing else gives: how long networks train, what varies, on which scale, and the refit."""

import numpy as np
import pytest

import unitune
from unitune.engine.solo import fit_member, member_model
from unitune.errors import OptionError
from unitune.models.scaling import learns_log
from unitune.options import TuneOptions
from unitune.tuner.defaults import cost_of_defaults, until_learnt
from unitune.tuner.posed import pose_dense

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3))
    return x, x @ [2.0, -1.0, 0.5] + 0.3 * rng.normal(size=90)


def training_of(call):
    posed = pose_dense(TuneOptions(**call))
    domains = {name: posed.space[name].domain for name in posed.space.names}
    configuration = {name: (one.edges() or one.values())[0] for name, one in domains.items()}
    return posed, posed.network(configuration).training


@pytest.mark.parametrize("n_rows", [1, 8, 40, 150, 800, 5_000, 80_000, 1_000_000])
def test_limit_and_patience_follow_from_steps(n_rows):
    learning = until_learnt(n_rows)
    assert 16 <= learning.batch_size <= 512
    assert learning.steps == -(-n_rows // learning.batch_size)
    assert learning.patience * learning.steps >= 300
    assert learning.epochs * learning.steps >= 12_000 or learning.epochs >= 30
    assert learning.epochs >= 3 * learning.patience


def test_few_rows_are_gone_through_more_often():
    few, many = until_learnt(100), until_learnt(10_000)
    assert few.epochs > 10 * many.epochs
    assert few.batch_size < many.batch_size


def test_a_search_without_epochs_says_once_how_long_it_trains(rows):
    x, y = rows
    posed, training = training_of({"x": x, "y": y, "units": [4, 8]})
    learning = until_learnt(72)
    assert (training.epochs, training.batch_size) == (learning.epochs, learning.batch_size)
    assert training.early_stopping.patience == learning.patience
    assert training.early_stopping.min_delta > 0
    assert sum("no better validation loss" in note for note in posed.notes) == 1


def test_a_time_limit_leaves_room_for_a_few_trials(rows):
    x, y = rows
    call = {"x": x, "y": y, "units": [4, 8]}
    learning = until_learnt(72)
    for seconds, limited in ((10_000, False), (8, True), (0.1, True)):
        posed, training = training_of(call | {"time_limit_s": seconds})
        assert (1 <= training.epochs < learning.epochs) == limited
        assert any("for which the time limit has room" in note for note in posed.notes) == limited
        assert posed.space["epochs"].domain.values() == (learning.epochs,)  # goes on under another limit
    _, training = training_of(call | {"time_limit_s": 0.1, "epochs": 7})
    assert training.epochs == 7


@pytest.mark.parametrize("given", [{"epochs": 7}, {"epochs": 7, "patience": 2}, {"epochs": [3, 7]}])
def test_epochs_that_were_given_mean_what_they_meant(rows, given):
    x, y = rows
    posed, training = training_of({"x": x, "y": y, "units": [4, 8], "activations": "relu"} | given)
    assert training.epochs in (3, 7)
    assert training.batch_size == 32
    assert training.optimizer.learning_rate == 0.001
    assert "weight_decay" not in training.optimizer.config
    assert (training.early_stopping is None) == ("patience" not in given)
    if training.early_stopping is not None:
        assert training.early_stopping.min_delta == 0.0
    assert posed.space.varying == ("units",) + (("epochs",) if given["epochs"] == [3, 7] else ())


def test_patience_that_was_given_is_kept_without_epochs(rows):
    x, y = rows
    _, training = training_of({"x": x, "y": y, "units": 4, "activations": "relu", "patience": 3})
    assert training.early_stopping.patience == 3
    assert training.early_stopping.min_delta == 0.0
    assert training.epochs == until_learnt(72).epochs


def test_only_what_was_given_varies(rows):
    x, y = rows
    posed, training = training_of({"x": x, "y": y, "units": [4, 8], "activations": "relu"})
    assert posed.space.varying == ("units",)
    assert posed.cost is None
    posed, training = training_of({"x": x, "y": y, "units": 4, "activations": "relu", "optimizers": "sgd"})
    assert training.optimizer.learning_rate == 0.01
    assert "weight_decay" not in training.optimizer.config


def test_the_default_space_varies_what_wins(rows):
    x, y = rows
    posed, _ = training_of({"x": x, "y": y})
    assert set(posed.space.varying) == {"layers", "units", "activation", "learning_rate", "dropout", "weight_decay"}
    posed, _ = training_of({"x": x, "y": y, "dropouts": 0.1, "layers": 3})
    assert set(posed.space.varying) == {"units", "activation", "learning_rate", "weight_decay"}


def test_the_default_budget_shrinks_as_rows_grow():
    costs = [
        cost_of_defaults(until_learnt(n), n_features=30, n_outputs=1, n_members=5) for n in (100, 800, 20_000, 80_000)
    ]
    trials = [one.trials for one in costs]
    assert trials == sorted(trials, reverse=True)
    assert trials[0] == 36
    assert trials[-1] >= 12
    assert costs[1].core_s < 110  # a minute on two cores


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_the_scale_of_the_target_does_not_matter(rows, factor):
    x, y = rows
    options = {"units": [4], "activations": "tanh", "folds": 2, "epochs": 4, "progress": False, "references": False}
    plain, scaled = (unitune.tune(x, one, **options) for one in (y, y * factor))
    assert scaled.best.scores["rmse"].mean == pytest.approx(plain.best.scores["rmse"].mean * factor, rel=1e-3)
    predictions = [one.predict(x)["prediction"].to_numpy() for one in (plain, scaled)]
    np.testing.assert_allclose(predictions[1], predictions[0] * factor, rtol=1e-2, atol=1e-3 * factor)


def test_a_heavy_tail_is_learnt_as_a_logarithm_and_undone_in_the_model(rows, tmp_path):
    x, _ = rows
    y = np.exp(2 * x[:, 0] + 5)
    options = {"units": [8], "activations": "tanh", "folds": 2, "progress": False, "references": False}
    result = unitune.tune(x, y, **options)
    assert any("logarithm" in note for note in result.notes)
    model = result.model()
    model.save(tmp_path / "model.keras")
    import keras

    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    predicted = loaded.predict(x, verbose=0)[:, 0]
    assert (predicted > 0).all()
    np.testing.assert_allclose(predicted, result.predict(x)["prediction"], rtol=1e-4)
    assert np.median(np.abs(np.log(predicted) - np.log(y))) < 0.3
    assert result.best.scores["r2"].mean > 0.5
    plain = unitune.tune(x, y, target_scale="standard", epochs=2, **options)
    assert not any("logarithm" in note for note in plain.notes)


def test_which_targets_have_a_heavy_tail():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=500)
    assert learns_log(np.exp(normal)[:, None], "regression")[0]
    for y in (normal, normal + 100, -np.exp(normal), np.exp(normal) - 1, rng.random(500), np.full(500, 3.0)):
        assert not learns_log(y[:, None], "regression")[0]
    assert learns_log(rng.random((500, 1)) + 1, "regression", "log")[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target_scale": "lgo"}, "did you mean.*`log`"),
        ({"target_scale": "log"}, "needs a target above 0"),
        ({"references": ["forest"]}, "`references` must be"),
    ],
)
def test_what_cannot_be_asked_for(rows, options, says):
    x, y = rows
    with pytest.raises(OptionError, match=f"(?i){says}"):
        unitune.tune(x, y, units=4, progress=False, **options)


def test_a_scale_for_classes_is_refused(rows):
    x, y = rows
    with pytest.raises(OptionError, match="is for regression"):
        unitune.tune(x, (y > 0).astype(int), units=4, target_scale="log", progress=False)


def test_the_refit_trains_the_steps_of_the_folds_as_plain_fit_would(rows):
    x, y = rows
    options = {"units": [8], "activations": "relu", "layers": 2, "dropouts": 0.2, "folds": 2, "progress": False}
    result = unitune.tune(x, y, references=False, **options)
    best = result.recommended
    losses = result.history().query("metric == 'loss' and split == 'validation'").pivot(index="epoch", columns="fold")
    fold_epochs = int(losses["value"].ffill().mean(axis=1).rolling(5, center=True, min_periods=1).mean().idxmin())
    batch = best.configuration["batch_size"]
    epochs = round(1.25 * fold_epochs * -(-45 // batch) / -(-90 // batch))
    assert result.summary()["recommended"]["epochs"] == epochs
    assert epochs < fold_epochs

    from unitune.tuner.refit import Refitter

    fitted = []
    refitter = result._source
    assert isinstance(refitter, Refitter)

    def by_fit(self, engine, job, split, epochs):
        with member_model(job, split) as model:
            fitted.append(fit_member(model, job, split, epochs=epochs, validate=False))
            return model.get_weights(), fitted[-1].failure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Refitter, "_as_a_member", by_fit)
        oracle = refitter.model(best, epochs, np.array([]))
    assert len(fitted[0].train) == epochs
    np.testing.assert_allclose(result.model().predict(x, verbose=0), oracle.predict(x, verbose=0), rtol=2e-3, atol=2e-3)


def test_the_refit_of_given_epochs_trains_these_epochs(rows):
    x, y = rows
    result = unitune.tune(x, y, units=[4], activations="relu", folds=2, epochs=5, progress=False, references=False)
    assert result.summary()["recommended"]["epochs"] == 5
