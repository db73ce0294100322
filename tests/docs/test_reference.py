"""The reference: every public name is in it, and says what it takes, gives and raises, with an example."""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference" / "python"
MODULES = ("unitune", "unitune.sklearn", "unitune.keras_tuner", "unitune.strategy", "unitune.lift", "unitune.testing")
"""What users import from. Public is what their `__all__` says."""
OUTSIDE = {"unitune.keras_tuner": {"applications", "engine", "errors", "oracles", "protos", "tuners"}}
"""Names that stand for KerasTuner's own modules, so that imports from there go on working."""

GIVEN = {"unitune.Result", "unitune.lift.Context", "unitune.lift.ProgramNode"}
"""Classes that Unitune makes: how they are made is not for users."""


def public():
    """Every public object once, by the name under which users know it."""
    found = {}
    for module in MODULES:
        names = importlib.import_module(module).__all__
        for name in names:
            if name not in OUTSIDE.get(module, ()):
                found.setdefault(id(getattr(importlib.import_module(module), name)), (f"{module}.{name}", module, name))
    return {path: getattr(importlib.import_module(module), name) for path, module, name in found.values()}


def methods():
    """Public methods that are written here, of every public class."""
    found = {}
    for path, value in public().items():
        for owner in value.__mro__ if inspect.isclass(value) else ():
            if not owner.__module__.startswith("unitune"):
                continue
            for name, member in vars(owner).items():
                function = getattr(member, "__func__", member)
                if not name.startswith("_") and inspect.isfunction(function):
                    found.setdefault(function, f"{path}.{name}")
    return {path: function for function, path in found.items()}


PUBLIC = public()
METHODS = methods()
CALLABLES = {path: value for path, value in PUBLIC.items() if inspect.isfunction(value)} | METHODS


def doc(value):
    return inspect.getdoc(value) or ""


def section(text, name):
    found = re.search(rf"^{name}:\n((?:    .*\n|\s*\n)+)", text + "\n", re.MULTILINE)
    return textwrap.dedent(found[1]) if found else ""


def named(text, name):
    """The names that a section says something of: `low, high: ...` says it of both."""
    heads = re.findall(r"^(\*{0,2}\w+(?:,\s+\*{0,2}\w+)*):", section(text, name), re.MULTILINE)
    return {one.strip().lstrip("*") for head in heads for one in head.split(",")}


def test_every_public_name_is_in_the_reference():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES.glob("*.md"))
    shown = set(re.findall(r"^::: ([\w.]+)", text, re.MULTILINE))
    missing = [path for path, value in PUBLIC.items() if not any(value is resolve(one) for one in shown)]
    assert len(shown) > 50
    assert missing == []


def resolve(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", [path for path, value in PUBLIC.items() if inspect.isclass(value)])
def test_a_class_says_what_it_takes_and_shows_how_it_is_used(path):
    value = PUBLIC[path]
    text = doc(value)
    if issubclass(value, BaseException | Warning):
        return
    assert ">>>" in section(text, "Example") or path in GIVEN - {"unitune.Result"}
    if path not in GIVEN:
        parameters = inspect.signature(value).parameters
        assert set(parameters) - {"args", "kwargs"} <= named(text, "Args") | named(text, "Attributes")


@pytest.mark.parametrize("path", CALLABLES)
def test_a_function_says_what_it_takes(path):
    parameters = {name for name in inspect.signature(CALLABLES[path]).parameters if name not in ("self", "cls")}
    assert parameters <= named(doc(CALLABLES[path]), "Args") | {"kwargs"}


@pytest.mark.parametrize("path", [path for path, value in PUBLIC.items() if inspect.isfunction(value)])
def test_a_function_shows_how_it_is_used(path):
    assert ">>>" in section(doc(PUBLIC[path]), "Examples?")


@pytest.mark.parametrize("path", CALLABLES)
def test_a_function_says_what_it_raises(path):
    """What stands in its own body; what it calls may raise more."""
    function = inspect.unwrap(CALLABLES[path])
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = {
        getattr(called.func if isinstance(called := node.exc, ast.Call) else called, "id", "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and node.exc is not None
    }
    said = named(doc(function), "Raises")
    known = {name for name in raised if name[:1].isupper() and name not in ("AssertionError", "NotImplementedError")}
    unsaid = [name for name in known if not {name, *bases(name)} & said]
    assert unsaid == []


def bases(name):
    from unitune import errors

    found = getattr(errors, name, None)
    return {one.__name__ for one in found.__mro__} & {"InputError", "UnituneError"} if found else set()


def test_pages_and_examples_import_what_is_public():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]
    imported = {
        module: page.name
        for page in pages
        for module in re.findall(r"^\s*(?:from|import) (unitune[\w.]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert "unitune.lift" in imported
    assert {module: page for module, page in imported.items() if module not in MODULES} == {}
