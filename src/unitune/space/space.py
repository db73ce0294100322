"""A space: hyperparameters in order, which of them are active, and how many configurations there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unitune.errors import SpaceError, suggest
from unitune.space.domains import Choice, Domain, Fixed, Float, Int, Size, same
from unitune.space.labels import Label, label


@dataclass(frozen=True)
class Condition:
    """A hyperparameter is active only where its parent is active and has one of these values.

    Example:
        >>> Condition("layers", (2, 3)).holds({"layers": 3})
        True
    """

    parent: str
    values: tuple[Any, ...]

    def holds(self, active: Mapping[str, Any]) -> bool:
        """Whether the parent is among the active values and has one of the values."""
        return self.parent in active and any(same(active[self.parent], value) for value in self.values)


@dataclass(frozen=True)
class Hyperparameter:
    """A name, the values it may take, and when it is active: always, or where all its conditions hold."""

    name: str
    domain: Domain
    active_if: tuple[Condition, ...] = ()

    @property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return self.domain.size > 1


class Space:
    """Hyperparameters in order; a parent comes before those that depend on it.

    Raises:
        SpaceError: Two share a name, a parent is unknown or comes later, or a condition can never hold.

    Example:
        >>> space = Space([
        ...     Hyperparameter("layers", Choice([1, 2])),
        ...     Hyperparameter("units_1", Choice([16, 32])),
        ...     Hyperparameter("units_2", Choice([8, 16]), (Condition("layers", (2,)),)),
        ... ])
        >>> space.size
        6
        >>> space.active({"layers": 1, "units_1": 16, "units_2": 8})
        {'layers': 1, 'units_1': 16}
    """

    def __init__(self, hyperparameters: Iterable[Hyperparameter]) -> None:
        self.hyperparameters = tuple(hyperparameters)
        self._by_name: dict[str, Hyperparameter] = {}
        for hyperparameter in self.hyperparameters:
            if hyperparameter.name in self._by_name:
                raise SpaceError("hyperparameters need different names", f"got `{hyperparameter.name}` twice")
            for condition in hyperparameter.active_if:
                self._check_condition(hyperparameter.name, condition)
            self._by_name[hyperparameter.name] = hyperparameter
        self._labels: dict[str, list[tuple[Any, Label]]] = {}

    def _check_condition(self, name: str, condition: Condition) -> None:
        parent = self._by_name.get(condition.parent)
        if parent is None:
            raise SpaceError(
                f"the parent of `{name}` must come before it",
                f"got `{condition.parent}`",
                suggest(condition.parent, self._by_name) if self._by_name else "",
            )
        if not any(parent.domain.contains(value) for value in condition.values):
            raise SpaceError(
                f"`{name}` must be active in some configuration",
                f"`{condition.parent}` is never {' or '.join(map(repr, condition.values)) or 'anything it asks for'}",
                "Leave it out, or let its parent take such a value.",
            )

    def __iter__(self) -> Iterator[Hyperparameter]:
        return iter(self.hyperparameters)

    def __len__(self) -> int:
        return len(self.hyperparameters)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Hyperparameter:
        try:
            return self._by_name[name]
        except KeyError:
            raise SpaceError(
                "a hyperparameter must be one of the space", f"got `{name}`", suggest(name, self._by_name)
            ) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.hyperparameters == other.hyperparameters

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Space({list(self.hyperparameters)!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self._by_name)

    @property
    def varying(self) -> tuple[str, ...]:
        """The names of those that have more than one value."""
        return tuple(h.name for h in self.hyperparameters if h.varies)

    @property
    def size(self) -> Size:
        """How many different active configurations there are; `math.inf` where a range has no step."""
        if any(h.domain.size == math.inf for h in self.hyperparameters):
            return math.inf
        parents = {condition.parent for h in self.hyperparameters for condition in h.active_if}

        def count(position: int, values: dict[str, Any]) -> int:
            total = 1
            for index in range(position, len(self.hyperparameters)):
                hyperparameter = self.hyperparameters[index]
                if not _is_active(hyperparameter, values):
                    continue
                if hyperparameter.name not in parents:
                    total *= int(hyperparameter.domain.size)
                    continue
                return total * sum(
                    count(index + 1, {**values, hyperparameter.name: value}) for value in hyperparameter.domain.values()
                )
            return total

        return count(0, {})

    def active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration in these values: in the order of the space, without what is inactive.

        Values of inactive hyperparameters may be missing; those of active ones may not.

        Raises:
            SpaceError: An active value is missing.
        """
        configuration: dict[str, Any] = {}
        for hyperparameter in self.hyperparameters:
            if not _is_active(hyperparameter, configuration):
                continue
            if hyperparameter.name in values:
                configuration[hyperparameter.name] = values[hyperparameter.name]
            elif isinstance(hyperparameter.domain, Fixed):
                configuration[hyperparameter.name] = hyperparameter.domain.value
            else:
                raise SpaceError(f"a configuration needs a value of `{hyperparameter.name}`", f"got {dict(values)}")
        return configuration

    def validate(self, configuration: Mapping[str, Any]) -> None:
        """Checks that a configuration is one of this space: every active value, each in its domain, nothing else.

        Raises:
            SpaceError: It is not.
        """
        expected = self.active(configuration)
        for name, value in configuration.items():
            hyperparameter = self[name]
            if name not in expected:
                reasons = ", ".join(f"{c.parent} is {configuration.get(c.parent)!r}" for c in hyperparameter.active_if)
                raise SpaceError(f"`{name}` must be left out where it is inactive", f"got {value!r} ({reasons})")
            if not hyperparameter.domain.contains(value):
                raise SpaceError(
                    f"`{name}` must be in its domain", f"got {value!r}", f"Domain: {hyperparameter.domain}."
                )
        missing = [name for name in expected if name not in configuration]
        if missing:
            raise SpaceError("a configuration holds every active hyperparameter", f"`{missing[0]}` is missing")

    def label(self, name: str, value: Any) -> Label:
        """The name of a value in tables and JSON. Values of one hyperparameter that would read alike are numbered.

        Example:
            >>> Space([Hyperparameter("activation", Choice([abs, "relu"]))]).label("activation", abs)
            'abs'
        """
        plain = label(value)
        if value is None or isinstance(value, bool | int | float):
            return plain
        for option, shown in self._choice_labels(name):
            if same(option, value):
                return shown
        return plain

    def _choice_labels(self, name: str) -> list[tuple[Any, Label]]:
        known = self._labels.get(name)
        if known is None:
            domain = self._by_name[name].domain if name in self._by_name else Fixed(None)
            known = []
            seen: dict[Label, int] = {}
            for option in domain.options if isinstance(domain, Choice) else ():
                plain = label(option)
                seen[plain] = seen.get(plain, 0) + 1
                known.append((option, plain if seen[plain] == 1 else f"{plain} #{seen[plain]}"))
            self._labels[name] = known
        return known

    def labels(self, configuration: Mapping[str, Any]) -> dict[str, Label]:
        """A configuration with every value replaced by its label: what JSON and tables hold."""
        return {name: self.label(name, value) for name, value in configuration.items()}

    def key(self, configuration: Mapping[str, Any]) -> tuple[Any, ...]:
        """A hashable key: equal for configurations that are the same once inactive values are dropped."""
        active = self.active(configuration)
        return tuple((name, *self._value_key(name, value)) for name, value in active.items())

    def _value_key(self, name: str, value: Any) -> tuple[Any, ...]:
        if isinstance(value, bool):
            return "bool", value
        if value is None or isinstance(value, str | int | float):
            return "", value
        return type(value).__name__, self.label(name, value)

    def to_json(self) -> list[dict[str, Any]]:
        """The space as JSON can hold it. Functions and Keras objects become their labels.

        Example:
            >>> Space([Hyperparameter("units", Int(16, 64, 16))]).to_json()
            [{'name': 'units', 'domain': {'kind': 'int', 'low': 16, 'high': 64, 'step': 16, 'log': False}}]
        """
        rows = []
        for h in self.hyperparameters:
            row: dict[str, Any] = {"name": h.name, "domain": self._domain_json(h)}
            if h.active_if:
                row["active_if"] = [
                    {"parent": c.parent, "values": [self._encode(c.parent, v) for v in c.values]} for c in h.active_if
                ]
            rows.append(row)
        return rows

    def _domain_json(self, hyperparameter: Hyperparameter) -> dict[str, Any]:
        domain, name = hyperparameter.domain, hyperparameter.name
        if isinstance(domain, Fixed):
            return {"kind": "fixed", "value": self._encode(name, domain.value)}
        if isinstance(domain, Choice):
            options = [self._encode(name, option) for option in domain.options]
            return {"kind": "choice", "values": options, "ordered": domain.ordered}
        kind = "int" if isinstance(domain, Int) else "float"
        return {"kind": kind, "low": domain.low, "high": domain.high, "step": domain.step, "log": domain.log}

    def _encode(self, name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return {"tuple": [self._encode(name, item) for item in value]}
        return self.label(name, value)

    @classmethod
    def from_json(cls, rows: Iterable[Mapping[str, Any]]) -> Space:
        """The space of `to_json`, with labels in the place of functions and Keras objects."""
        hyperparameters = []
        for row in rows:
            conditions = tuple(
                Condition(c["parent"], tuple(_decode(value) for value in c["values"])) for c in row.get("active_if", ())
            )
            hyperparameters.append(Hyperparameter(row["name"], _domain_from_json(row["domain"]), conditions))
        return cls(hyperparameters)


def _is_active(hyperparameter: Hyperparameter, active: Mapping[str, Any]) -> bool:
    return all(condition.holds(active) for condition in hyperparameter.active_if)


def _decode(value: Any) -> Any:
    if isinstance(value, Mapping) and "tuple" in value:
        return tuple(_decode(item) for item in value["tuple"])
    return value


def _domain_from_json(row: Mapping[str, Any]) -> Domain:
    kind = row["kind"]
    if kind == "fixed":
        return Fixed(_decode(row["value"]))
    if kind == "choice":
        return Choice([_decode(value) for value in row["values"]], row["ordered"])
    if kind == "int":
        return Int(row["low"], row["high"], row["step"], row["log"])
    if kind == "float":
        return Float(row["low"], row["high"], row["step"], row["log"])
    raise SpaceError("a domain is fixed, choice, int or float", f"got `{kind}`")
