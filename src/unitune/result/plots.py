"""`result.plot`: the figures of a run, one by one."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from unitune.errors import OptionError, SaveError, suggest
from unitune.report.gallery import Gallery
from unitune.result.facts import facts_of
from unitune.result.record import Record


class Plots(Gallery):
    """The figures of a run, each a `plotly.graph_objects.Figure`, which shows itself in a notebook.

    `save` writes any of them as PNG or SVG, and needs no browser for it.
    """

    def __init__(self, result: Record) -> None:
        super().__init__(facts_of(result))

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
        self.check(options.get("hyperparameter"))
        try:
            place.write_bytes(picture(self, name, kind, **options))
        except OSError as error:
            raise SaveError(f"`{place}` cannot be written: {error.strerror or error}.") from error
        return place
