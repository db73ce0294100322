"""`result.plot`: the figures of a run, one by one."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unitune.errors import OptionError, SaveError, suggest
from unitune.records import Trial
from unitune.report.gallery import Gallery
from unitune.result.facts import facts_of
from unitune.result.record import Record

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Plots:
    """The figures of a run, each a `plotly.graph_objects.Figure`, which shows itself in a notebook.

    `save` writes any of them as PNG or SVG, and needs no browser for it.
    """

    def __init__(self, result: Record) -> None:
        self._gallery = Gallery(facts_of(result))

    def heatmap(self) -> go.Figure:
        """The score to expect for each number of units and activation; what may be the best is outlined."""
        return self._gallery.heatmap()

    def intervals(self, top: int = 15) -> go.Figure:
        """The top trials: the score to expect with its 95 % interval, the mean over the folds, the training score.

        Args:
            top: How many trials.
        """
        return self._gallery.intervals(top)

    def learning_curves(self, trial: Trial | int | None = None) -> go.Figure:
        """Training and validation over the epochs; the band goes from the lowest to the highest fold.

        Args:
            trial: A trial or its number; the recommended, the best and those after it, if not given.
        """
        return self._gallery.learning_curves(_number(trial))

    def health(self, trial: Trial | int | None = None) -> go.Figure:
        """Dead units, saturation and gradients by layer and epoch.

        Args:
            trial: A trial or its number; the recommended, if not given.
        """
        return self._gallery.health(_number(trial))

    def health_overview(self) -> go.Figure:
        """Dead units, saturation and gradient flow of all trials, by activation."""
        return self._gallery.health_overview()

    def marginals(self, hyperparameter: str | None = None) -> go.Figure:
        """What each value can do: the best trial that has it (the isolation plot), and the value over all others.

        Args:
            hyperparameter: One that varied; the eight that matter most, if not given.

        Raises:
            OptionError: It did not vary.
        """
        self._check(hyperparameter)
        return self._gallery.marginals(hyperparameter)

    def interplay(self) -> go.Figure:
        """How much of the variation in score is due to each hyperparameter, to their interplay, to folds and seeds."""
        return self._gallery.interplay()

    def pareto(self) -> go.Figure:
        """Score against parameters and training time, with the Pareto front."""
        return self._gallery.pareto()

    def architecture(self) -> go.Figure:
        """The layers of the recommended network, with their shapes and parameters."""
        return self._gallery.architecture()

    def save(self, name: str, path: str | Path, **options: Any) -> Path:
        """Writes a figure as a picture, drawn with Matplotlib from the same numbers.

        Args:
            name: `"heatmap"`, `"intervals"`, `"learning_curves"`, `"health"`, `"health_overview"`, `"interplay"`,
                `"marginals"`, `"pareto"` or `"architecture"`.
            path: Where; it ends in `.png` or `.svg`.
            options: What the figure takes: `top`, `trial` or `hyperparameter`.

        Returns:
            The path.

        Raises:
            OptionError: There is no such figure, it does not take the option, or the path ends otherwise.
            SaveError: It cannot be written.
        """
        from unitune.report.static import DRAWINGS, picture

        place = Path(path)
        kind = place.suffix.lower().lstrip(".")
        if name not in DRAWINGS:
            raise OptionError("`name` must be a figure of the report", f"got {name!r}", suggest(name, DRAWINGS))
        if kind not in ("png", "svg"):
            raise OptionError("A picture is a PNG or an SVG file", f"got `{place.name}`", "Use `.png` or `.svg`.")
        taken = list(inspect.signature(getattr(self, name)).parameters)
        for option in options:
            if option not in taken:
                known = f"It takes {', '.join(f'`{one}`' for one in taken)}." if taken else "It takes none."
                raise OptionError(f"An option of `save` must be one of `plot.{name}`", f"got `{option}`", known)
        self._check(options.get("hyperparameter"))
        if "trial" in options:
            options["trial"] = _number(options["trial"])
        try:
            place.write_bytes(picture(self._gallery, name, kind, **options))
        except OSError as error:
            raise SaveError(f"`{place}` cannot be written: {error.strerror or error}.") from error
        return place

    def _check(self, hyperparameter: str | None) -> None:
        known = self._gallery.facts.marginals
        if hyperparameter is not None and hyperparameter not in known:
            raise OptionError(
                "`hyperparameter` must be one that varied",
                f"got {hyperparameter!r}",
                f"Those are {', '.join(known)}." if known else "None did.",
            )


def _number(trial: Trial | int | None) -> int | None:
    return trial.number if isinstance(trial, Trial) else trial
