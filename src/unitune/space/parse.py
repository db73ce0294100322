"""From what a user writes (a scalar, a list, a range, a string of the command line) to a domain."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from unitune.errors import SpaceError
from unitune.space.domains import Choice, Domain, Fixed, Float, Int, same

Kind = Literal["int", "float", "bool", "any"]

_WORDS = {"true": True, "false": False, "none": None, "default": None}
_EXPECTED = {
    "int": "a whole number, a list of them, `Int(low, high)` or 'low:high:step'",
    "float": "a number, a list of them, `Float(low, high)` or 'low:high:log'",
    "bool": "True, False, or both in a list",
    "any": "a name or a list of names",
}


def call(text: str) -> tuple[str, dict[str, Any]]:
    """Splits `"name(argument=value, ...)"` into the name and the arguments.

    Values are numbers, true, false, none, lists, or names.

    Raises:
        SpaceError: The text is not of that form.

    Example:
        >>> call("sgd(momentum=0.9, nesterov=true)")
        ('sgd', {'momentum': 0.9, 'nesterov': True})
        >>> call("relu")
        ('relu', {})
    """
    text = text.strip()
    if "(" not in text:
        return text, {}
    problem = SpaceError(
        "a name with arguments is written as name(argument=value)",
        f"got `{text}`",
        "For example `leaky_relu(negative_slope=0.1)`.",
    )
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise problem from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
        raise problem
    arguments: dict[str, Any] = {}
    for keyword in tree.keywords:
        if keyword.arg is None:
            raise problem
        arguments[keyword.arg] = _literal(keyword.value, problem)
    return tree.func.id, arguments


def _literal(node: ast.expr, problem: SpaceError) -> Any:
    if isinstance(node, ast.Name):
        return _WORDS.get(node.id.lower(), node.id)
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise problem from None


def split_list(text: str) -> list[str]:
    """Splits at commas outside parentheses.

    Example:
        >>> split_list("relu, leaky_relu(negative_slope=0.1)")
        ['relu', 'leaky_relu(negative_slope=0.1)']
    """
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def domain(
    name: str,
    value: Any,
    kind: Kind = "any",
    *,
    low: float | None = None,
    above: float | None = None,
    below: float | None = None,
    none: bool = False,
    check: Callable[[Any], Any] | None = None,
) -> Domain:
    """Reads what may vary.

    Args:
        name: Of the argument, for messages: `"units"`.
        value: A scalar (fixed), a list, tuple, range or array (choices), a domain, or a string of the command line:
            `"16"`, `"16,32,64"`, `"16:256:16"`, `"1e-4:1e-2:log"`, `"relu,tanh"`.
        kind: What a single value must be.
        low: The lowest value allowed.
        above, below: Bounds that values must stay clear of.
        none: Whether None is a value.
        check: Checks a single value of kind `"any"`, and returns it in its canonical form; raises SpaceError.

    Raises:
        SpaceError: The value breaks a rule.

    Example:
        >>> domain("units", [16, 32], "int", low=1)
        Choice(options=(16, 32), ordered=True)
        >>> domain("learning_rates", "1e-4:1e-2:log", "float", above=0)
        Float(low=0.0001, high=0.01, step=None, log=True)
    """
    rules = _Rules(name, kind, low, above, below, none, check)
    if isinstance(value, str):
        value = _from_text(name, value, kind)
    if isinstance(value, Int | Float):
        return _checked_range(value, rules)
    if isinstance(value, Fixed):
        return Fixed(rules.value(value.value))
    if isinstance(value, Choice):
        return Choice(_distinct(name, [rules.value(item) for item in value.options]), value.ordered or kind == "int")
    if isinstance(value, set | frozenset | Mapping):
        raise SpaceError(
            f"`{name}` must be {_EXPECTED[kind]}", f"got a {type(value).__name__}", "Use a list: its order is kept."
        )
    if isinstance(value, list | tuple | range | np.ndarray) or _is_column(value):
        items = [rules.value(item) for item in value]
        if not items:
            raise SpaceError(
                f"`{name}` needs at least one value", "got an empty list", "Leave it out, or name a value."
            )
        if len(items) == 1:
            return Fixed(items[0])
        distinct = _distinct(name, items)
        return Choice(distinct, all(isinstance(item, int | float) and not isinstance(item, bool) for item in distinct))
    if not isinstance(value, str) and hasattr(value, "__next__"):
        raise SpaceError(f"`{name}` must be {_EXPECTED[kind]}", "got a generator", "Wrap it in `list(...)`.")
    return Fixed(rules.value(value))


def _is_column(value: Any) -> bool:
    """A column of pandas or polars."""
    return hasattr(value, "to_list") and hasattr(value, "__iter__")


class _Rules:
    """What a single value must obey."""

    def __init__(
        self,
        name: str,
        kind: Kind,
        low: float | None,
        above: float | None,
        below: float | None,
        none: bool,
        check: Callable[[Any], Any] | None,
    ) -> None:
        self.name, self.kind, self.low, self.above, self.below = name, kind, low, above, below
        self.none, self.check = none, check

    def value(self, value: Any) -> Any:
        """The value in its canonical form; raises SpaceError where it breaks a rule."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None and self.none:
            return None
        if self.kind == "any":
            return value if self.check is None else self.check(value)
        if isinstance(value, str):
            value = _number(self.name, value, self.kind)
            if value is None and self.none:
                return None
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise self._wrong(value)
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise self._wrong(value)
        if self.kind == "int":
            if isinstance(value, float):
                raise SpaceError(
                    f"`{self.name}` must be whole", f"got {value!r}", f"Use {max(round(value), 1)}, without a point."
                )
        else:
            value = float(value)
        self.bounds(value)
        return value

    def _wrong(self, value: Any) -> SpaceError:
        return SpaceError(f"`{self.name}` must be {_EXPECTED[self.kind]}", f"got {value!r}")

    def bounds(self, value: float) -> None:
        """Raises SpaceError where a number is out of bounds."""
        if self.low is not None and value < self.low:
            raise SpaceError(f"`{self.name}` must be at least {self.low:g}", f"got {value!r}")
        if self.above is not None and value <= self.above:
            raise SpaceError(f"`{self.name}` must be above {self.above:g}", f"got {value!r}")
        if self.below is not None and value >= self.below:
            raise SpaceError(f"`{self.name}` must be below {self.below:g}", f"got {value!r}")


