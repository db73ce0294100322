"""Groups of options as frozen dataclasses, and functions whose keyword arguments are those of such groups.

An option is declared once: its type, its default, its range and its words on the command line stand at a field, its
description in the docstring of the group. The signature and the help of `tune` and `compare`, the flags of `unitune
tune` and the reference of the parameters of the estimators are made from them.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, fields
from typing import Any, ClassVar, ForwardRef, ParamSpec, TypeVar

from unitune.options.flags import AtLeast, Flag

P = ParamSpec("P")
Group = TypeVar("Group", bound="Options")
Answer = TypeVar("Answer")
_MODULES = re.compile(r"\b(?:collections\.abc|typing|pathlib)\.")
_ENTRY = re.compile(r"^        (\w+(?:, \w+)*): ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Options:
    """What is common to all groups. A group is a class of its own; several are put together by inheriting them."""

    panel: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Refuses numbers that are out of range.

        Raises:
            OptionError: One is.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            for bound in _metadata(field, AtLeast):
                if value is not None or field.default is not None:
                    bound.check(field.name, value)

    def changed(self) -> dict[str, Any]:
        """The options that do not have their default, by name."""
        defaults = {field.name: field.default for field in fields(self)}
        values = {name: getattr(self, name) for name in self.names()}
        return {
            name: value
            for name, value in values.items()
            if type(value) is not type(defaults[name]) or bool(value != defaults[name])
        }

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of the options, in the order of the signature."""
        return tuple(field.name for field in fields(cls))

    def given(self) -> dict[str, Any]:
        """The options that have a value, by name, whether it is their default or not."""
        values = {name: getattr(self, name) for name in self.names()}
        return {name: value for name, value in values.items() if value is not None}


def flags_of(options: type[Options]) -> list[tuple[str, str, Flag]]:
    """Of each option that the command line has a flag for its name, its panel and its flag, in their order."""
    panels: dict[str, str] = {}
    for group in _groups(options):
        panels |= {field.name: group.panel for field in fields(group) if field.name not in panels}
    return [(field.name, panels[field.name], flag) for field in fields(options) for flag in _metadata(field, Flag)]


def description_of(options: type[Options], names: Iterable[str] | None = None) -> str:
    """The `Args` of a docstring, put together from those of the groups.

    Args:
        options: The groups.
        names: Those that are described; all if not given.
    """
    entries: dict[str, str] = {}
    for group in _groups(options):
        text = inspect.cleandoc(group.__doc__ or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
        parts = _ENTRY.split("\n".join(f"    {line}" for line in text.splitlines()))
        for named, described in zip(parts[1::2], parts[2::2], strict=True):
            entries[named] = described.rstrip()
    chosen = set(entries) if names is None else {named for named in entries if set(named.split(", ")) & set(names)}
    return "\n".join(f"        {named}: {entries[named]}" for named in entries if named in chosen)


def takes(options: Callable[P, Group]) -> Callable[[Callable[[Group], Answer]], Callable[P, Answer]]:
    """Makes of a function of options one that takes them as arguments, with their signature and description.

    The description stands in the place of the line `Args: ...` of the function's docstring.
    """

    def decorate(function: Callable[[Group], Answer]) -> Callable[P, Answer]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Answer:
            return function(options(*args, **kwargs))

        kind = options
        assert isinstance(kind, type)
        call.__doc__ = (function.__doc__ or "").replace("Args: ...", f"Args:\n{description_of(kind)}")
        call.__signature__ = _signature(kind, inspect.signature(function).return_annotation)  # type: ignore[attr-defined]
        return call

    return decorate


def _signature(options: type[Options], answer: Any) -> inspect.Signature:
    parameters = []
    known = {field.name: field for field in fields(options)}
    for name, parameter in inspect.signature(options).parameters.items():
        kind = known[name].type
        given = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
        text = given.__forward_arg__ if isinstance(given, ForwardRef) else inspect.formatannotation(given)
        parameters.append(parameter.replace(annotation=_MODULES.sub("", text)))
    return inspect.Signature(parameters, return_annotation=answer)


def _groups(options: type[Options]) -> list[type[Options]]:
    """The classes that declare the options, in the order of their fields."""
    return [one for one in reversed(options.__mro__) if isinstance(one, type) and issubclass(one, Options)]


def _metadata(field: Field[Any], kind: type[Any]) -> list[Any]:
    return [one for one in getattr(field.type, "__metadata__", ()) if isinstance(one, kind)]
