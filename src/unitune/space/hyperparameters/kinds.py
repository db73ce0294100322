"""The kinds of hyperparameter that a function can ask for: a name, its values, a default and conditions.

Each maps its values to the unit interval and back (`value_to_prob`, `prob_to_value`), which is all that drawing at
random and a Gaussian process need. Of n listed values the i-th lies in the middle of the i-th of n equal parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from unitune.errors import SpaceError
from unitune.space import domains
from unitune.space.domains import same
from unitune.space.hyperparameters.hyperparameter import HyperParameter

SAMPLINGS = ("linear", "log", "reverse_log")
VALUES_OF_A_RANGE = 10
"""How many values stand for a range without a step, in a grid."""
_SLACK = 1e-8


class _Listed(HyperParameter):
    """A hyperparameter whose values are a list."""

    def prob_to_value(self, prob: float) -> Any:
        values = self.values
        return values[min(int(prob * len(values)), len(values) - 1)]

    def value_to_prob(self, value: Any) -> float:
        values = self.values
        for index, other in enumerate(values):
            if same(other, value):
                return (index + 0.5) / len(values)
        raise SpaceError(f"`{self.name}` must be one of its values", f"got {value!r}", f"Values: {list(values)}.")


class Choice(_Listed):
    """One of some values: numbers, text, booleans, None, tuples or functions.

    Args:
        name: Its full name.
        values: Of one type; None, tuples and functions may be among them.
        ordered: Whether their order means something. Numbers are ordered unless told otherwise, nothing else can be.
        default: One of the values; the first if not given.
        conditions: When it is active.

    Raises:
        SpaceError: There is no value, the default is none of them, or they cannot be ordered.
        TypeError: The values are of different types, or of one that cannot be a value.
    """

    def __init__(
        self,
        name: str,
        values: Iterable[Any],
        ordered: bool | None = None,
        default: Any = None,
        conditions: Iterable[Any] | None = None,
    ) -> None:
        listed = list(values)
        if not listed:
            raise SpaceError(f"`values` must be provided for `Choice` `{name}`", "got an empty list")
        _check_types(name, listed)
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in listed)
        if ordered and not numbers:
            raise SpaceError("`ordered` must be `False` where values are not numbers", f"got {listed}")
        if default is not None and not any(same(default, value) for value in listed):
            raise SpaceError(
                f"the default value should be one of the choices of `{name}`", f"got {default!r}", f"Choices: {listed}."
            )
        super().__init__(name, listed[0] if default is None else default, conditions)
        self._values = listed
        self.ordered = numbers if ordered is None else bool(ordered)

    @property
    def values(self) -> Sequence[Any]:
        """The choices, in order."""
        return self._values

    @property
    def domain(self) -> domains.Domain:
        """A `Choice`, without values that come twice."""
        once: list[Any] = []
        for value in self._values:
            if not any(same(value, other) for other in once):
                once.append(value)
        return domains.Choice(once, ordered=self.ordered)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "values": list(self._values), "ordered": self.ordered}


def _check_types(name: str, values: Sequence[Any]) -> None:
    kinds = {_type_of(value) for value in values if value is not None}
    if "" in kinds:
        wrong = next(value for value in values if value is not None and not _type_of(value))
        raise TypeError(
            f"`Choice` `{name}` can contain only `int`, `float`, `str`, `bool`, `None`, tuples or functions, "
            f"but got {wrong!r}."
        )
    # A function may stand beside the names of functions, and a tuple beside a number: `["relu", wave]`, `[3, (3, 5)]`.
    plain = kinds - {"function", "tuple"}
    if len(plain) > 1 and plain != {"int", "float"}:
        raise TypeError(
            f"`Choice` `{name}` can contain only one type of value beside None, tuples and functions, "
            f"but got {list(values)}."
        )


def _type_of(value: Any) -> str:
    for kind, types in {"bool": bool, "int": int, "float": float, "str": str, "tuple": tuple}.items():
        if isinstance(value, types):
            return kind
    # Classes and functions, and Keras objects, which can be made again from their configuration.
    return "function" if callable(value) or hasattr(value, "get_config") else ""


class Boolean(_Listed):
    """True or False.

    Args:
        name: Its full name.
        default: False if not given.
        conditions: When it is active.
    """

    def __init__(self, name: str, default: bool = False, conditions: Iterable[Any] | None = None) -> None:
        if default not in (True, False) or not isinstance(default, bool):
            raise SpaceError(f"the default of `{name}` must be a Python boolean", f"got {default!r}")
        super().__init__(name, default, conditions)

    @property
    def values(self) -> Sequence[Any]:
        """True and False."""
        return (True, False)

    def prob_to_value(self, prob: float) -> bool:
        """True in the upper half of the unit interval."""
        return prob >= 0.5

    def value_to_prob(self, value: Any) -> float:  # noqa: D102 - as of any other
        return 0.75 if value else 0.25


class Fixed(HyperParameter):
    """A value that does not vary.

    Args:
        name: Its full name.
        value: A number, text or boolean.
        conditions: When it is active.
    """

    def __init__(self, name: str, value: Any, conditions: Iterable[Any] | None = None, **_: Any) -> None:
        if not isinstance(value, bool | int | float | str):
            raise SpaceError(f"the value must be an int, float, str or bool for `Fixed` `{name}`", f"got {value!r}")
        super().__init__(name, value, conditions)
        self.value = value

    @property
    def values(self) -> Sequence[Any]:
        """The one value."""
        return (self.value,)

    @property
    def domain(self) -> domains.Domain:
        """The one value."""
        return domains.Fixed(self.value)

    def prob_to_value(self, prob: float) -> Any:
        """The one value."""
        return self.value

    def value_to_prob(self, value: Any) -> float:
        """The middle."""
        return 0.5

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        config = super().get_config()
        del config["default"]
        return {**config, "value": self.value}


class _Range(HyperParameter):
    """Numbers between two bounds, both included."""

    def __init__(
        self,
        name: str,
        min_value: Any,
        max_value: Any,
        step: Any = None,
        sampling: str | None = "linear",
        default: Any = None,
        conditions: Iterable[Any] | None = None,
    ) -> None:
        kind = type(self).__name__
        sampling = "linear" if sampling is None else str(sampling).lower()
        where = f"For HyperParameters.{kind}(name='{name}'), "
        if sampling not in SAMPLINGS:
            raise SpaceError(f"{where}sampling must be one of {list(SAMPLINGS)}", f"got {sampling!r}")
        if min_value > max_value:
            raise SpaceError(f"{where}min_value {min_value} is greater than the max_value {max_value}")
        if sampling != "linear" and min_value <= 0:
            raise SpaceError(
                f"{where}sampling={sampling!r} does not support negative values, nor 0", f"got min_value={min_value}"
            )
        if step is not None and sampling != "linear" and step <= 1:
            raise SpaceError(f"{where}expected step > 1 with sampling={sampling!r}", f"got step={step}")
        if step is not None and step <= 0:
            raise SpaceError(f"{where}expected step > 0", f"got step={step}")
        super().__init__(name, min_value if default is None else default, conditions)
        self.min_value, self.max_value, self.step, self.sampling = min_value, max_value, step, sampling

    def _number(self, exact: float) -> Any:
        raise NotImplementedError

    @property
    def _n_values(self) -> int | None:
        """How many values there are; None without a step."""
        if self.step is None:
            return None
        if self.sampling == "linear":
            exact = (self.max_value - self.min_value) / self.step
        else:
            exact = math.log(self.max_value / self.min_value) / math.log(self.step)
        return int(exact + _SLACK) + 1

    def _at(self, index: int) -> Any:
        if self.sampling == "linear":
            return self._number(self.min_value + index * self.step)
        factor = self.min_value * self.step**index
        # Reversed, the small steps are at the upper end.
        return self._number(factor if self.sampling == "log" else self.max_value + self.min_value - factor)

    def prob_to_value(self, prob: float) -> Any:
        """The value at a point of the unit interval."""
        n = self._n_values
        if n is not None:
            return self._at(min(int(prob * n), n - 1))
        low, high = self._bounds()
        if low == high:
            return self._number(self.min_value)
        if self.sampling == "linear":
            exact = low + prob * (high - low)
        elif self.sampling == "log":
            exact = low * (high / low) ** prob
        else:
            exact = high - low * ((high / low) ** (1 - prob) - 1)
        return min(max(self._number(exact), self.min_value), self.max_value)

    def value_to_prob(self, value: Any) -> float:
        """A point of the unit interval that stands for the value."""
        n = self._n_values
        if n is not None:
            if self.sampling == "linear":
                index = (value - self.min_value) / self.step
            else:
                power = value if self.sampling == "log" else self.max_value + self.min_value - value
                index = math.log(max(power, 1e-300) / self.min_value) / math.log(self.step)
            return float((min(max(round(index), 0), n - 1) + 0.5) / n)
        low, high = self._bounds()
        if low == high:
            return 0.5
        if self.sampling == "linear":
            return float((value - low) / (high - low))
        if self.sampling == "log":
            return float(math.log(value / low) / math.log(high / low))
        return float(1.0 - math.log(1.0 + (high - value) / low) / math.log(high / low))

    def _bounds(self) -> tuple[float, float]:
        return self.min_value, self.max_value

    @property
    def values(self) -> Sequence[Any]:
        """All values, or ten spread over a range that has no step."""
        n = self._n_values
        if n is not None:
            return tuple(self._at(index) for index in range(n))
        spread = ((index + 0.5) / VALUES_OF_A_RANGE for index in range(VALUES_OF_A_RANGE))
        return tuple(dict.fromkeys(self.prob_to_value(prob) for prob in spread))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "min_value": self.min_value,
            "max_value": self.max_value,
            "step": self.step,
            "sampling": self.sampling,
        }


class Int(_Range):
    """A whole number from `min_value` to `max_value`, both included.

    Args:
        name: Its full name.
        min_value, max_value: The bounds.
        step: The distance between values, 1 if not given; with a logarithmic sampling the factor between them.
        sampling: `"linear"`, `"log"` (factors count, not differences) or `"reverse_log"` (finer towards the top).
        default: `min_value` if not given.
        conditions: When it is active.
    """

    def __init__(
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = "linear",
        default: int | None = None,
        conditions: Iterable[Any] | None = None,
    ) -> None:
        for argument, value in (("min_value", min_value), ("max_value", max_value), ("step", step)):
            if value is not None and int(value) != value:
                raise SpaceError(f"`{argument}` of `Int` `{name}` must be an int", f"got {value!r}")
        whole = None if step is None else int(step)
        if whole is None and (sampling is None or str(sampling).lower() == "linear"):
            whole = 1
        super().__init__(name, int(min_value), int(max_value), whole, sampling, default, conditions)

    def _number(self, exact: float) -> int:
        return round(exact)

    def _bounds(self) -> tuple[float, float]:
        # Half a unit beyond either bound gives the bounds their share once rounded.
        low, high = self.min_value, self.max_value
        return (low, high) if low == high else (low - 0.5, high + 0.5)

    @property
    def domain(self) -> domains.Domain:
        """An `Int`, or the list of values where factors are counted from the top."""
        if self.sampling == "reverse_log":
            values = self.values if self.step is not None else range(self.min_value, self.max_value + 1)
            return domains.Choice(sorted(set(values)), ordered=True)
        return domains.Int(self.min_value, self.max_value, self.step, self.sampling == "log")


class Float(_Range):
    """A number from `min_value` to `max_value`, both included. The arguments are those of `Int`.

    Without a step every number in between is possible.
    """

    def __init__(
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = "linear",
        default: float | None = None,
        conditions: Iterable[Any] | None = None,
    ) -> None:
        start = None if default is None else float(default)
        grid = None if step is None else float(step)
        super().__init__(name, float(min_value), float(max_value), grid, sampling, start, conditions)

    def _number(self, exact: float) -> float:
        # 12 digits: below what training can tell apart, and tables stay free of 0.30000000000000004.
        return float(f"{exact:.12g}")

    @property
    def domain(self) -> domains.Domain:
        """A `Float`, or the list of values where factors are counted from the top."""
        if self.sampling == "reverse_log" and self.step is not None:
            return domains.Choice(sorted(self.values), ordered=True)
        return domains.Float(self.min_value, self.max_value, self.step, self.sampling == "log")


KINDS: dict[str, type[HyperParameter]] = {
    kind.__name__: kind for kind in (HyperParameter, Boolean, Choice, Fixed, Float, Int)
}
"""From the names that configurations use to the classes."""
