"""What a function asks for as a space: one name may have several domains, each under a condition of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unitune.errors import SpaceError
from unitune.space.domains import same
from unitune.space.hyperparameters.hyperparameter import HyperParameter
from unitune.space.labels import label
from unitune.space.space import Condition, Hyperparameter, Space

Group = list[HyperParameter]


def space_of(known: Mapping[str, Sequence[HyperParameter]]) -> Space:
    """The hyperparameters as a space.

    Args:
        known: By name, those of one name in the order in which they were asked for.

    Raises:
        SpaceError: One hangs on another that has several domains with the same values.
    """
    groups = named_groups(known)
    found = []
    for name, group in groups:
        conditions = _any_of(group) if len(group) > 1 else [(c.name, c.values) for c in group[0].conditions]
        active_if = tuple(Condition(_parent(groups, parent, values), tuple(values)) for parent, values in conditions)
        found.append(Hyperparameter(name, group[0].domain, active_if))
    return Space(found)


def named_groups(known: Mapping[str, Sequence[HyperParameter]]) -> list[tuple[str, Group]]:
    """Those that are one hyperparameter of the space, with its name there: `"units"`, or `"units [kind=cnn]"`."""
    named = []
    for name, same_name in known.items():
        groups = _groups(same_name)
        named += [(name if len(groups) == 1 else f"{name} [{_where(group)}]", group) for group in groups]
    return named


def domain_of(hyperparameter: HyperParameter) -> tuple[str, dict[str, Any]]:
    """Its kind and arguments, apart from the default and conditions: equal for equal domains."""
    config = hyperparameter.get_config()
    return type(hyperparameter).__name__, {k: v for k, v in config.items() if k not in ("default", "conditions")}


def _groups(same_name: Sequence[HyperParameter]) -> list[Group]:
    """Of one domain, and with conditions that can be said as one."""
    groups: list[Group] = []
    for one in same_name:
        alike = next((group for group in groups if domain_of(group[0]) == domain_of(one)), None)
        if alike is None:
            groups.append([one])
        else:
            alike.append(one)
    split: list[Group] = []
    for group in groups:
        apart = not _any_of(group) and all(_exclude(a, b) for a, b in itertools.combinations(group, 2))
        split += [[one] for one in group] if apart else [group]
    return split


def _any_of(group: Group) -> list[tuple[str, Sequence[Any]]]:
    """The one condition that covers several, where they all hang on the same parent; else none."""
    parents: dict[str, list[Any]] = {}
    for one in group:
        if len(one.conditions) != 1:
            return []
        condition = one.conditions[0]
        values = parents.setdefault(condition.name, [])
        values += [value for value in condition.values if not any(same(value, other) for other in values)]
    return list(parents.items()) if len(parents) == 1 else []


def _exclude(one: HyperParameter, other: HyperParameter) -> bool:
    """Whether the two are never active together: a parent of both would have to have two values."""
    return any(
        a.name == b.name and not any(same(x, y) for x in a.values for y in b.values)
        for a in one.conditions
        for b in other.conditions
    )


def _where(group: Group) -> str:
    conditions = _any_of(group) or [(c.name, c.values) for one in group for c in one.conditions]
    return ", ".join(f"{name}={'|'.join(str(label(value)) for value in values)}" for name, values in conditions)


def _parent(groups: Sequence[tuple[str, Group]], name: str, values: Iterable[Any]) -> str:
    """The name in the space of the hyperparameter that takes these values."""
    candidates = [(shown, group[0]) for shown, group in groups if group[0].name == name]
    if len(candidates) < 2:
        return name
    able = [shown for shown, one in candidates if any(one.contains(value) for value in values)]
    if len(able) != 1:
        raise SpaceError(
            "a hyperparameter that others hang on must have one domain with these values",
            f"`{name}` has {len(able)} with one of {list(values)}",
            "Give each of them a name of its own.",
        )
    return able[0]