def _checked_range(value: Int | Float, rules: _Rules) -> Domain:
    if rules.kind in ("bool", "any"):
        raise SpaceError(f"`{rules.name}` must be {_EXPECTED[rules.kind]}", f"got the range {value!r}")
    if rules.kind == "int" and isinstance(value, Float):
        raise SpaceError(f"`{rules.name}` must be whole", f"got {value!r}", "Use `Int(low, high)`.")
    if rules.kind == "float" and isinstance(value, Int):
        value = (
            Float(value.low, value.high, float(value.step or 1), value.log)
            if not value.log or value.step
            else (Float(value.low, value.high, None, True))
        )
    rules.bounds(value.low)
    rules.bounds(value.high)
    return value


def _distinct(name: str, items: list[Any]) -> tuple[Any, ...]:
    for number, item in enumerate(items):
        if any(same(item, other) for other in items[:number]):
            raise SpaceError(f"the values of `{name}` must differ", f"got {item!r} twice", "Leave one of them out.")
    return tuple(items)


def _from_text(name: str, text: str, kind: Kind) -> Any:
    parts = split_list(text)
    if not parts:
        raise SpaceError(f"`{name}` needs at least one value", "got an empty string")
    if kind in ("int", "float") and any(":" in part for part in parts):
        if len(parts) > 1:
            raise SpaceError(f"`{name}` is either a list or a range", f"got `{text}`")
        return _range(name, parts[0], kind)
    if len(parts) == 1:
        return parts[0] if kind == "any" else _number(name, parts[0], kind)
    return parts


def _range(name: str, text: str, kind: Kind) -> Int | Float:
    parts = [part.strip() for part in text.split(":")]
    log = parts[-1].lower() == "log"
    bounds = parts[:-1] if log else parts
    if not 2 <= len(bounds) <= 3:
        raise SpaceError(f"a range of `{name}` is written as low:high, low:high:step or low:high:log", f"got `{text}`")
    numbers = [_number(name, bound, kind) for bound in bounds]
    step = numbers[2] if len(numbers) == 3 else None
    try:
        if kind == "int":
            return Int(numbers[0], numbers[1], step, log)
        return Float(numbers[0], numbers[1], step, log)
    except SpaceError as error:
        raise SpaceError(f"`{name}`: {error.rule}", error.received, error.remedy) from None


def _number(name: str, text: str, kind: Kind) -> Any:
    text = text.strip()
    word = text.lower()
    if word in _WORDS:
        return _WORDS[word]
    if kind == "bool":
        if word in ("yes", "on"):
            return True
        if word in ("no", "off"):
            return False
    elif re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    else:
        try:
            return float(text)
        except ValueError:
            pass
    raise SpaceError(f"`{name}` must be {_EXPECTED[kind]}", f"got `{text}`")
