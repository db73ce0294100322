"""Statistics on the scores of trials: intervals, ties, the winner's corrected score, what the score depends on."""

from unitune.stats.corrected import Estimate, bbc_cv, corrected_estimates
from unitune.stats.forest import Axis, forest_shares
from unitune.stats.intervals import Summary, summarise
from unitune.stats.marginals import Marginal, marginals
from unitune.stats.out_of_fold import Cell, OutOfFold
from unitune.stats.paired import PairedTest, corrected_t_test
from unitune.stats.ties import Ties, nothing_known, tied_after_endless_repeats, tied_by_rows, tied_with_best
from unitune.stats.variance import Share, is_complete, variance_shares

__all__ = [
    "Axis",
    "Cell",
    "Estimate",
    "Marginal",
    "OutOfFold",
    "PairedTest",
    "Share",
    "Summary",
    "Ties",
    "bbc_cv",
    "corrected_estimates",
    "corrected_t_test",
    "forest_shares",
    "is_complete",
    "marginals",
    "nothing_known",
    "summarise",
    "tied_after_endless_repeats",
    "tied_by_rows",
    "tied_with_best",
    "variance_shares",
]
