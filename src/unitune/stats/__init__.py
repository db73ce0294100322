"""Statistics on the scores of trials: intervals of a mean over folds, and paired comparisons."""

from unitune.stats.intervals import Summary, summarise
from unitune.stats.paired import PairedTest, corrected_t_test

__all__ = ["PairedTest", "Summary", "corrected_t_test", "summarise"]
