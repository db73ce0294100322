"""How a width is put together, and where a member's own features lie in a padded one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unitune.records import Array

# How a width is put together: a node's number stands for its own width, `-1 - k` for that of the model's input k, and
# `(times, layout)` for a layout that is repeated. `Flatten` repeats its input's, `Concatenate` joins several.
Layout = tuple[Any, ...]


def sources(layout: Layout) -> set[int]:
    """The nodes and inputs whose widths a layout is made of."""
    found: set[int] = set()
    for item in layout:
        found |= sources(item[1]) if isinstance(item, tuple) else {item}
    return found


def layout_width(layout: Layout, widths: Mapping[int, int]) -> int:
    """The width of a layout.

    Example:
        >>> layout_width((0, (4, (1,))), {0: 3, 1: 5})
        23
    """
    return sum(item[0] * layout_width(item[1], widths) if isinstance(item, tuple) else widths[item] for item in layout)


def leads(layout: Layout) -> bool:
    """Whether a member's own features are the first ones of the padded width."""
    return len(layout) == 1 and not isinstance(layout[0], tuple)


def runs(layout: Layout, widths: Mapping[int, int]) -> list[int]:
    """The lengths of a layout's parts, one after another."""
    found: list[int] = []
    for item in layout:
        found += item[0] * runs(item[1], widths) if isinstance(item, tuple) else [widths[item]]
    return found


def places(layout: Layout, own: Mapping[int, int], padded: Mapping[int, int]) -> Array | slice:
    """Where a member's features lie in the padded width: a slice where they lead, otherwise their numbers.

    Example:
        >>> places((0,), {0: 3}, {0: 8})
        slice(0, 3, None)
        >>> places(((2, (0,)),), {0: 2}, {0: 3}).tolist()
        [0, 1, 3, 4]
    """
    if all(own[source] == padded[source] for source in sources(layout)):
        return slice(0, layout_width(layout, padded))
    if leads(layout):
        return slice(0, own[layout[0]])
    mine, all_runs = np.array(runs(layout, own)), np.array(runs(layout, padded))
    starts = np.cumsum(all_runs) - all_runs
    within = np.arange(mine.sum()) - np.repeat(np.cumsum(mine) - mine, mine)
    return np.asarray(np.repeat(starts, mine) + within)


def corner(chosen: Sequence[Array | slice]) -> Any:
    """What indexes a padded weight by the places of a member's own along each axis."""
    if all(isinstance(one, slice) for one in chosen):
        return tuple(chosen)
    return np.ix_(*(np.arange(one.stop) if isinstance(one, slice) else one for one in chosen))
