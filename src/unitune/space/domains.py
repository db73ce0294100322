"""Domains: the values that a hyperparameter may take. Nothing here draws at random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from unitune.errors import SpaceError

Size: TypeAlias = int | float
"""How many values: a whole number, or `math.inf`."""

# A step that does not quite divide the range must not lose its last value to rounding: 0 to 0.5 in steps of 0.1.
_SLACK = 1e-9


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same setting. `True` is not 1, and 1 is 1.0.

    Example:
        >>> same(1, 1.0), same(True, 1)
        (True, False)
    """
    if a is b:
        return True
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(float(value))
    )


@dataclass(frozen=True)
class Fixed:
    """One value that does not vary.

    Args:
        value: Anything.

    Example:
        >>> Fixed(32).values()
        (32,)
    """

    value: Any

    @property
    def size(self) -> int:
        """How many values there are: 1."""
        return 1

    def values(self) -> tuple[Any, ...]:
        """The one value."""
        return (self.value,)

    def from_unit(self, u: float) -> Any:
        """The one value, whatever `u` is.

        Args:
            u: From 0 to below 1.
        """
        return self.value

    def contains(self, value: Any) -> bool:
        """Whether `value` is the one value.

        Args:
            value: Anything.
        """
        return same(self.value, value)

    def edges(self) -> tuple[Any, Any] | None:
        """None: a fixed value has no edges."""
        return None


@dataclass(frozen=True)
class Choice:
    """One of some values: numbers, names, None, tuples, functions, Keras layers.

    Args:
        values: Each value once. A list or any other sequence becomes a tuple.
        ordered: Whether their order means something, so that the first and the last are edges. Numbers are ordered by
            size.

    Raises:
        SpaceError: There is no value, or one appears twice.

    Example:
        >>> Choice((16, 64, 32), ordered=True).edges()
        (16, 64)
        >>> Choice(("relu", "tanh")).from_unit(0.7)
        'tanh'
    """

    options: tuple[Any, ...]
    ordered: bool = False

    def __init__(self, values: Any, ordered: bool = False) -> None:
        if isinstance(values, str) or not hasattr(values, "__iter__"):
            raise SpaceError("`Choice` takes a list of values", f"got {values!r}", f"Write `Choice([{values!r}])`.")
        options = tuple(values)
        if not options:
            raise SpaceError("`Choice` needs at least one value", "got an empty list")
        for number, value in enumerate(options):
            if any(same(value, other) for other in options[:number]):
                raise SpaceError("the values of `Choice` must differ", f"got {value!r} twice", "Leave one of them out.")
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "ordered", bool(ordered))

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.options)

    def values(self) -> tuple[Any, ...]:
        """The values, in the order in which they were given."""
        return self.options

    def from_unit(self, u: float) -> Any:
        """The value at `u` of the way through, `0 <= u < 1`.

        Args:
            u: From 0 to below 1.
        """
        return self.options[min(int(u * len(self.options)), len(self.options) - 1)]

    def contains(self, value: Any) -> bool:
        """Whether `value` is one of the values.

        Args:
            value: Anything.
        """
        return any(same(option, value) for option in self.options)

    def edges(self) -> tuple[Any, Any] | None:
        """The lowest and highest of ordered values; None without an order, or with fewer than two values."""
        if not self.ordered or len(self.options) < 2:
            return None
        if all(_is_real(option) for option in self.options):
            return min(self.options), max(self.options)
        return self.options[0], self.options[-1]


def _check_bounds(kind: str, low: Any, high: Any, step: Any, log: bool) -> None:
    if low > high:
        raise SpaceError(
            f"`low <= high` must hold for `{kind}`", f"got low={low}, high={high}", f"Write `{kind}({high}, {low})`."
        )
    if log and low <= 0:
        raise SpaceError(
            "`low > 0` must hold for `log=True`", f"got low={low}, high={high}", "Raise `low`, or leave `log` out."
        )
    if step is None:
        return
    if log and step <= 1:
        raise SpaceError(
            "with `log=True`, `step` is a factor above 1", f"got step={step}", "Use `step=2` to double each time."
        )
    if step <= 0:
        raise SpaceError("`step` must be positive", f"got step={step}")


def _n_steps(low: float, high: float, step: float, log: bool) -> int:
    exact = math.log(high / low) / math.log(step) if log else (high - low) / step
    return math.floor(exact + _SLACK) + 1


