"""How an option is given: in words on the command line, and within which range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitune.errors import OptionError


@dataclass(frozen=True)
class Flag:
    """What the command line says of an option that it has a flag for.

    Attributes:
        help: One line.
        type: Of its value.
        names: Of the flag, where they do not follow from the option's name.
        many: Whether it may be given several times.
        metavar: What stands for its value.
    """

    help: str
    type: type = str
    names: tuple[str, ...] = ()
    many: bool = False
    metavar: str | None = None


@dataclass(frozen=True)
class AtLeast:
    """A number from `low` on; where `whole`, one without a fraction."""

    low: float
    whole: bool = False

    def check(self, name: str, value: Any) -> None:
        """Refuses what is no such number.

        Raises:
            OptionError: It is not.

        Example:
            >>> AtLeast(1, whole=True).check("repeats", 0)
            Traceback (most recent call last):
            ...
            unitune.errors.OptionError: `repeats` must be a whole number of at least 1, but got 0.
        """
        is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not is_number or (self.whole and value != int(value)) or not value >= self.low:
            kind = "a whole number" if self.whole else "a number"
            raise OptionError(f"`{name}` must be {kind} of at least {self.low:g}", f"got {value!r}")


def values(text: str) -> Flag:
    """A flag that takes a value, a list or a range."""
    return Flag(text, metavar="VALUES")
