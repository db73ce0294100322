"""Engines by name."""

from __future__ import annotations

from importlib.util import find_spec

from unitune.engine.contract import Engine
from unitune.errors import FusionError, OptionError, suggest

ENGINES = ("auto", "fused", "solo")


def choose_engine(name: str) -> Engine:
    """The engine of that name; `"auto"` is the fastest there is, which sends what it cannot take to plain `fit`.

    Raises:
        OptionError: An unknown name.
        FusionError: `"fused"` was asked for and is not there.
    """
    if name not in ENGINES:
        raise OptionError("`engine` must be a known name", f"got {name!r}", suggest(name, ENGINES))
    if name == "solo":
        from unitune.engine.solo import SoloEngine

        return SoloEngine()
    if find_spec("unitune.engine.fused") is None:
        if name == "fused":
            raise FusionError(
                '`engine="fused"` needs the fused engine', "this version has none", 'Use `engine="auto"`.'
            )
        from unitune.engine.solo import SoloEngine

        return SoloEngine()
    from unitune.engine.fused import FusedEngine

    engine: Engine = FusedEngine(fallback=name == "auto")
    return engine
