"""Strategies: they propose configurations and learn from finished trials."""

from unitune.search.base import Goal, Strategy
from unitune.search.choose import STRATEGIES, make_strategy
from unitune.search.grid import Grid
from unitune.search.one_at_a_time import Change, OneAtATime
from unitune.search.random import Random

__all__ = ["STRATEGIES", "Change", "Goal", "Grid", "OneAtATime", "Random", "Strategy", "make_strategy"]
