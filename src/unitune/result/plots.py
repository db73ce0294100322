"""`result.plot`: the figures of a run, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from unitune.errors import OptionError, SaveError, suggest
from unitune.records import Trial
from unitune.report.gallery import Gallery
from unitune.result.facts import facts_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from unitune.result.search_result import Result


class Plots:
    """The figures of a run, each a `plotly.graph_objects.Figure`, which shows itself in a notebook.

    `save` writes any of them as PNG or SVG, and needs no browser for it.
    """

    def __init__(self, result: Result) -> None:
        self._gallery = Gallery(facts_of(result))

    def heatmap(self) -> go.Figure:
        """The best mean score for each number of units and activation, with intervals; the tied set is outlined."""
        return self._gallery.heatmap()

    def intervals(self, top: int = 15) -> go.Figure:
        """The best trials with their 95 % intervals and their training scores, and the corrected estimate.

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

    def interplay(self) -> go.Figure:
        """How much of the variation in score is due to each hyperparameter, to their interplay, to folds and seeds."""
        return self._gallery.interplay()

    def pareto(self) -> go.Figure:
        """Score against parameters and training time, with the Pareto front."""
        return self._gallery.pareto()

    def architecture(self) -> go.Figure:
        """The layers of the recommended network, with their shapes and parameters."""
        return self._gallery.architecture()

    def save(self, name: str, path: str | Path) -> Path:
        """Writes a figure as a picture, drawn with Matplotlib from the same numbers.

        Args:
            name: `"heatmap"`, `"intervals"`, `"learning_curves"`, `"health"`, `"interplay"`, `"pareto"` or
                `"architecture"`.
            path: Where; it ends in `.png` or `.svg`.

        Returns:
            The path.

        Raises:
            OptionError: There is no such figure, or the path ends otherwise.
            SaveError: It cannot be written.
        """
        from unitune.report.static import DRAWINGS, picture

        place = Path(path)
        kind = place.suffix.lower().lstrip(".")
        if name not in DRAWINGS:
            raise OptionError("`name` must be a figure of the report", f"got {name!r}", suggest(name, DRAWINGS))
        if kind not in ("png", "svg"):
            raise OptionError("A picture is a PNG or an SVG file", f"got `{place.name}`", "Use `.png` or `.svg`.")
        try:
            place.write_bytes(picture(self._gallery, name, kind))
        except OSError as error:
            raise SaveError(f"`{place}` cannot be written: {error.strerror or error}.") from error
        return place


def _number(trial: Trial | int | None) -> int | None:
    return trial.number if isinstance(trial, Trial) else trial
