import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from unitune.errors import OptionError
from unitune.models.metrics import METRICS, evaluate, metric, names

RNG = np.random.default_rng(0)
ROWS, MEMBERS, CLASSES = 60, 7, 4
WEIGHTS = {"none": None, "weights": RNG.uniform(0.1, 2.0, ROWS), "zeros": np.arange(ROWS) % 3 * 1.0}


def binary_oracle(y, p, w):
    chosen = (p > 0.5).astype(int)
    return {
        "accuracy": sk.accuracy_score(y, chosen, sample_weight=w),
        "auc": sk.roc_auc_score(y, p, sample_weight=w),
        "f1": sk.f1_score(y, chosen, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, chosen, sample_weight=w),
        "log_loss": sk.log_loss(y, p, sample_weight=w),
        "loss": sk.log_loss(y, p, sample_weight=w),
    }


def multiclass_oracle(y, p, w):
    chosen = p.argmax(axis=1)
    return {
        "accuracy": sk.accuracy_score(y, chosen, sample_weight=w),
        "auc": sk.roc_auc_score(y, p, sample_weight=w, multi_class="ovr", average="macro"),
        "f1": sk.f1_score(y, chosen, sample_weight=w, average="macro"),
        "balanced_accuracy": sk.balanced_accuracy_score(y, chosen, sample_weight=w),
        "log_loss": sk.log_loss(y, p, sample_weight=w),
        "loss": sk.log_loss(y, p, sample_weight=w),
    }


def regression_oracle(y, p, w):
    return {
        "mae": sk.mean_absolute_error(y, p, sample_weight=w),
        "rmse": sk.root_mean_squared_error(y, p, sample_weight=w),
        "r2": sk.r2_score(y, p, sample_weight=w),
        "loss": sk.mean_squared_error(y, p, sample_weight=w),
    }


def agree(task, oracle, y, predictions, w):
    results = evaluate(names(task), y, predictions, w)
    assert set(results) == set(names(task))
    for member in range(len(predictions)):
        for name, expected in oracle(member).items():
            assert results[name][member] == pytest.approx(expected, rel=1e-9), name


