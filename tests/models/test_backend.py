import os
import subprocess
import sys

import pytest

from unitune.errors import OptionError
from unitune.models import backend

pytestmark = pytest.mark.slow

TRAIN = """
import sys
import unitune.models.backend as b
keras = b.ensure()
assert ("jax" in sys.modules) == (b.backend_name() == "jax")  # TensorFlow would import it
import numpy as np
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse", jit_compile=True)
model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
print(b.backend_name())
"""


def run(code, **variables):
    drop = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "ABSL_MIN_LOG_LEVEL")
    environment = {key: value for key, value in os.environ.items() if key not in drop} | variables
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_import_and_first_fit_print_nothing(name):
    done = run(TRAIN, KERAS_BACKEND=name)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{name}\n"
    assert done.stderr == ""


def test_importing_unitune_imports_no_framework():
    done = run("import unitune, sys; assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_not_noise_is_let_through():
    code = (
        "import os, unitune.models.backend as b\n"
        "with b._quiet_stderr():\n"
        "    os.write(2, b'I0000 00:00:17 1 port.cc:153] oneDNN\\n')\n"
        "    os.write(2, b'a real complaint\\n')\n"
    )
    assert run(code).stderr == "a real complaint\n"


@pytest.fixture
def fresh(monkeypatch):
    """A process in which Keras is not imported yet."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("installed", "variable", "expected"),
    [
        ({"tensorflow", "jax"}, "", "tensorflow"),
        ({"jax"}, "", "jax"),
        ({"tensorflow", "jax"}, "jax", "jax"),
        ({"tensorflow"}, "torch", "torch"),
    ],
)
def test_choice_of_backend(fresh, installed, variable, expected):
    fresh.setattr(backend, "_installed", lambda module: module in installed)
    if variable:
        fresh.setenv("KERAS_BACKEND", variable)
    assert backend.backend_name() == expected


def test_without_a_backend_the_error_says_what_to_install(fresh):
    fresh.setattr(backend, "_installed", lambda module: False)
    with pytest.raises(OptionError, match=r'pip install "unitune\[tensorflow\]"'):
        backend.ensure()
    fresh.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(OptionError, match=r"unitune\[jax\]"):
        backend.ensure()
