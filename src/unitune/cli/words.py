"""Messages of the library as the command line has them: flags in the place of Python arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping

_WITH_VALUE = re.compile(r"`(?:unitune\.tune\()?(\w+)=([^`]*?)\)?`")
_NEXT = re.compile(r", (?=\w+=)")
_QUOTES = "'\""
_COMMANDS: dict[str, dict[str, str]] = {}
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
        >>> with_flags("Try `units=[8, 16], task='binary'`.", {"units": "--units", "task": "--task"})
        'Try `--units 8,16 --task binary`.'
    """

    def value(found: re.Match[str]) -> str:
        arguments = [part.partition("=") for part in _NEXT.split(f"{found[1]}={found[2]}")]
        if any(name not in flags for name, _, _ in arguments):
            return found[0]
        return "`" + " ".join(_flag(flags[name], given.strip()) for name, _, given in arguments) + "`"

    text = _WITH_VALUE.sub(value, text)
    if not bare:
        return text

    def name(found: re.Match[str]) -> str:
        is_other = _NOT_ARGUMENTS.search(text[: found.start()].rstrip())
        return found[0] if found[1] not in flags or is_other else f"`{flags[found[1]]}`"

    return _BARE.sub(name, text)


def _flag(flag: str, given: str) -> str:
    """A flag with the value that an argument had."""
    if given in ("", "..."):
        return flag
    if given in ("True", "False"):
        return flag if given == "True" else "--no-" + flag.lstrip("-")
    if given[0] == "[" and given[-1] == "]":
        return f"{flag} {','.join(part.strip().strip(_QUOTES) for part in given[1:-1].split(','))}"
    if given[0] in _QUOTES and given[-1] == given[0] and re.fullmatch(r"[^ ]+", given[1:-1]):
        return f"{flag} {given[1:-1]}"
    return f"{flag} {given}"


def known_commands(commands: Mapping[str, object], running: str | None) -> None:
    """Tells which flags there are: those of each command, and which of them runs."""
    _COMMANDS.clear()
    _COMMANDS.update({name: flags_of(command) for name, command in commands.items()})
    _COMMANDS[""] = _COMMANDS.get(running or "", {})


def advice_with_flags(text: str) -> str:
    """An advice on a run with the flags of `unitune tune`, which is what follows it; as it is outside of a command."""
    return with_flags(text, _COMMANDS.get("tune", {}))


def error_with_flags(text: str) -> str:
    """An error with the flags of the command that runs."""
    return with_flags(text, _COMMANDS.get("", {}))


def notes_with_flags(text: str) -> str:
    """A note of a run with the flags of the command that runs."""
    return with_flags(text, _COMMANDS.get("", {}), bare=False)