@dataclass(frozen=True)
class Int:
    """A whole number from `low` to `high`, both included.

    Args:
        low, high: The bounds.
        step: The distance between values, 1 by default. With `log=True` a factor: `Int(16, 256, 2, log=True)` is 16,
            32, 64, 128, 256.
        log: Whether factors matter rather than differences: 16 to 32 is as far as 128 to 256.

    Raises:
        SpaceError: A bound is not whole, `low > high`, `low <= 0` with `log=True`, or the step does not go up.

    Example:
        >>> Int(16, 64, step=16).values()
        (16, 32, 48, 64)
        >>> Int(16, 256, step=2, log=True).values()
        (16, 32, 64, 128, 256)
    """

    low: int
    high: int
    step: int | None = None
    log: bool = False

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high), ("step", self.step)):
            if value is None and name == "step":
                continue
            if not _is_whole(value):
                raise SpaceError(
                    f"`{name}` of `Int` must be a whole number", f"got {value!r}", "Use `Float` for fractions."
                )
            object.__setattr__(self, name, int(value))  # type: ignore[arg-type]
        _check_bounds("Int", self.low, self.high, self.step, self.log)

    @property
    def size(self) -> int:
        """How many values there are."""
        if self.step is None:
            return self.high - self.low + 1
        return _n_steps(self.low, self.high, self.step, self.log)

    def _at(self, index: int) -> int:
        step = 1 if self.step is None else self.step
        return self.low * step**index if self.log and self.step is not None else self.low + index * step

    def values(self) -> tuple[int, ...]:
        """All values, upwards."""
        return tuple(self._at(index) for index in range(self.size))

    def from_unit(self, u: float) -> int:
        """The value at `u` of the way from `low` to `high` (of the way in factors with `log`), `0 <= u < 1`.

        Args:
            u: From 0 to below 1.
        """
        if self.log and self.step is None:
            # Half a unit beyond either bound gives the bounds their share once rounded.
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return min(max(round(math.exp(low + u * (high - low))), self.low), self.high)
        return self._at(min(int(u * self.size), self.size - 1))

    def contains(self, value: Any) -> bool:
        """Whether `value` is a whole number of this range.

        Args:
            value: Anything.
        """
        if not _is_whole(value) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        if self.log:
            return int(value) in self.values()
        return bool((value - self.low) % self.step == 0)

    def edges(self) -> tuple[int, int] | None:
        """The lowest and the highest value; None where there is one value only."""
        return None if self.size < 2 else (self.low, self._at(self.size - 1))


@dataclass(frozen=True)
class Float:
    """A number from `low` to `high`, both included.

    Args:
        low, high: The bounds.
        step: The distance between values; None for every number in between. With `log=True` a factor:
            `Float(1e-4, 1e-1, 10, log=True)` is 0.0001, 0.001, 0.01, 0.1.
        log: Whether factors matter rather than differences, as for a learning rate.

    Raises:
        SpaceError: A bound is not a finite number, `low > high`, `low <= 0` with `log=True`, or the step does not go
            up.

    Example:
        >>> Float(1e-4, 1e-2, log=True).from_unit(0.5)
        0.001
        >>> Float(0.0, 0.5, step=0.1).values()
        (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high), ("step", self.step)):
            if value is None and name == "step":
                continue
            if not _is_real(value):
                raise SpaceError(f"`{name}` of `Float` must be a finite number", f"got {value!r}")
            object.__setattr__(self, name, float(value))  # type: ignore[arg-type]
        _check_bounds("Float", self.low, self.high, self.step, self.log)

    @property
    def size(self) -> Size:
        """How many values there are; `math.inf` without a step."""
        if self.low == self.high:
            return 1
        return math.inf if self.step is None else _n_steps(self.low, self.high, self.step, self.log)

    def _at(self, index: int) -> float:
        if self.step is None:
            return self.low
        exact = self.low * self.step**index if self.log else self.low + index * self.step
        return min(float(f"{exact:.12g}"), self.high)

    def values(self) -> tuple[float, ...]:
        """All values, upwards.

        Raises:
            SpaceError: There is no step, and so no end of values.
        """
        if self.size == math.inf:
            raise SpaceError(
                "every value of a range can be listed only where it has a step",
                f"got Float({self.low:g}, {self.high:g})",
                "Give it a `step`, or list the values, or search at random.",
            )
        return tuple(self._at(index) for index in range(int(self.size)))

    def from_unit(self, u: float) -> float:
        """The value at `u` of the way from `low` to `high` (of the way in factors with `log`), `0 <= u < 1`.

        Args:
            u: From 0 to below 1.
        """
        if self.size != math.inf:
            return self._at(min(int(u * self.size), int(self.size) - 1))
        if self.log:
            exact = math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        else:
            exact = self.low + u * (self.high - self.low)
        # 12 digits: below what training can tell apart, and tables stay free of 0.0009999999999999998.
        return min(max(float(f"{exact:.12g}"), self.low), self.high)

    def contains(self, value: Any) -> bool:
        """Whether `value` is a number of this range.

        Args:
            value: Anything.
        """
        if not _is_real(value) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        return any(math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12) for other in self.values())

    def edges(self) -> tuple[float, float] | None:
        """The lowest and the highest value; None where there is one value only."""
        if self.size == 1:
            return None
        return (self.low, self.high) if self.step is None else (self.low, self._at(int(self.size) - 1))


Domain: TypeAlias = Fixed | Choice | Int | Float