@pytest.mark.parametrize("w", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("digits", [None, 1], ids=["continuous", "ties"])
def test_binary_equals_scikit_learn(w, digits):
    y = RNG.integers(0, 2, (ROWS, 1)).astype(float)
    p = RNG.uniform(0.01, 0.99, (MEMBERS, ROWS, 1))
    if digits is not None:
        p = np.clip(p.round(digits), 0.05, 0.95)
    agree("binary", lambda m: binary_oracle(y[:, 0], p[m, :, 0], w), y, p, w)


@pytest.mark.parametrize("w", WEIGHTS.values(), ids=WEIGHTS)
def test_multiclass_equals_scikit_learn(w):
    y = RNG.integers(0, CLASSES, ROWS).astype("int32")
    p = RNG.dirichlet(np.ones(CLASSES), (MEMBERS, ROWS))
    agree("multiclass", lambda m: multiclass_oracle(y, p[m], w), y, p, w)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("w", WEIGHTS.values(), ids=WEIGHTS)
def test_regression_equals_scikit_learn(w, outputs):
    y = RNG.normal(size=(ROWS, outputs))
    p = y + RNG.normal(size=(MEMBERS, ROWS, outputs))
    agree("regression", lambda m: regression_oracle(y, p[m], w), y, p, w)


def test_f1_when_a_class_is_never_chosen():
    y = np.array([0, 1, 2, 2])
    p = np.eye(4)[[[0, 0, 2, 2], [3, 1, 2, 2]]] * 0.9 + 0.025
    results = evaluate(["f1", "balanced_accuracy"], y, p)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for member in range(2):
            assert results["f1"][member] == pytest.approx(sk.f1_score(y, p[member].argmax(1), average="macro"))
    assert evaluate(["f1"], np.zeros((3, 1)), np.zeros((1, 3, 1)))["f1"].tolist() == [0.0]


def test_one_class_leaves_auc_undefined_and_the_rest_defined():
    results = evaluate(names("binary"), np.ones((5, 1)), np.full((2, 5, 1), 0.7))
    assert np.isnan(results["auc"]).all()
    assert results["accuracy"].tolist() == [1.0, 1.0]
    assert np.isnan(evaluate(["auc"], np.zeros(4, int), np.full((1, 4, 3), 1 / 3))["auc"]).all()


def test_auc_of_several_classes_is_over_those_present():
    y = np.array([0, 0, 1, 1])
    p = np.array([[[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.75, 0.2, 0.05]]])
    expected = (sk.roc_auc_score(y == 0, p[0, :, 0]) + sk.roc_auc_score(y == 1, p[0, :, 1])) / 2
    assert evaluate(["auc"], y, p)["auc"][0] == pytest.approx(expected)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_nan_stays_with_its_member(task):
    if task == "multiclass":
        y, p = RNG.integers(0, 3, 20), RNG.dirichlet(np.ones(3), (3, 20))
    else:
        y, p = (RNG.random((20, 1)) > 0.5).astype(float), RNG.random((3, 20, 1))
    clean = evaluate(names(task), y, p, task=task)
    p[1, 4, 0] = np.nan
    for name, values in evaluate(names(task), y, p, task=task).items():
        assert np.isnan(values[1])
        assert values[[0, 2]].tolist() == clean[name][[0, 2]].tolist()


def test_confident_and_wrong_is_finite():
    value = evaluate(["log_loss"], np.array([[1.0]]), np.zeros((1, 1, 1)))["log_loss"][0]
    assert value == pytest.approx(-np.log(1e-7))


def test_undefined_without_rows_or_weight():
    assert np.isnan(evaluate(["accuracy"], np.zeros((0, 1)), np.zeros((2, 0, 1)))["accuracy"]).all()
    assert np.isnan(evaluate(["mae"], np.zeros((3, 1)), np.zeros((1, 3, 1)), np.zeros(3))["mae"]).all()
    assert np.isnan(evaluate(["r2"], np.zeros((1, 1)), np.zeros((1, 1, 1)))["r2"]).all()


def test_r2_of_a_constant_target():
    y = np.ones((4, 1))
    p = np.stack([y, y + 1])
    assert evaluate(["r2"], y, p)["r2"].tolist() == [sk.r2_score(y, p[0]), sk.r2_score(y, p[1])]


def test_loss_alone_infers_the_task():
    zero_one = np.array([[0.0], [1.0]])
    p = np.array([[[0.25], [0.75]]])
    assert evaluate(["loss"], zero_one, p)["loss"][0] == pytest.approx(-np.log(0.75))
    assert evaluate(["loss"], zero_one + 0.5, p)["loss"][0] == pytest.approx(0.25**2 / 2 + 0.75**2 / 2)
    assert evaluate(["loss"], zero_one, p, task="regression")["loss"][0] == pytest.approx(0.0625)


def test_names_and_directions():
    assert metric("val_roc_auc") is METRICS["auc"]
    assert {name for name, entry in METRICS.items() if entry.direction == "minimize"} == {
        "log_loss",
        "mae",
        "rmse",
        "loss",
    }
    with pytest.raises(OptionError, match="Did you mean `accuracy`"):
        metric("accurcy")
    with pytest.raises(OptionError, match="no metric of a regression"):
        metric("auc", "regression")


def test_a_member_scores_the_same_alone_and_among_others():
    """To the last bit: a search that goes on scores members in other company."""
    y = RNG.integers(0, 2, ROWS)
    predictions = RNG.uniform(size=(MEMBERS, ROWS, 1))
    wanted = ("accuracy", "log_loss", "auc", "f1")
    together = evaluate(wanted, y, predictions, WEIGHTS["weights"], task="binary")
    for member in range(MEMBERS):
        alone = evaluate(wanted, y, predictions[member : member + 1], WEIGHTS["weights"], task="binary")
        assert {name: values[member] for name, values in together.items()} == {n: v[0] for n, v in alone.items()}
