"""Docstrings and signatures as Python itself shows them, also of what is put together when it is imported."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import griffe


class Runtime(griffe.Extension):
    """Takes docstring, parameters and defaults of functions and classes from the imported object."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Replaces what the source says where the object says something else."""
        found = _imported(func.path)
        _document(func, getattr(found, "__doc__", None))
        if hasattr(found, "__signature__"):
            func.parameters = _parameters(inspect.signature(found))

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """As for functions; the parameters of a class are those of its `__init__`."""
        found = _imported(cls.path)
        _document(cls, vars(found).get("__doc__") if inspect.isclass(found) else None)
        init = getattr(found, "__init__", None)
        if inspect.isfunction(init) and not init.__module__.startswith("unitune"):
            cls.set_member("__init__", griffe.Function("__init__", parameters=_parameters(inspect.signature(init))))


def _imported(path: str) -> Any:
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for name in parts[end:]:
            found = inspect.getattr_static(found, name, None) if inspect.isclass(found) else getattr(found, name, None)
            found = getattr(found, "__func__", found)
        return found
    return None


def _document(target: griffe.Object, text: Any) -> None:
    if not isinstance(text, str) and target.docstring is not None:
        text = target.docstring.value
    if isinstance(text, str) and text.strip():
        target.docstring = griffe.Docstring(_each_of_its_own(inspect.cleandoc(text)), parent=target)


def _each_of_its_own(text: str) -> str:
    """Arguments that share a description (`low, high: ...`), one below the other, each with it."""
    names = r"(?:\w+,\s+)+\w+"
    item = re.compile(rf"^    ({names}):((?:.*)(?:\n(?:     .*|\s*$))*)", re.MULTILINE)
    return item.sub(lambda found: "\n".join(f"    {name}:{found[2]}" for name in re.split(r",\s+", found[1])), text)


def _parameters(signature: inspect.Signature) -> griffe.Parameters:
    return griffe.Parameters(*map(_parameter, signature.parameters.values()))


def _parameter(one: inspect.Parameter) -> griffe.Parameter:
    kinds = {
        inspect.Parameter.POSITIONAL_ONLY: griffe.ParameterKind.positional_only,
        inspect.Parameter.POSITIONAL_OR_KEYWORD: griffe.ParameterKind.positional_or_keyword,
        inspect.Parameter.VAR_POSITIONAL: griffe.ParameterKind.var_positional,
        inspect.Parameter.KEYWORD_ONLY: griffe.ParameterKind.keyword_only,
        inspect.Parameter.VAR_KEYWORD: griffe.ParameterKind.var_keyword,
    }
    annotation = "Any" if one.annotation is one.empty else inspect.formatannotation(one.annotation).strip("'")
    default = None if one.default is one.empty else repr(one.default)
    return griffe.Parameter(one.name, annotation=annotation, kind=kinds[one.kind], default=default)
