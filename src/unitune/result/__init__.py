"""What a search returns, and what can be done with it later."""

from unitune.result.comparison import RunComparison, compare_runs
from unitune.result.predictions import probabilities
from unitune.result.saved import load
from unitune.result.search_result import Result, Source

__all__ = ["Result", "RunComparison", "Source", "compare_runs", "load", "probabilities"]
