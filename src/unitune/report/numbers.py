"""How numbers are written for people: on the page, in the pictures and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def score_format(scores: Iterable[float]) -> Callable[[float], str]:
    """How to write scores that stand beside each other: with equally many decimals, the largest to four places.

    Example:
        >>> [score_format(scores)(scores[-1]) for scores in ([0.97, 1.0], [9.876, 12.3], [12345.6], [0.00123])]
        ['1.0000', '12.30', '12,346', '0.001230']
    """
    size = max((abs(score) for score in scores if math.isfinite(score)), default=0.0)
    decimals = 4 if size == 0 or 0.1 <= size <= 1 else min(12, max(0, 3 - math.floor(math.log10(size))))
    return lambda score: f"{round(score, decimals) + 0.0:,.{decimals}f}"  # no "-0.000"


def short_format(scores: Iterable[float]) -> Callable[[float], str]:
    """As `score_format`, but with only the decimals that tell the scores apart: two significant ones of their spread.

    Example:
        >>> [short_format(scores)(scores[-1]) for scores in ([0.951, 0.978], [51.2, 60.04], [3101.0, 3409.5])]
        ['0.978', '60.0', '3,410']
    """
    finite = [score for score in scores if math.isfinite(score)]
    size = max((abs(score) for score in finite), default=0.0)
    spread = max(finite) - min(finite) if finite else 0.0
    smallest = min(spread / 10 if spread > 0 else size, size / 100)
    decimals = 3 if smallest <= 0 else min(5, max(0, math.ceil(-math.log10(smallest))))
    return lambda score: f"{score:,.{decimals}f}"


def setting(value: Any) -> str:
    """The value of a hyperparameter; empty where it is not part of the configuration.

    Example:
        >>> setting(64), setting(0.00123456), setting("relu"), setting(None)
        ('64', '0.001235', 'relu', '')
    """
    if value is None or value != value or str(value) == "<NA>":
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def seconds(value: float) -> str:
    """A time.

    Example:
        >>> seconds(0.0123), seconds(5.21), seconds(75), seconds(3723)
        ('0.01 s', '5.2 s', '1 min 15 s', '1 h 2 min')
    """
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def axis_name(name: str) -> str:
    """A hyperparameter's name in words.

    Example:
        >>> axis_name("units_2"), axis_name("learning_rate"), axis_name("units")
        ('units of layer 2', 'learning rate', 'units')
    """
    base, _, layer = name.rpartition("_")
    return f"{base.replace('_', ' ')} of layer {layer}" if layer.isdigit() and base else name.replace("_", " ")


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis, at most seven of them between its ends.

    Example:
        >>> log_ticks(513, 8193), log_ticks(0.0016, 0.0027)
        ([500.0, 1000.0, 2000.0, 5000.0, 10000.0], [0.0015, 0.002, 0.003])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    # The finest scale that is not crowded: a narrow axis needs numbers in between.
    for digits in (("1", "1.5", "2", "3", "4", "5", "7"), ("1", "2", "5"), ("1",)):
        ticks = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in digits]
        below = max((tick for tick in ticks if tick <= low), default=ticks[0])
        above = min((tick for tick in ticks if tick >= high), default=ticks[-1])
        ticks = [tick for tick in ticks if below <= tick <= above]
        if len(ticks) <= (7 if len(digits) < 7 else 5):
            break
    return ticks


def short(text: str, length: int = 46) -> str:
    """Text that ends in an ellipsis where it is too long for a label: behind a whole item of a list, if there is one.

    Example:
        >>> short("units 64, gelu, dropout 0.25", 20), short("batch_normalization", 9)
        ('units 64, gelu, …', 'batch_no…')
    """
    if len(text) <= length:
        return text
    kept = text[: length - 1].rpartition(", ")[0]
    return f"{kept}, …" if kept else text[: length - 1].rstrip(", ") + "…"


def title_of(label: str, trial: int, length: int = 46) -> str:
    """What a trial is called above its picture: with its number, where not all of it fits.

    Example:
        >>> title_of("units 64, gelu", 7), title_of("units 64, gelu, dropout 0.25", 7, 26)
        ('units 64, gelu', 'trial 7: units 64, gelu, …')
    """
    number = f"trial {trial}: "
    return label if len(label) <= length else number + short(label, length - len(number))


def in_lines(labels: Mapping[int, str], length: int = 36, most: int = 50) -> list[list[str]]:
    """Labels of trials in one line or two, broken after a comma; numbers of trials, where that does not hold them all.

    Args:
        labels: From trial to label.
        length: Characters of a label that stays on one line.
        most: Characters of a line of two.

    Example:
        >>> in_lines({1: "units 64, gelu", 2: "units 128, tanh, learning rate 0.03, dropout 0.2"})
        [['units 64, gelu'], ['units 128, tanh,', 'learning rate 0.03, dropout 0.2']]
        >>> in_lines({1: "units 64, gelu"}, 10, 8)
        [['trial 1']]
    """
    found = [_broken(label, length) for label in labels.values()]
    fits = all(len(line) <= most for lines in found for line in lines)
    return found if fits else [[f"trial {trial}"] for trial in labels]


def _broken(text: str, length: int) -> list[str]:
    breaks = [place + 1 for place in range(len(text) - 1) if text[place : place + 2] == ", "]
    if len(text) <= length or not breaks:
        return [text]
    middle = min(breaks, key=lambda place: abs(2 * place - len(text)))
    return [text[:middle], text[middle:].strip()]
