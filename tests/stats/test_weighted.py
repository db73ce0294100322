"""Metrics under weights against the metrics that score trials."""

import numpy as np
import pytest

from unitune.models.metrics import METRICS, evaluate
from unitune.stats.weighted import scorer

ROWS, MEMBERS = 60, 4


def case(task):
    rng = np.random.default_rng(7)
    if task == "binary":
        p = rng.random((MEMBERS, ROWS, 1)).round(1)  # ties
        return rng.integers(0, 2, ROWS), p
    if task == "multiclass":
        p = rng.random((MEMBERS, ROWS, 3))
        return rng.integers(0, 3, ROWS), p / p.sum(axis=-1, keepdims=True)
    y = rng.normal(size=(ROWS, 2)) * [1, 100] + 1000
    return y, y + rng.normal(size=(MEMBERS, ROWS, 2))


CASES = [(task, name) for name, entry in METRICS.items() for task in entry.tasks]


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_weights_give_what_repeated_rows_give(task, metric):
    y, p = case(task)
    rng = np.random.default_rng(1)
    bags = rng.multinomial(ROWS, np.full(ROWS, 1 / ROWS), size=5)
    got = scorer(metric, task, y, p)(bags.astype(float))
    for bag, scores in zip(bags, got, strict=True):
        rows = np.repeat(np.arange(ROWS), bag)
        expected = evaluate([metric], y[rows], p[:, rows], task=task)[metric]
        np.testing.assert_allclose(scores, expected, rtol=1e-9)


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_real_weights_are_sample_weights(task, metric):
    y, p = case(task)
    weight = np.random.default_rng(2).random(ROWS)
    got = scorer(metric, task, y, p)(weight[None])[0]
    np.testing.assert_allclose(got, evaluate([metric], y, p, weight, task=task)[metric], rtol=1e-9)


def test_a_metric_that_is_undefined_is_nan():
    y, p = case("binary")
    only_positive = (y == 1).astype(float)[None]
    assert np.isnan(scorer("auc", "binary", y, p)(only_positive)).all()
    assert np.isnan(scorer("accuracy", "binary", y, p)(np.zeros((1, ROWS)))).all()


def test_an_unknown_metric_is_an_error():
    y, p = case("binary")
    with pytest.raises(ValueError, match="unknown metric"):
        scorer("speed", "binary", y, p)
