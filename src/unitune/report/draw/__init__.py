"""Drawing with Plotly: what `unitune.report.prepared` made ready, as interactive figures."""

from unitune.report.draw.parts import draw_architecture, draw_interplay
from unitune.report.draw.scores import draw_heatmap, draw_intervals, draw_marginals, draw_pareto
from unitune.report.draw.training import draw_curves, draw_health, draw_overview

__all__ = [
    "draw_architecture",
    "draw_curves",
    "draw_health",
    "draw_heatmap",
    "draw_interplay",
    "draw_intervals",
    "draw_marginals",
    "draw_overview",
    "draw_pareto",
]
