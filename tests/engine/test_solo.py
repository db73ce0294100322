"""The solo engine against plain `fit`."""

import keras
import numpy as np
import pytest

from unitune.data.arrays import Split
from unitune.engine.contract import Job
from unitune.engine.order import epoch_order
from unitune.engine.solo import SoloEngine, fit_member, member_model, predict, reason_of
from unitune.models.blueprint import (
    Blueprint,
    EarlyStopping,
    LayerSpec,
    OptimizerSpec,
    Plateau,
    Schedule,
    Training,
)
from unitune.models.build import build_model, initial_weights
from unitune.records import Member

pytestmark = pytest.mark.slow

N_TRAIN, N_VAL, N_FEATURES = 50, 17, 4
BLUEPRINT = Blueprint(
    layers=(
        LayerSpec(class_name="Dense", config={"units": 6, "activation": "tanh"}),
        LayerSpec(class_name="Dense", config={"units": 1, "activation": "sigmoid"}),
    )
)


def fitted_to(job: Job, **options):
    """What `fit` logs of a member."""
    split = a_split()
    with member_model(job, split) as model:
        return fit_member(model, job, split, **options)


def a_split(*, weights: bool = False) -> Split:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_TRAIN + N_VAL, N_FEATURES)).astype("float32")
    y = (x[:, :1] + 0.5 * rng.normal(size=(len(x), 1)) > 0).astype("float32")
    w = rng.uniform(0.5, 2, len(x)).astype("float32") if weights else None
    return Split(
        fold=0,
        repeat=0,
        x_train=x[:N_TRAIN],
        y_train=y[:N_TRAIN],
        x_val=x[N_TRAIN:],
        y_val=y[N_TRAIN:],
        w_train=None if w is None else w[:N_TRAIN],
        w_val=None if w is None else w[N_TRAIN:],
    )


def a_training(**changes) -> Training:
    settings = {
        "optimizer": OptimizerSpec(class_name="Adam", learning_rate=0.01),
        "loss": "binary_crossentropy",
        "metrics": ("accuracy",),
        "batch_size": 16,
        "epochs": 3,
    }
    return Training(**(settings | changes))


def a_job(training: Training, *, seed: int = 7, blueprint: Blueprint = BLUEPRINT, **changes) -> Job:
    member = Member(trial=1, fold=0, repeat=0, seed=seed)
    return Job(member=member, split=0, blueprint=blueprint, training=training, **changes)


