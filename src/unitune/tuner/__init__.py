"""The only loop: ask, train, score, tell, record; and its two faces, `tune` and `compare`."""

from unitune.tuner.adopted import compare
from unitune.tuner.dense import tune

__all__ = ["compare", "tune"]
