"""The fused engine gives what plain Keras gives: the covering set, case by case, on both backends and types."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import parity_cases
import pytest

pytestmark = pytest.mark.slow

FULL = os.environ.get("UNITUNE_PARITY") == "full"
ALL = [
    pytest.param(
        *(backend, dtype, case.name),
        id=f"{backend}-{dtype}-{case.name}",
        marks=[pytest.mark.exhaustive] if parity_cases.is_exhaustive(backend, dtype, case.name) else [],
    )
    for backend in parity_cases.BACKENDS
    for dtype in parity_cases.DTYPES
    for case in parity_cases.cases(backend, dtype, full=FULL)
]


@pytest.mark.parametrize(("backend", "dtype", "name"), ALL)
def test_equals_plain_keras(parity: Any, backend: str, dtype: str, name: str) -> None:
    fused, oracle = (parity(backend, dtype)[name][engine] for engine in ("fused", "oracle"))
    # Where plain Keras itself moves further when its first weights are nudged by a rounding, nobody can come closer.
    # The same cases hold to 1e-10 in float64.
    tolerance = max(parity_cases.TOLERANCE[dtype], parity(backend, dtype)[name]["moved"])
    assert fused["failure"] == oracle["failure"] == ""
    assert fused["metrics"] == oracle["metrics"]
    assert fused["n_epochs"] == oracle["n_epochs"]
    assert fused["best_epoch"] == oracle["best_epoch"]
    for quantity in ("train", "validation", "learning_rate"):
        np.testing.assert_allclose(fused[quantity], oracle[quantity], rtol=tolerance, atol=0, err_msg=quantity)
    if dtype == "float64":
        # In float32 a weight whose gradient is all but zero takes whole steps of Adam in a direction that rounding
        # chose; what such weights do to the losses stays within the tolerance above.
        for quantity in ("train_predictions", "validation_predictions"):
            np.testing.assert_allclose(fused[quantity], oracle[quantity], rtol=0, atol=1e-9, err_msg=quantity)


@pytest.mark.parametrize(("backend", "dtype", "name"), ALL)
def test_exported_weights_predict_the_same(parity: Any, backend: str, dtype: str, name: str) -> None:
    fused = parity(backend, dtype)[name]["fused"]
    expected = fused["validation_predictions"]
    atol = {"float32": 2e-6, "float64": 1e-13}[dtype] * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(fused["after"], expected, rtol=0, atol=atol)
