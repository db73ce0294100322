"""The only loop: ask, train, score, tell, record; and its faces, `tune`, `resume`, `compare` and `verify`."""

from unitune.tuner.adopted import compare
from unitune.tuner.dense import tune
from unitune.tuner.resume import resume
from unitune.tuner.verify import verify

__all__ = ["compare", "resume", "tune", "verify"]
