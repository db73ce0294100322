"""Keras, imported in one place: quietly, with a backend that is there, and with a helpful error where none is."""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from unitune.errors import OptionError
from unitune.models import program_cache

_lock = threading.Lock()
_first_compile = threading.Lock()
_announced = threading.Event()  # XLA has said what it says once, or will say nothing

# Lines that TensorFlow, absl and XLA write to the C++ standard error while they start.
_NOISE = re.compile(
    rb"^(WARNING: All log messages before absl|To enable the following instructions|[IWE]0000 \d|"
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] |[IWEF]\d{4} \d\d:\d\d:\d\d)"
)


def backend_name() -> str:
    """The Keras backend in use, or the one that `ensure` would choose: `"tensorflow"`, `"jax"`, ...

    `KERAS_BACKEND` decides where it is set; otherwise TensorFlow where it is installed, otherwise JAX.

    Raises:
        OptionError: Neither TensorFlow nor JAX is installed, or the one that `KERAS_BACKEND` names is not.
    """
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "config"):
        return str(keras.config.backend())
    return _choose()


def ensure() -> ModuleType:
    """Imports Keras once, without start-up noise, and returns the module.

    Returns:
        The module `keras`.

    Raises:
        OptionError: No backend is installed.

    Example:
        >>> ensure().__name__
        'keras'
    """
    loaded = sys.modules.get("keras")
    if loaded is not None and hasattr(loaded, "Model"):
        program_cache.start(str(loaded.config.backend()))
        return loaded
    with _lock:
        chosen = _choose()
        os.environ.setdefault("KERAS_BACKEND", chosen)
        # Level 3 also hides the CUDA complaints of a machine without a GPU; those come at the first operation.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("ABSL_MIN_LOG_LEVEL", "3")
        if "tensorflow" not in sys.modules and not any(isinstance(f, _QuietTensorFlow) for f in sys.meta_path):
            sys.meta_path.insert(0, _QuietTensorFlow())
        program_cache.start(chosen)  # before TensorFlow reads its flags
        with _quiet_stderr(), _without_jax(chosen):
            keras = importlib.import_module("keras")
        _announced.set()
        return keras


def as_keras_takes(rows: Any) -> Any:
    """An array as Keras's `fit` and `predict` take it, which take no strings as NumPy arrays: as a TensorFlow tensor.

    Raises:
        OptionError: It holds strings, and the backend is not TensorFlow.
    """
    if not isinstance(rows, np.ndarray) or rows.dtype != object:
        return rows
    if backend_name() != "tensorflow":
        raise OptionError(
            "text is read by networks on the TensorFlow backend of Keras only",
            f"the backend is {backend_name()}",
            "Set KERAS_BACKEND=tensorflow.",
        )
    import tensorflow as tf

    return tf.constant(rows, dtype=tf.string)


def settings() -> tuple[str | float, ...]:
    """The settings of Keras that its functions read while they are traced."""
    config = ensure().config
    return (config.epsilon(), config.floatx(), config.image_data_format(), str(config.dtype_policy().name))


@contextlib.contextmanager
def quiet_compile(*, loads: bool = False) -> Iterator[None]:
    """Around a compilation: hides what XLA announces at the first one of a process, and says of programs that it loads.

    It matters where the user imported Keras before Unitune could set the log level. What other threads write to
    standard error waits meanwhile, and so nothing is held back where a program takes long to compile.

    Args:
        loads: Whether the program is on disk.
    """
    if _announced.is_set() and not loads:
        yield
        return
    with _first_compile, _quiet_stderr():
        yield
    _announced.set()


@contextlib.contextmanager
def generators_as_before() -> Iterator[None]:
    """Puts the global random generators of Python, NumPy, Keras and TensorFlow back, which the code inside may seed.

    TensorFlow's global seed would stay for good, and a `tf.data` pipeline that is made later would repeat its random
    numbers in each epoch.
    """
    keras = ensure()
    state = importlib.import_module("keras.src.backend.common.global_state")
    names = ("global_seed_generator", "global_random_seed")
    kept = {name: state.get_global_attribute(name) for name in names}
    python, numpy = random.getstate(), np.random.get_state()
    context: Any = None
    if keras.config.backend() == "tensorflow":
        context = importlib.import_module("tensorflow.python.eager.context").context()
        # There is a generator once there was a seed.
        of_context = {name: getattr(context, name) for name in ("_seed", "_rng") if hasattr(context, name)}
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for name, value in kept.items():
            state.set_global_attribute(name, value)
        if context is not None:
            vars(context).update(of_context)


def _choose() -> str:
    wanted = os.environ.get("KERAS_BACKEND", "")
    candidates = [wanted] if wanted else ["tensorflow", "jax"]
    for candidate in candidates:
        if candidate not in ("tensorflow", "jax") or _installed(candidate):
            return candidate
    if wanted:
        raise OptionError(
            "the backend that `KERAS_BACKEND` names must be installed",
            f"`{wanted}` is not",
            f'Install it with `pip install "unitune[{wanted}]"`, or unset `KERAS_BACKEND`.',
        )
    raise OptionError(
        "Keras needs TensorFlow or JAX",
        "neither is installed",
        'Install one with `pip install "unitune[tensorflow]"` or `pip install "unitune[jax]"`.',
    )


def _installed(module: str) -> bool:
    return module in sys.modules or importlib.util.find_spec(module) is not None


class _QuietTensorFlow(importlib.abc.MetaPathFinder):
    """Silences the import of TensorFlow whenever it comes: on other backends Keras imports it late, in `fit`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            loud = spec.loader.exec_module

            def quiet(module: ModuleType) -> None:
                with _quiet_stderr():
                    loud(module)

            spec.loader.exec_module = quiet  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _without_jax(chosen: str) -> Iterator[None]:
    """Keeps TensorFlow and Keras from importing JAX where that is installed, too, and another backend was chosen.

    They import it to convert its functions to TF Lite, and for a version of it that is too old: it takes 108 MB.
    """
    if chosen != "tensorflow" or "jax" in sys.modules:
        yield
        return
    sys.modules["jax"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["jax"]


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Holds back what is written to file descriptor 2, and lets through afterwards what is not start-up noise.

    TensorFlow logs from C++ before its own level is read, so `sys.stderr` and the environment are not enough.
    """
    try:
        saved = os.dup(2)
    except OSError:  # no standard error at all, as in some services
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held:
                if not _NOISE.match(line):
                    os.write(2, line)
