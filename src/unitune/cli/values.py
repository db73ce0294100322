"""What `unitune.tune` takes and a flag's text does not spell out: mappings, a splitter, the file of `--config`.

Values of the search space (`16,32,64`, `1e-4:1e-2:log`) need nothing here: `unitune.space.parse` reads their text.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Callable, Collection
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from unitune.errors import OptionError, SpaceError, suggest


def normalize(text: str) -> bool | str:
    """`true`, `false`, or the text itself (`auto`).

    Example:
        >>> normalize("false"), normalize("auto")
        (False, 'auto')
    """
    return {"true": True, "false": False}.get(text.lower(), text)


def class_weight(text: str) -> str | dict[str, float]:
    """`balanced`, or a weight for each class.

    Raises:
        OptionError: The text is neither.

    Example:
        >>> class_weight("yes=2,no=0.5")
        {'yes': 2.0, 'no': 0.5}
    """
    if "=" not in text:
        return text
    problem = OptionError(
        "`--class-weight` must be `balanced`, or `class=weight` with commas between",
        f"got `{text}`",
        "For example `--class-weight yes=2,no=1`.",
    )
    try:
        return {name: float(weight) for name, weight in _pairs(text, problem)}
    except ValueError:
        raise problem from None


def settings(text: str, flag: str) -> dict[str, Any]:
    """A value for each hyperparameter that is named: a configuration, or a part of one.

    Raises:
        OptionError: The text has another form.

    Example:
        >>> settings("units=64,activation=relu,learning_rate=1e-3", "--baseline")
        {'units': 64, 'activation': 'relu', 'learning_rate': 0.001}
    """
    problem = OptionError(
        f"`{flag}` must be `name=value` with commas between",
        f"got `{text}`",
        f"For example `{flag} units=64,activation=relu`.",
    )
    return {name: _scalar(value) for name, value in _pairs(text, problem)}


baseline = partial(settings, flag="--baseline")
enqueue = partial(settings, flag="--enqueue")


def names(text: str) -> list[str]:
    """Names with commas between.

    Example:
        >>> names("accuracy, parameters")
        ['accuracy', 'parameters']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def references(text: str) -> str | list[str]:
    """`auto`, `none`, or names of simpler models with commas between.

    Example:
        >>> references("none"), references("majority,linear")
        ('none', ['majority', 'linear'])
    """
    return text if text in ("auto", "none") else names(text)


def splitter(text: str) -> Any:
    """A splitter of `sklearn.model_selection`, from its name and arguments.

    Raises:
        InputError: There is none of that name, or it does not take these arguments.

    Example:
        >>> splitter("KFold(n_splits=4)").get_n_splits()
        4
    """
    from sklearn import model_selection

    from unitune.space.parse import call

    splitters = {key: each for key, each in vars(model_selection).items() if hasattr(each, "get_n_splits")}
    known = [key for key in splitters if not key.startswith("Base")]
    name = text.partition("(")[0].strip()
    if name not in known:
        raise OptionError("`--cv` must be a splitter of scikit-learn", f"got `{text}`", suggest(name, known))
    try:
        name, arguments = call(text)
    except SpaceError:
        raise OptionError(
            "`--cv` must be a splitter with named arguments",
            f"got `{text}`",
            f"For example `{name}({'n_splits=5' if 'n_splits' in signature(splitters[name]).parameters else ''})`.",
        ) from None
    taken = signature(splitters[name]).parameters
    for one in arguments:
        if one not in taken:
            rule = f"`--cv` must give {name} arguments that it takes"
            raise OptionError(rule, f"got `{one}` in `{text}`", suggest(one, taken, label="Arguments"))
    try:
        return splitters[name](**arguments)
    except (TypeError, ValueError) as error:
        raise OptionError(f"`--cv` must give {name} arguments that it takes", f"got `{text}`: {error}") from None


def _pairs(text: str, problem: OptionError) -> list[tuple[str, str]]:
    pairs = [item.rpartition("=") for item in text.split(",")]
    if not all(name.strip() and value.strip() for name, _, value in pairs):
        raise problem
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _scalar(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text


READERS: dict[str, Callable[[str], Any]] = {
    "class_weight": class_weight,
    "normalize": normalize,
    "baseline": baseline,
    "enqueue": enqueue,
    "objectives": names,
    "references": references,
    "cv": splitter,
}


def configuration(path: Path, known: Collection[str]) -> dict[str, Any]:
    """Reads a TOML file whose keys are names of flags.

    Args:
        path: The file.
        known: The names that may stand in it, with underscores.

    Raises:
        OptionError: The file cannot be read, is not TOML, or has an unknown key.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(
            "`--config` must name a file that can be read", f"`{path}` cannot be: {error.strerror or error}"
        ) from None
    except ValueError as error:  # TOML that is none, and text that is not UTF-8
        raise OptionError("`--config` must name a TOML file", f"`{path}` is none: {error}") from None
    settings = {key.replace("-", "_"): value for key, value in settings.items()}
    for key in settings:
        if key not in known:
            raise OptionError(
                "every key of the `--config` file must be the name of a flag",
                f"`{path}` has `{key}`",
                suggest(key, known),
            )
    return settings
