import numpy as np
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_class_weight

from unitune.data.folds import make_folds
from unitune.data.load import dataset
from unitune.models.preprocessing import fit
from unitune.models.splits import split_arrays

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(5, 3, size=(N, 3))
LABELS = np.array(["low", "mid", "high"])[np.minimum(np.arange(N) % 5, 2)]
WEIGHTS = RNG.random(N)


def split(y, x=X, rows=None, **options):
    data = dataset(x, y, **options)
    (fold,) = make_folds(data, validation_split=0.25, seed=0)
    return data, fold, split_arrays(data, fold, fit(data, fold.train))


def test_binary_targets_are_a_column_of_zeros_and_ones():
    _, fold, arrays = split(np.where(np.arange(N) % 2, "yes", "no"))
    assert arrays.y_train.shape == (len(fold.train), 1)
    assert arrays.y_train.dtype == np.float32
    np.testing.assert_array_equal(arrays.y_train[:, 0], fold.train % 2)
    np.testing.assert_array_equal(arrays.y_val[:, 0], fold.validation % 2)
    assert arrays.y_scale is None
    assert arrays.w_train is None


def test_classes_are_numbers_that_lead_back_to_labels():
    data, fold, arrays = split(LABELS)
    assert arrays.y_train.dtype == np.int32
    np.testing.assert_array_equal(data.classes[arrays.y_train], LABELS[fold.train])
    np.testing.assert_array_equal(data.classes[arrays.y_val], LABELS[fold.validation])


def test_regression_targets_are_standardised_and_can_be_restored():
    y = RNG.normal([1e3, -5], [50, 0.1], size=(N, 2))
    _, fold, arrays = split(y)
    np.testing.assert_allclose(arrays.y_train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(arrays.y_train.std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(arrays.y_val * arrays.y_scale + arrays.y_offset, y[fold.validation], rtol=1e-5)


def test_a_constant_target_column_is_safe():
    y = np.column_stack([RNG.normal(size=N), np.full(N, 0.1)])
    _, _, arrays = split(y)
    assert arrays.y_scale[1] == 1
    np.testing.assert_allclose(arrays.y_train[:, 1], 0, atol=1e-12)


def test_target_scaling_does_not_see_validation_rows():
    y = RNG.normal(size=N)
    changed = y.copy()
    changed[-5:] = 1e9
    one, two = split(y)[2], split(changed)[2]
    assert one.y_train.tobytes() == two.y_train.tobytes()
    assert (one.y_scale, one.y_offset) == (two.y_scale, two.y_offset)


def test_sample_weights_go_to_both_sides():
    _, fold, arrays = split(LABELS, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(arrays.w_train, WEIGHTS[fold.train].astype(np.float32))
    np.testing.assert_array_equal(arrays.w_val, WEIGHTS[fold.validation].astype(np.float32))


def test_class_weights_multiply_the_training_side_only():
    _, fold, arrays = split(LABELS, sample_weight=WEIGHTS, class_weight={"low": 3.0, "high": 0.5})
    factor = pd.Series(LABELS).map({"low": 3.0, "mid": 1.0, "high": 0.5}).to_numpy()
    np.testing.assert_allclose(arrays.w_train, (WEIGHTS * factor)[fold.train], rtol=1e-6)
    np.testing.assert_allclose(arrays.w_val, WEIGHTS[fold.validation], rtol=1e-6)
    assert split(LABELS, class_weight={"low": 3.0})[2].w_val is None


@pytest.mark.parametrize("labels", [LABELS, LABELS == "low"])
def test_balanced_weights_are_those_of_scikit_learn(labels):
    _, fold, arrays = split(labels, class_weight="balanced")
    classes = np.unique(labels)
    weights = dict(zip(classes, compute_class_weight("balanced", classes=classes, y=labels[fold.train]), strict=True))
    np.testing.assert_allclose(arrays.w_train, [weights[label] for label in labels[fold.train]], rtol=1e-6)


def test_features_are_those_of_the_preprocessor():
    data, fold, arrays = split(LABELS)
    learnt = fit(data, fold.train)
    np.testing.assert_array_equal(arrays.x_train, learnt.transform(fold.train))
    np.testing.assert_array_equal(arrays.x_val, learnt.transform(fold.validation))
    assert (arrays.fold, arrays.repeat) == (fold.fold, fold.repeat)
