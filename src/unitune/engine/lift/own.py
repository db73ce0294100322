"""Lifts for layers of the user's own, which are found by the names of their classes.

Each registration makes a kind of nodes that is used once. So nothing that was compiled or found out for an earlier lift
of a name is taken for the new one's, and Keras's layer of that name keeps its own lift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import uuid4

from unitune.engine.lift.base import REGISTRY, Lift

_USERS: dict[str, str] = {}
"""From the class name of a layer to the kind of its newest lift."""


def register_lift(*class_names: str) -> Callable[[type], type]:
    """Registers a lift for layers of your own, by the names of their classes.

    Args:
        class_names: One or more. A name that is registered again gets the new lift; Keras's own layer of that name
            keeps its own.

    Returns:
        A decorator for a class with the methods of `Lift`, made without arguments.

    Example:
        >>> @register_lift("Nothing")
        ... class Nothing:
        ...     def read(self, config, *shapes):
        ...         return []
    """

    def register(cls: type) -> type:
        adopt_lifts({name: (f"{name} {uuid4().hex}", cls()) for name in class_names})
        return cls

    return register


def users_lifts() -> dict[str, tuple[str, Lift]]:
    """The lifts of the user's own, with their kinds, by the names of their layers' classes."""
    return {name: (kind, REGISTRY[kind]) for name, kind in sorted(_USERS.items())}


def adopt_lifts(lifts: Mapping[str, tuple[str, Lift]]) -> None:
    """Takes over what `users_lifts` gave in another process."""
    for name, (kind, made) in lifts.items():
        _USERS[name] = kind
        REGISTRY[kind] = made


def kind_of(class_name: str, *, users: bool = False) -> str:
    """The kind of the nodes of a layer class, under which its lift is found; empty where there is none.

    Args:
        class_name: Of the layer.
        users: Whether the class is the user's own, for which only the user can have registered a lift.

    Example:
        >>> kind_of("Dense"), kind_of("Dense", users=True)
        ('Dense', '')
    """
    if users:
        return _USERS.get(class_name, "")
    return class_name if class_name in REGISTRY else ""
