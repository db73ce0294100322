"""Every lift gives what Keras gives, with padded widths: losses, metrics, predictions and weights after three steps."""

from __future__ import annotations

from typing import Any

import lift_cases
import numpy as np
import pytest

pytestmark = pytest.mark.slow

ALL = [
    pytest.param(
        *(backend, f"{dtype}-{name}-{size}"),
        id=f"{backend}-{dtype}-{name}-{size}",
        marks=[pytest.mark.exhaustive] if lift_cases.is_exhaustive(backend, dtype, name) else [],
    )
    for backend in ("tensorflow", "jax")
    for dtype, name in lift_cases.share(backend)
    for size in lift_cases.compared(backend, name)
]


@pytest.mark.parametrize(("backend", "case"), ALL)
def test_equals_plain_keras(lifted: Any, backend: str, case: str) -> None:
    found = lifted[backend][case]
    fused, oracle = found["fused"], found["keras"]
    tolerance = lift_cases.TOLERANCE[case.split("-")[0]]
    assert fused["failure"] == ""
    assert found["programs"] == 1
    for quantity in ("train", "validation"):
        np.testing.assert_allclose(fused[quantity], oracle[quantity], rtol=tolerance, atol=0, err_msg=quantity)
    np.testing.assert_allclose(fused["predictions"], oracle["predictions"], rtol=0, atol=10 * tolerance)
    if case.startswith("float64"):
        for number, (own, expected) in enumerate(zip(fused["weights"], oracle["weights"], strict=True)):
            np.testing.assert_allclose(own, expected, rtol=0, atol=1e-8, err_msg=f"weight {number}")
