"""Messages of the library as the command line has them: flags in the place of Python arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

_WITH_VALUE = re.compile(r"`(?:unitune\.tune\()?(\w+)=([^`]*?)\)?`")
_BARE = re.compile(r"`(\w+)`")
_NOT_ARGUMENTS = re.compile(r"([Cc]olumns?|class|classes|Columns:|Known:|Classes:)$|Did you mean[^?]*$")


def flags_of(command: object) -> dict[str, str]:
    """From the name of each argument that a command has a flag for to that flag.

    Flags that have none for "no" are switched on by their name alone.
    """
    found = {}
    for parameter in getattr(command, "params", ()):
        names = [name for name in getattr(parameter, "opts", ()) if name.startswith("--")]
        if names:
            found[parameter.name] = names[0]
    return found


def with_flags(text: str, flags: Mapping[str, str], *, bare: bool = True) -> str:
    """A sentence with flags in the place of arguments.

    Args:
        text: The sentence.
        flags: From `flags_of`.
        bare: Whether names without a value are arguments too. In notes about a table they may be columns.

    Example:
        >>> flags = {"folds": "--folds", "task": "--task", "header": "--header"}
        >>> with_flags('`folds=2` needs 2 rows; leave `task` out, or use `task="regression"`.', flags)
        '`--folds 2` needs 2 rows; leave `--task` out, or use `--task regression`.'
        >>> with_flags("If it is a row, use `header=False`.", flags)
        'If it is a row, use `--no-header`.'
        >>> with_flags("Column `task` must hold numbers.", flags)
        'Column `task` must hold numbers.'
    """

    def value(found: re.Match[str]) -> str:
        name, given = found[1], found[2].strip()
        if name not in flags:
            return found[0]
        if given in ("", "..."):
            return f"`{flags[name]}`"
        if given in ("True", "False"):
            return f"`{flags[name] if given == 'True' else '--no-' + flags[name].lstrip('-')}`"
        if given[0] in "'\"" and given[-1] == given[0]:
            plain = given[1:-1]
            return f"`{flags[name]} {plain if re.fullmatch(r'[^ ]+', plain) else given}`"
        return f"`{flags[name]} {given}`"

    text = _WITH_VALUE.sub(value, text)
    if not bare:
        return text

    def name(found: re.Match[str]) -> str:
        is_other = _NOT_ARGUMENTS.search(text[: found.start()].rstrip())
        return found[0] if found[1] not in flags or is_other else f"`{flags[found[1]]}`"

    return _BARE.sub(name, text)


def notes_with_flags(text: str) -> str:
    """A note of a run with the flags of the command that runs."""
    context = click.get_current_context(silent=True)
    return text if context is None else with_flags(text, flags_of(context.command), bare=False)
