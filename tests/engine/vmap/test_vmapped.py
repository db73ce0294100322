"""Members without a fused form give on JAX what plain `fit` gives, trained together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

COMPARED = (
    *("float64-own_layer", "float64-metrics", "float64-outputs", "float32-own_layer"),
    *(pytest.param(f"float64-{name}", marks=pytest.mark.exhaustive) for name in ("bidirectional", "recurrent_dropout")),
)
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


@pytest.mark.parametrize("case", COMPARED)
def test_equals_plain_fit(vmapped: Any, case: str) -> None:
    tolerance = TOLERANCE[case.split("-")[0]]
    for member in vmapped[case]:
        own, oracle = member["vmapped"], member["fit"]
        assert own["engine"] == "vmapped"
        assert member["together"] == len(vmapped[case])
        assert own["failure"] == oracle["failure"] == ""
        for same in ("metrics", "n_epochs", "best_epoch"):
            assert own[same] == oracle[same]
        for quantity in ("train", "validation", "learning_rate"):
            np.testing.assert_allclose(own[quantity], oracle[quantity], rtol=tolerance, atol=0, err_msg=quantity)
        for quantity in ("train_predictions", "validation_predictions"):
            np.testing.assert_allclose(own[quantity], oracle[quantity], rtol=0, atol=10 * tolerance, err_msg=quantity)
        for number, (mine, expected) in enumerate(zip(own["weights"], oracle["weights"], strict=True)):
            np.testing.assert_allclose(mine, expected, rtol=0, atol=10 * tolerance, err_msg=f"weight {number}")


def test_members_stop_by_themselves(vmapped: Any) -> None:
    members = [member["vmapped"] for member in vmapped["float64-own_layer"]]
    assert members[2]["n_epochs"] == members[2]["best_epoch"] == 2
    assert len({member["n_epochs"] for member in members}) > 1


def test_the_reason_is_why_it_was_not_fused(vmapped: Any) -> None:
    reasons = {case: members[0]["vmapped"]["reason"] for case, members in vmapped.items() if "float64" in case}
    assert reasons["float64-own_layer"] == "the layer `Scale` has no fused form"
    assert reasons["float64-metrics"].startswith("`Lamb` scales each update")
    assert reasons["float64-outputs"] == "the layer `RNN` has no fused form"


def test_a_member_that_diverges_leaves_the_others_bit_identical(vmapped: Any) -> None:
    beside, calm = (vmapped[case] for case in ("float32-diverging", "calm"))
    assert "diverged" in beside[1]["vmapped"]["failure"]
    for place in (0, 2):
        one, other = beside[place]["vmapped"], calm[place]["vmapped"]
        assert one["failure"] == ""
        for quantity in ("train", "validation", "validation_predictions"):
            np.testing.assert_array_equal(one[quantity], other[quantity])
        for mine, same in zip(one["weights"], other["weights"], strict=True):
            np.testing.assert_array_equal(mine, same)


def test_what_vmap_cannot_take_runs_with_fit_and_says_why(vmapped: Any) -> None:
    for member in vmapped["float32-on_the_host"]:
        own = member["vmapped"]
        assert own["engine"] == "solo"
        assert own["failure"] == ""
        assert own["reason"].startswith("the layer `OnTheHost` has no fused form; `jax.vmap` of it failed with ")
        assert np.isfinite(own["train"]).all()


def test_a_search_says_which_trials_were_vmapped(vmapped: Any) -> None:
    found = vmapped["search"]
    assert found["engines"] == ["vmapped", "vmapped"]
    assert found["table"] == found["reasons"] == ["the layer `Scale` has no fused form"] * 2
    assert found["summary"]["members_by_engine"] == {"vmapped": 4}
    assert found["summary"]["solo_reasons"] == []
    (reason,) = found["summary"]["vmapped_reasons"]
    assert reason["trials"] == [1, 2]
    assert found["notes"][-1].startswith("2 of 2 trials could not be fused and were vmapped instead: trials 1, 2 (")
    assert found["largest_difference"] < 1e-5


def test_keras_tuners_interface_says_so_too(vmapped: Any) -> None:
    found = vmapped["keras_tuner"]
    assert found["engines"] == ["vmapped", "vmapped"]
    assert found["warned"] == ["2 of 2 trials were vmapped, not fused (2: the layer `Scale` has no fused form)."]
    assert np.isfinite(found["scores"]).all()
