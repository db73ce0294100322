"""The programs that this process has compiled: a second search of the same shapes compiles nothing."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

from unitune.engine.device import here
from unitune.engine.program import Program
from unitune.engine.program_key import Backend, ProgramKey
from unitune.models import program_cache
from unitune.models.backend import quiet_compile

_MAX_PROGRAMS = 256
LOADED = 0.4
"""The share of compiling a program that is left where it lies on disk: it is traced and loaded."""
_GUARD = threading.Lock()
_ENTRIES: OrderedDict[ProgramKey, _Entry] = OrderedDict()


class _Entry:
    """A program, and whether it has been compiled."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.ready: set[str] = set()  # the places for which it is compiled
        self.lock = threading.Lock()


def program_for(key: ProgramKey) -> Program:
    """The program of a key, made on first use."""
    with _GUARD:
        entry = _ENTRIES.get(key)
        if entry is None:
            entry = _ENTRIES[key] = _Entry(Program(key, _backend(key.backend)))
        _ENTRIES.move_to_end(key)
        while len(_ENTRIES) > _MAX_PROGRAMS:
            _ENTRIES.popitem(last=False)
    return entry.program


def compile_once(program: Program, *arguments: Any) -> None:
    """Compiles a program for this place, unless that has been done: by one thread alone, on a call without epochs.

    Compiling apart from training keeps it out of the members' times.
    """
    with _GUARD:
        entry = _ENTRIES.setdefault(program.key, _Entry(program))
    place = here()
    if place in entry.ready:
        return
    with entry.lock:
        if place not in entry.ready:
            digest = _digest(program.key)
            with quiet_compile(loads=program_cache.holds(digest)), program.backend.naming(digest):
                program.run(*arguments)
            program_cache.seal(digest)
            entry.ready.add(place)


def compiled_programs() -> frozenset[ProgramKey]:
    """The keys of the programs that run without compiling."""
    with _GUARD:
        return frozenset(key for key, entry in _ENTRIES.items() if entry.ready)


def share_to_compile(key: ProgramKey) -> float:
    """What is left of compiling a program: all of it, a share where it lies on disk, nothing where it runs already."""
    with _GUARD:
        entry = _ENTRIES.get(key)
    if entry is not None and entry.ready:
        return 0.0
    return LOADED if program_cache.holds(_digest(key)) else 1.0


def _digest(key: ProgramKey) -> bytes:
    return hashlib.sha256(repr(key).encode()).digest()


def _backend(name: str) -> Backend:
    if name == "jax":
        from unitune.engine.jax import JaxBackend

        return JaxBackend()
    from unitune.engine.tensorflow import TensorFlowBackend

    return TensorFlowBackend()
