"""The only loop: ask, train, score, tell, record; and its faces, `tune`, `compare` and `verify`."""

from unitune.tuner.adopted import compare
from unitune.tuner.dense import tune
from unitune.tuner.verify import verify

__all__ = ["compare", "tune", "verify"]
