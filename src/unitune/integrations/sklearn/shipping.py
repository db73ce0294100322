"""Whether a function can be pickled, and if not, which object in it stands in the way."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from unitune.errors import OptionError

try:
    import cloudpickle
except ImportError:  # joblib before 1.6 brings its own
    from joblib.externals import cloudpickle


def check_shippable(function: Callable[..., Any] | None) -> None:
    """Refuses a function that no other process can be given.

    Raises:
        OptionError: It holds on to something that cannot be pickled, which the message names.

    Example:
        >>> check_shippable(lambda units: units + 1)
    """
    if function is None or _reason(function) is None:
        return
    try:
        held = inspect.getclosurevars(function)
        named = {**held.globals, **held.nonlocals}
    except TypeError:  # no plain function
        named = dict(getattr(function, "__dict__", {}))
    culprits = [(name, value, _reason(value)) for name, value in named.items()]
    shown = [f"`{name}`, a {type(value).__name__} ({why})" for name, value, why in culprits if why is not None]
    raise OptionError(
        "`build_fn` must be a function that other processes can be given",
        f"it uses {' and '.join(shown)}" if shown else f"it cannot be pickled ({_reason(function)})",
        "Make that object inside the function, or pass it as a parameter made of numbers and names.",
    )


def _reason(value: Any) -> str | None:
    """Why a value cannot be pickled; None if it can."""
    try:
        cloudpickle.dumps(value)
    except Exception as error:
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return None
