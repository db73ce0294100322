"""Engines by name."""

from __future__ import annotations

from unitune.engine.contract import Engine
from unitune.errors import OptionError, suggest

ENGINES = ("auto", "fused", "solo")


def choose_engine(name: str | Engine, *, probes: bool = True) -> Engine:
    """The engine of that name; `"auto"` is the fastest there is, which sends what it cannot take to plain `fit`.

    Without `probes` nothing is measured inside networks.

    Raises:
        OptionError: An unknown name.
    """
    check_engine(name)
    if not isinstance(name, str):
        return name
    if name == "solo":
        from unitune.engine.solo import SoloEngine

        return SoloEngine()
    from unitune.engine.fused import FusedEngine

    return FusedEngine(strict=name == "fused", probes=probes, weighs=name == "auto")


def check_engine(name: str | Engine) -> None:
    """Refuses an unknown name.

    Raises:
        OptionError: It is none of `ENGINES`, and no engine.
    """
    if isinstance(name, str) and name not in ENGINES:
        raise OptionError("`engine` must be a known name", f"got {name!r}", suggest(name, ENGINES))
    if not isinstance(name, str) and not (hasattr(name, "train") and hasattr(name, "plans")):
        raise OptionError("`engine` must be a name or an engine", f"got {name!r}", suggest("", ENGINES))
