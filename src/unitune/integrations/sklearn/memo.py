"""Steps of a pipeline that are fitted once for each fold and setting, and shared by the candidates of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
from sklearn.pipeline import Pipeline


class Memo:
    """What a `Pipeline` takes as its `memory`: results kept in this process, for the time of one search."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def __deepcopy__(self, memo: Any) -> Memo:
        return self  # a copy of the pipeline shares it

    def cache(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """The function, called once for each transformer, its parameters, and rows."""
        ignored = set(options.get("ignore") or ())

        def cached(*arguments: Any, **named: Any) -> Any:
            told = {name: value for name, value in named.items() if name not in ignored}
            key = joblib.hash((function.__qualname__, [_content(a) for a in arguments], told))
            if key not in self._kept:
                self._kept[key] = function(*arguments, **named)
            return self._kept[key]

        return cached


def _content(value: Any) -> Any:
    """Something with the same hash for the same content: slices of an array have different memory, but equal bytes."""
    return np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value


def share_steps(estimator: Any, memo: Memo) -> list[str]:
    """Gives the memo to every pipeline inside that has no memory of its own.

    Returns:
        The names of the parameters that were set.
    """
    parameters = estimator.get_params(deep=True)
    parts = {"": estimator} | parameters
    names = [
        f"{name}__memory" if name else "memory"
        for name, part in parts.items()
        if isinstance(part, Pipeline) and part.memory is None
    ]
    estimator.set_params(**dict.fromkeys(names, memo))
    return names
