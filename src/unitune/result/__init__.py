"""What a search returns, and what can be done with it later."""

from unitune.result.certainty import posterior_of
from unitune.result.comparison import RunComparison, compare_runs
from unitune.result.predictions import probabilities
from unitune.result.references import Reference
from unitune.result.saved import load
from unitune.result.search_result import Result
from unitune.result.source import Source
from unitune.result.verification import Verification

__all__ = [
    "Reference",
    "Result",
    "RunComparison",
    "Source",
    "Verification",
    "compare_runs",
    "load",
    "posterior_of",
    "probabilities",
]
