"""What people's functions are trained with: nearly all run, and most are fused.

`census/` has functions of the kinds that public code is made of. All of them are planned: built, read, and held against
what programs can do. A few of each kind are trained here, and all of them in `make test-all`.
"""

import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from census import cases
from census.plans import planned, settings_of

pytestmark = pytest.mark.slow
CASES = cases()
TRAINED = (
    "neutral: flatten and dense",
    "by kind: frozen in the middle",
    "by kind: activity regularizer",
    "by kind: autoencoder of two models",
    "by kind: adapted Normalization",
)


@pytest.fixture(scope="module")
def plans():
    """For each function the engine, and why it is no better one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: planned(case, trials=1) for name, case in CASES.items()}


def test_most_are_fused(plans):
    engines = Counter(engine for engine, _ in plans.values())
    assert engines["failed"] == 0, plans
    assert engines["fused"] >= 0.87 * len(CASES), engines


@pytest.mark.parametrize("name", CASES)
def test_it_is_fused_or_has_its_reason(name, plans):
    engine, reason = plans[name]
    said = CASES[name].solo
    assert (engine == "fused") == (not said), reason
    assert said in reason


def trained(name, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuner, args, fit = settings_of(CASES[name], folder)
        tuner.search(*args, **fit)
    return tuner


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[] if one in TRAINED else [pytest.mark.exhaustive]) for one in CASES]
)
def test_it_runs(name, tmp_path):
    """Before a program trains a network it is held against plain `fit`: what is fused here is equal to it."""
    table = trained(name, tmp_path).results()
    assert set(table["status"]) == {"COMPLETED"}, table
    expected = {"solo"} if CASES[name].solo else {"fused"}
    assert set(table["engine"]) == expected, table["engine_reason"].tolist()


@pytest.mark.exhaustive
def test_on_jax_most_are_trained_together():
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
    command = [sys.executable, "-m", "census.plans", "jax"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    engines = Counter(engine for engine, _ in found.values())
    assert engines["fused"] + engines["vmapped"] >= 0.96 * len(CASES), {
        name: reason for name, (engine, reason) in found.items() if engine not in ("fused", "vmapped")
    }
