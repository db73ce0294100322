"""From what a run found to its figures: prepared data handed to the drawing, one function a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitune.errors import OptionError
from unitune.records import Trial
from unitune.report import draw
from unitune.report.facts import Facts
from unitune.report.numbers import title_of
from unitune.report.prepared.architecture import Diagram, diagram
from unitune.report.prepared.choice import fit_verdict, panel_trials
from unitune.report.prepared.curves import Panel, panels, shown_metrics
from unitune.report.prepared.health import HealthPanel, health
from unitune.report.prepared.heatmap import Grid, units_by_activation
from unitune.report.prepared.interplay import Share, shares
from unitune.report.prepared.intervals import TOP, Interval, intervals
from unitune.report.prepared.marginals import MAX_PANELS, MarginalPanel, marginal_panels
from unitune.report.prepared.overview import OverviewPanel, overview
from unitune.report.prepared.pareto import CostMap, cost_maps

if TYPE_CHECKING:
    import plotly.graph_objects as go

N_PANELS = 6


class Gallery:
    """The figures of a run, and the prepared data of each.

    Args:
        facts: What the run found.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def grid(self) -> Grid | None:
        """Of the heat map."""
        return units_by_activation(self.facts.table, self.facts.direction, self.facts.credible)

    def interval_rows(self, top: int = TOP) -> tuple[Interval, ...]:
        """Of the intervals."""
        facts = self.facts
        return intervals(facts.table, facts.labels, credible=facts.credible, recommended=facts.recommended, top=top)

    def panels(self, trial: Trial | int | None = None) -> tuple[Panel, ...]:
        """Of the learning curves: loss and metric of one trial, or of the recommended one and the loss of others."""
        facts = self.facts
        if facts.best is None:
            return ()
        ranking = [int(number) for number in facts.table["trial"] if facts.trials[int(number)].state == "complete"]
        chosen = panel_trials(ranking, best=facts.best, recommended=facts.recommended, n=N_PANELS - 1)
        found: list[Panel] = []
        for number in chosen if trial is None else (_number(trial),):
            history = facts.history(number)
            leads = not found
            found += panels(
                history,
                trial=number,
                title=("★ " if number == facts.recommended else "") + title_of(facts.labels[number], number),
                metrics=shown_metrics(history) if leads else ("loss",),
                best_epoch=facts.best_epoch(number),
                verdict=fit_verdict(facts.kinds(number), fits_well=number in facts.fitting),
            )
        return tuple(found)

    def health_panels(self, trial: Trial | int | None = None) -> tuple[HealthPanel, ...]:
        """Of the activation health: of the recommended trial, if no other is named."""
        number = self.chosen if trial is None else _number(trial)
        return () if number is None else health(self.facts.probes(number))

    def overview_panels(self) -> tuple[OverviewPanel, ...]:
        """Of the health of all trials."""
        facts = self.facts
        if facts.trial_health is None:
            return ()
        return overview(facts.trial_health, facts.table, facts.labels, facts.settings, recommended=facts.recommended)

    def marginal_panels(self, hyperparameter: str | None = None) -> tuple[MarginalPanel, ...]:
        """Of the marginals: of one hyperparameter, or of those that the score depends on most, these first."""
        facts = self.facts
        tables = facts.marginals
        if hyperparameter is not None:
            self.check(hyperparameter)
            tables = {hyperparameter: tables[hyperparameter]}
        order = [one.term for one in self.shares() if one.kind == "single"]
        return marginal_panels(tables, facts.labels, order)[:MAX_PANELS]

    def shares(self) -> tuple[Share, ...]:
        """Of the interplay."""
        return () if self.facts.interplay is None else shares(self.facts.interplay)

    def cost_maps(self) -> tuple[CostMap, ...]:
        """Of cost against score."""
        facts = self.facts
        return cost_maps(
            facts.table, facts.labels, direction=facts.direction, credible=facts.credible, recommended=facts.recommended
        )

    def diagram(self) -> Diagram | None:
        """Of the architecture."""
        return diagram(self.facts.layers) if self.facts.layers else None

    @property
    def chosen(self) -> int | None:
        """The recommended trial, or else the best."""
        return self.facts.recommended if self.facts.recommended is not None else self.facts.best

    def heatmap(self) -> go.Figure:
        """The score to expect for each number of units and activation; what may be the best is outlined."""
        facts = self.facts
        return draw.draw_heatmap(
            self.grid(), objective=facts.objective, direction=facts.direction, recommended=facts.recommended
        )

    def intervals(self, top: int = TOP) -> go.Figure:
        """The top trials: the score to expect with its 95 % interval, the mean over the folds, the training score.

        Args:
            top: How many trials.
        """
        facts = self.facts
        return draw.draw_intervals(self.interval_rows(top), objective=facts.objective)

    def learning_curves(self, trial: Trial | int | None = None) -> go.Figure:
        """Training and validation over the epochs; the band goes from the lowest to the highest fold.

        Args:
            trial: A trial or its number; the recommended, the best and those after it, if not given.
        """
        return draw.draw_curves(self.panels(trial), standardised=self.facts.standardised)

    def health(self, trial: Trial | int | None = None) -> go.Figure:
        """Dead units, saturation and gradients by layer and epoch.

        Args:
            trial: A trial or its number; the recommended, if not given.
        """
        return draw.draw_health(self.health_panels(trial))

    def health_overview(self) -> go.Figure:
        """Dead units, saturation and gradient flow of all trials, by activation."""
        return draw.draw_overview(self.overview_panels())

    def marginals(self, hyperparameter: str | None = None) -> go.Figure:
        """What each value can do: the best trial that has it (the isolation plot), and the value over all others.

        Args:
            hyperparameter: One that varied; the eight that matter most, if not given.

        Raises:
            OptionError: It did not vary.
        """
        return draw.draw_marginals(self.marginal_panels(hyperparameter), objective=self.facts.objective)

    def interplay(self) -> go.Figure:
        """How much of the variation in score is due to each hyperparameter, to their interplay, to folds and seeds."""
        return draw.draw_interplay(self.shares())

    def pareto(self) -> go.Figure:
        """Score against parameters and training time, with the Pareto front."""
        return draw.draw_pareto(self.cost_maps(), objective=self.facts.objective)

    def architecture(self) -> go.Figure:
        """The layers of the recommended network, with their shapes and parameters."""
        return draw.draw_architecture(self.diagram())

    def check(self, hyperparameter: str | None) -> None:
        """Refuses a hyperparameter that did not vary.

        Raises:
            OptionError: It did not.
        """
        known = self.facts.marginals
        if hyperparameter is not None and hyperparameter not in known:
            raise OptionError(
                "`hyperparameter` must be one that varied",
                f"got {hyperparameter!r}",
                f"Those are {', '.join(known)}." if known else "None did.",
            )


def _number(trial: Trial | int) -> int:
    return trial.number if isinstance(trial, Trial) else trial
