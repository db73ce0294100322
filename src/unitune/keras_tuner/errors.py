"""KerasTuner's errors: what a trial can raise to say how bad it is.

```
FailedTrialError                              the trial failed; trying it again would not help
FatalError (FatalTypeError, FatalValueError,  the search ends
            FatalRuntimeError)
```

Any other exception makes a trial invalid: it is tried again, as often as `max_retries_per_trial` says.
"""

from __future__ import annotations


class FailedTrialError(Exception):
    """A trial failed, and trying it again would not help: its model is too large, say."""


class FatalError(Exception):
    """Something is wrong with the search itself, which ends."""


class FatalValueError(FatalError, ValueError):
    """A `FatalError` that is a `ValueError`."""


class FatalTypeError(FatalError, TypeError):
    """A `FatalError` that is a `TypeError`."""


class FatalRuntimeError(FatalError, RuntimeError):
    """A `FatalError` that is a `RuntimeError`."""
