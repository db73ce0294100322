"""Statistics on the scores of trials: one model of all of them, and intervals of single ones."""

from unitune.stats.design import Design, design_of
from unitune.stats.effects import Marginal, effect_marginals, effect_shares, sample_of
from unitune.stats.estimate import Estimate
from unitune.stats.intervals import Summary, summarise
from unitune.stats.out_of_fold import Cell, OutOfFold
from unitune.stats.paired import PairedTest, corrected_t_test
from unitune.stats.posterior import Posterior
from unitune.stats.rows import RowNoise, row_noise
from unitune.stats.score_model import model_scores
from unitune.stats.ties import Ties, tied_by_rows, tied_with_best
from unitune.stats.value import Worth, next_repeats, repeats_to_settle, worth_of
from unitune.stats.variance import Share, is_complete

__all__ = [
    "Cell",
    "Design",
    "Estimate",
    "Marginal",
    "OutOfFold",
    "PairedTest",
    "Posterior",
    "RowNoise",
    "Share",
    "Summary",
    "Ties",
    "Worth",
    "corrected_t_test",
    "design_of",
    "effect_marginals",
    "effect_shares",
    "is_complete",
    "model_scores",
    "next_repeats",
    "repeats_to_settle",
    "row_noise",
    "sample_of",
    "summarise",
    "tied_by_rows",
    "tied_with_best",
    "worth_of",
]
