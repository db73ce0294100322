"""The simulated searches of `bench`, for the tests that follow them."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def simulation():
    path = Path(__file__).parents[2] / "bench" / "simulation.py"
    spec = importlib.util.spec_from_file_location("unitune_simulation", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]
