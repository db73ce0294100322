"""The only loop: ask, train, score, tell, record; and its two faces, `tune` and `compare`."""

from unitune.tuner.compare import compare
from unitune.tuner.tune import tune

__all__ = ["compare", "tune"]