def plain_fit(split: Split, training: Training, *, seed: int = 7, callbacks=()):
    """The same member with `fit` on arrays, an epoch at a time where the rows are reordered."""
    steps = -(-N_TRAIN // training.batch_size)
    model = build_model(BLUEPRINT, (N_FEATURES,), training, seed=seed, steps_per_epoch=steps)
    model.set_weights(initial_weights(BLUEPRINT, (N_FEATURES,), seed))
    validation = (split.x_val, split.y_val) if split.w_val is None else (split.x_val, split.y_val, split.w_val)
    logs: dict[str, list[float]] = {}
    runs = [(0, training.epochs)] if not training.shuffle else [(e, e + 1) for e in range(training.epochs)]
    for first, last in runs:
        order = epoch_order(N_TRAIN, seed, first) if training.shuffle else np.arange(N_TRAIN)
        history = model.fit(
            split.x_train[order],
            split.y_train[order],
            sample_weight=None if split.w_train is None else split.w_train[order],
            batch_size=training.batch_size,
            initial_epoch=first,
            epochs=last,
            shuffle=False,
            validation_data=validation,
            validation_batch_size=training.batch_size,
            callbacks=list(callbacks),
            verbose=0,
        ).history
        for name, values in history.items():
            logs.setdefault(name, []).extend(values)
    return model, logs


@pytest.mark.parametrize("shuffle", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize("weights", [False, True], ids=["plain", "weighted"])
def test_a_member_is_what_fit_makes_of_it(shuffle, weights):
    split, training = a_split(weights=weights), a_training(shuffle=shuffle)
    (outcome,) = SoloEngine("no reason").train([a_job(training)], [split])
    model, logs = plain_fit(split, training)
    np.testing.assert_allclose(outcome.train[0], np.array([logs["loss"], logs["accuracy"]]).T, rtol=1e-6)
    np.testing.assert_allclose(outcome.validation[0], np.array([logs["val_loss"], logs["val_accuracy"]]).T, rtol=1e-6)
    for ours, theirs in zip(outcome.weights[0], model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(outcome.validation_predictions[0], model.predict(split.x_val, verbose=0), rtol=1e-5)
    assert outcome.train_predictions.shape == (1, N_TRAIN, 1)
    assert (outcome.engine, outcome.engine_reason, outcome.failures) == ("solo", "no reason", ("",))


def test_early_stopping_keeps_the_best_epoch_and_its_weights():
    training = a_training(
        optimizer=OptimizerSpec(class_name="SGD", learning_rate=3.0),
        epochs=12,
        shuffle=False,
        early_stopping=EarlyStopping(patience=2),
    )
    split = a_split()
    (outcome,) = SoloEngine().train([a_job(training)], [split])
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    model, logs = plain_fit(split, training, callbacks=[stopping])
    assert outcome.n_epochs[0] == len(logs["loss"]) < 12
    assert outcome.best_epoch[0] == np.argmin(logs["val_loss"]) + 1
    np.testing.assert_allclose(outcome.weights[0][0], model.get_weights()[0], rtol=1e-5)


def test_without_early_stopping_the_last_epoch_is_kept():
    (outcome,) = SoloEngine().train([a_job(a_training(epochs=4))], [a_split()])
    assert outcome.best_epoch[0] == outcome.n_epochs[0] == 4


def test_the_learning_rate_of_each_epochs_last_step_is_recorded():
    training = a_training(schedule=Schedule(name="exponential"), epochs=3)
    fitted = fitted_to(a_job(training))
    from unitune.models.schedules import factors

    steps = -(-N_TRAIN // training.batch_size)
    expected = 0.01 * factors(training.schedule, 3 * steps)[steps - 1 :: steps]
    np.testing.assert_allclose(fitted.learning_rate, expected, rtol=1e-5)


def test_reduce_on_plateau_lowers_the_rate_of_the_epochs_after_it():
    plateau = Plateau(factor=0.1, patience=1, min_delta=10.0)
    fitted = fitted_to(a_job(a_training(plateau=plateau, epochs=4)))
    np.testing.assert_allclose(fitted.learning_rate, [1e-2, 1e-2, 1e-3, 1e-4], rtol=1e-5)


def test_given_rates_replace_what_plateau_would_decide():
    rates = np.array([1e-2, 1e-2, 1e-3])
    training = a_training(plateau=Plateau(patience=1), epochs=3)
    fitted = fitted_to(a_job(training), learning_rates=rates, validate=False)
    np.testing.assert_allclose(fitted.learning_rate, rates, rtol=1e-5)
    assert np.isnan(fitted.validation).all()


def test_a_member_that_diverges_fails_with_the_epoch_and_stops():
    training = a_training(
        optimizer=OptimizerSpec(class_name="SGD", learning_rate=1e30), loss="mse", metrics=(), epochs=9
    )
    linear = Blueprint(layers=(LayerSpec(class_name="Dense", config={"units": 1}),))
    (outcome,) = SoloEngine().train([a_job(training, blueprint=linear)], [a_split()])
    assert "diverged" in outcome.failures[0]
    assert "epoch 1" in outcome.failures[0]
    assert outcome.n_epochs[0] < 9


def test_an_exception_becomes_the_failure_of_its_member_alone():
    broken = Blueprint(layers=(LayerSpec(class_name="Dense", config={"units": 1, "activation": "no_such"}),))
    training = a_training(epochs=1)
    outcomes = list(SoloEngine().train([a_job(training, blueprint=broken), a_job(training)], [a_split()]))
    assert outcomes[0].failures[0]
    assert np.isnan(outcomes[0].validation_predictions).all()
    assert outcomes[0].validation_predictions.shape == (1, N_VAL, 1)
    assert outcomes[1].failures == ("",)


def test_it_stops_between_members():
    asked = []
    jobs = [a_job(a_training(epochs=1), seed=seed) for seed in range(3)]

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > 1

    assert len(list(SoloEngine().train(jobs, [a_split()], should_stop=should_stop))) == 1


def test_a_users_model_is_cloned_and_left_alone():
    model = keras.Sequential([keras.Input((N_FEATURES,)), keras.layers.Dense(1, activation="sigmoid")])
    before = [weight.copy() for weight in model.get_weights()]
    job = a_job(a_training(epochs=1), blueprint=Blueprint(template=model), initial_weights=tuple(before))
    (outcome,) = SoloEngine().train([job], [a_split()])
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert not np.array_equal(outcome.weights[0][0], before[0])
    assert predict(model, a_split().x_val).shape == (N_VAL, 1)


def test_the_global_generators_are_left_alone():
    np.random.seed(5)
    expected = np.random.RandomState(5).rand()
    list(SoloEngine().train([a_job(a_training(epochs=1))], [a_split()]))
    assert np.random.rand() == expected


def test_nothing_is_printed(capfd):
    list(SoloEngine().train([a_job(a_training(epochs=1))], [a_split()]))
    assert capfd.readouterr().out == ""


def test_a_failure_inside_a_layer_says_what_was_raised_there():
    def broken(values):
        raise ValueError("my activation is broken. Mend it.")

    with pytest.raises(ValueError, match="broken") as raised:
        keras.layers.Dense(2, activation=broken)(np.zeros((1, 2)))
    assert reason_of(raised.value) == "ValueError: my activation is broken. Mend it (in Dense.call())"
    assert reason_of(ValueError("")) == "ValueError"
