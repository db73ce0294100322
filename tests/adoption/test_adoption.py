"""What a user gives to Keras is read in one way, whichever interface it comes through."""

import pytest

from unitune.adoption.callbacks import read_callbacks
from unitune.adoption.exploring import each_scope
from unitune.adoption.fit_arguments import fit_arguments
from unitune.adoption.hypermodel import HyperModel
from unitune.adoption.logged import logged_of
from unitune.engine.lift.base import Unfusable
from unitune.errors import OptionError
from unitune.models.adopt import training_of
from unitune.space.hyperparameters import HyperParameters


@pytest.fixture(scope="module")
def model():
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["acc", keras.metrics.AUC(name="area"), "mae"])
    return model


@pytest.mark.parametrize(
    ("monitor", "known_as", "more_is_better"),
    [("val_acc", "val_accuracy", True), ("val_area", "val_area", True), ("mae", "mae", False), ("loss", "loss", False)],
)
def test_callbacks_look_at_a_metric_by_the_name_that_keras_logs(model, monitor, known_as, more_is_better):
    import keras

    stopping, training = keras.callbacks.EarlyStopping(monitor), training_of(model)
    found, later = read_callbacks([stopping], training, 4, logged=logged_of(model))
    assert (found.early_stopping.monitor, found.early_stopping.maximize) == (known_as, more_is_better)
    assert not later


def test_what_is_not_logged_is_left_to_fit(model):
    import keras

    with pytest.raises(Unfusable, match="`val_auc`, which no program logs"):
        read_callbacks([keras.callbacks.EarlyStopping("val_auc")], training_of(model), 4, logged=logged_of(model))


def test_each_scope_is_entered_once_in_the_order_in_which_it_was_met():
    built = []

    def build(hp):
        kind = hp.Choice("kind", ["none", "deep", "wide"])
        with hp.conditional_scope("kind", ["deep"]):
            if kind == "deep":
                more = hp.Boolean("more")
                with hp.conditional_scope("more", [True]):
                    if more:
                        hp.Int("extra", 1, 2)
        with hp.conditional_scope("kind", ["wide"]):
            if kind == "wide":
                hp.Int("units", 1, 4)
        known.merge([one for one in hp.space if not known._exists(one.name, one.conditions)])
        built.append((hp.values["kind"], hp.values.get("more")))

    known = HyperParameters()
    first = known.copy()
    build(first)
    for hp in each_scope(first, known.copy):
        build(hp)
    assert [kind for kind, _ in built] == ["none", "deep", "wide", "deep"]
    assert built[-1] == ("deep", True)
    assert [one.name for one in known.space] == ["kind", "more", "units", "extra"]


def fit_of(function):
    return fit_arguments(
        type("Mine", (HyperModel,), {"fit": function})(), HyperParameters(), Model(), "x", "y", validation="v"
    )


class Model:
    def fit(self, *args, **kwargs):
        raise AssertionError("it is never trained")


def test_a_users_fit_is_heard_and_never_trains():
    found = fit_of(lambda self, hp, model, *args, **kwargs: model.fit(*args, batch_size=8, epochs=3, **kwargs))
    assert found == {"batch_size": 8, "epochs": 3, "callbacks": []}

    def tidy(self, hp, model, x, y, **kwargs):
        try:
            return model.fit(x, y, **kwargs)
        except Exception:  # no `Exception` ends it
            raise AssertionError from None

    assert fit_of(tidy) == {"callbacks": []}
    for function, said in (
        (lambda self, hp, model, x, y: None, "must call `model.fit`"),
        (lambda self, hp, model, x, y: 1 / 0, "raised ZeroDivisionError"),
        (lambda self, hp, model, x, y: model.fit(x + "!", y), "as they are"),
        (lambda self, hp, model, x, y: model.fit(x, y, steps_per_epoch=2), "`steps_per_epoch`"),
    ):
        with pytest.raises(OptionError, match=said):
            fit_of(function)
