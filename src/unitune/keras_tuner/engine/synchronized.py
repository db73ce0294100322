"""One thread at a time in an oracle."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from unitune.keras_tuner.engine.trial import Trial, TrialStatus

_Method = TypeVar("_Method", bound=Callable[..., Any])


def synchronized(func: _Method) -> _Method:
    """Lets one thread at a time into the methods of an oracle that bear it; calls among them do not wait.

    Oracles do not wait for each other.

    Args:
        func: A method of an `Oracle`.

    Example:
        >>> from unitune.keras_tuner import Oracle
        >>> class Counting(Oracle):
        ...     @synchronized
        ...     def count(self):
        ...         return len(self.trials)
        >>> Counting("val_loss").count()
        0
    """

    @functools.wraps(func)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        older = "trial_id" in kwargs or "status" in kwargs or (args and isinstance(args[0], str))
        if func.__name__ == "end_trial" and older:
            # The older form: a trial's number and status.
            args, kwargs = (_ended(self, *args, **kwargs),), {}
        with self._lock:
            return func(self, *args, **kwargs)

    return wrapped  # type: ignore[return-value]


def _ended(oracle: Any, trial_id: str, status: str = TrialStatus.COMPLETED) -> Trial:
    known = {"COMPLETE": TrialStatus.COMPLETED}.get(status, status)
    hyperparameters = oracle.trials[trial_id].hyperparameters if trial_id in oracle.trials else oracle.get_space()
    return Trial(hyperparameters, trial_id=trial_id, status=known)
