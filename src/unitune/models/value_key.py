"""Keys of values, objects and functions by all that they hold, so that equal keys mean equal behaviour.

| value | its key has |
| --- | --- |
| number, text, None | type and value |
| array, tensor, variable | type, shape and every number |
| list, dictionary, set | its items |
| function | code, defaults, what it closes over, its attributes, and the globals that its code names |
| bound method, partial | the function, and the object or the arguments it is bound to |
| object | its class, and all of its attributes |
| class of the user's own | itself, and all that is in it |
| module of the user's own | those of its attributes that a function names |
| function, class or module of a library | its name |

What is in no row has no key: a generator, a lock, an open file, a function that calls `eval`.
"""

from __future__ import annotations

import builtins
import dis
import enum
import functools
import itertools
import math
import sys
import types
import weakref
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

# Their functions and classes do what they did yesterday.
_LIBRARIES = frozenset(
    {
        "keras",
        "numpy",
        "tensorflow",
        "jax",
        "jaxlib",
        "ml_dtypes",
        "scipy",
        "torch",
        "unitune",
        *sys.stdlib_module_names,
    }
)
# They read what their arguments do not tell.
_UNREADABLE = frozenset({"eval", "exec", "globals", "locals", "vars", "__import__", "open", "input"})
_OF_CLASSES = frozenset(
    {"__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__abstractmethods__"}
    | {"__firstlineno__", "__static_attributes__", "__parameters__", "__orig_bases__", "__slots__", "__annotate__"}
)
_MADE_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_COUNTER = itertools.count()
_NUMBERS: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

# Attributes that Keras keeps its books in; what a layer, a loss or an optimizer does, does not depend on them.
BOOKKEEPING = frozenset(
    {"name", "_name", "_path", "_parent_path", "built", "_built", "_called", "_lock", "_auto_config", "_tracker"}
    | {"_tracked", "_inbound_nodes", "_outbound_nodes", "_losses", "_loss_ids", "_losses_override", "_call_signature"}
    | {"call_signature_parameters", "_call_has_training_arg", "_call_has_mask_arg", "_call_context_args"}
    | {"_call_has_context_arg", "_build_shapes_dict", "_build_input_shape", "_saved_model_inputs_spec"}
    | {"_saved_model_arg_spec", "_trainable_variables", "_non_trainable_variables", "_layers", "_metrics", "_variables"}
    | {"_seed_generators", "seed_generator", "_input_spec", "input_spec", "seed", "_init_seed", "_random_seed"}
    | {"_input_shape_arg", "_batch_input_shape"}  # which made an `Input`, and is nothing more
    | {"_distribution_strategy", "_trainable_variables_indices", "_params", "params", "_model", "build", "quantize"}
)


Key = Any
"""Something that hashes."""

_SIMPLE = frozenset({bool, int, str, type(None)})


class NoKey(Exception):  # noqa: N818  (a finding: what holds it cannot be told from others)
    """A value has no key; the message says what it is."""


def value_key(value: Any) -> bytes:
    """The key of a value: 16 bytes.

    Raises:
        NoKey: It, or something in it, cannot be compared by value.

    Example:
        >>> def times(factor):
        ...     return lambda x: factor * x
        >>> value_key(times(2)) == value_key(times(2)), value_key(times(2)) == value_key(times(3))
        (True, False)
        >>> value_key(1) == value_key(1.0)
        False
    """
    return _Walk().key(value)


def attribute_keys(live: Any, *, ignore: frozenset[str] = BOOKKEEPING) -> dict[str, Key]:
    """The key of each attribute of a Keras object, but for those that are ignored; `cell.units` of a layer inside it.

    Variables stand for their shape, type and traits; their values travel as weights. Lists and tuples are alike, since
    Keras's configurations make one of the other. What has no key has one that is equal to no other.
    """
    keys: dict[str, Key] = {}
    _attributes(live, ignore, "", keys, _Walk(weights=False), set())
    return keys


_IN_MODELS = frozenset({"_functional", "_operations"})


def _attributes(
    live: Any, ignore: frozenset[str], prefix: str, keys: dict[str, Key], walk: _Walk, seen: set[int]
) -> None:
    found = vars(live)
    if type(live).__name__ == "InputLayer":
        found = {"shape": live.batch_shape, "dtype": live.dtype}
    if _IN_MODELS & found.keys():  # a Sequential or Functional model: its layers and operations
        inner = found.get("_functional") or live
        found = {str(i): one for i, one in enumerate(vars(inner).get("_operations") or inner._layers)}
    for name, value in found.items():
        if name in ignore or name.startswith("_self_"):
            continue
        if type(value) in _SIMPLE:
            keys[prefix + name] = (type(value), value)
            continue
        if hasattr(value, "_inbound_nodes") and id(value) not in seen:  # a layer, whose weights may not be there
            seen.add(id(value))
            keys[prefix + name] = walk.key(type(value))
            _attributes(value, ignore, f"{prefix}{name}.", keys, walk, seen)
            continue
        try:
            keys[prefix + name] = walk.key(value)
        except NoKey:
            keys[prefix + name] = _mix("alone", [b"%d" % next(_COUNTER)])


class _Walk:
    """One walk through a value and all that it holds."""

    def __init__(self, *, weights: bool = True) -> None:
        self._weights = weights
        self._done: dict[int, tuple[bytes, Any]] = {}  # which keeps the ids valid
        self._open: dict[int, int] = {}

    def key(self, value: Any, names: frozenset[str] = frozenset()) -> bytes:
        """The key of a value; `names` are those that the function around it looks up in modules."""
        kind = type(value)
        if value is None or value is Ellipsis or value is NotImplemented:
            return repr(value).encode()
        if kind in (bool, int, complex, str, bytes):
            return _mix(kind.__name__, [value if kind is bytes else str(value).encode("utf-8", "surrogatepass")])
        if kind is float:
            return _mix("float", [b"nan" if math.isnan(value) else value.hex().encode()])
        number = id(value)
        if number in self._done:
            return self._done[number][0]
        if number in self._open:
            return _mix("again", [str(self._open[number]).encode()])
        self._open[number] = len(self._open)
        try:
            found = self._compound(value, names)
        finally:
            del self._open[number]
        if not isinstance(value, types.ModuleType):  # of which other functions read other attributes
            self._done[number] = (found, value)
        return found

    def _all(self, values: Iterable[Any]) -> list[bytes]:
        return [self.key(value) for value in values]

    def _compound(self, value: Any, names: frozenset[str]) -> bytes:
        if isinstance(value, types.ModuleType):
            return self._module(value, names)
        kind: Any = type(value)
        return getattr(self, _rule(kind))(value)  # type: ignore[no-any-return]

    def _method(self, value: Any) -> bytes:
        return _mix("method", self._all([value.__func__, value.__self__]))

    def _partial(self, value: Any) -> bytes:
        return _mix("partial", self._all([value.func, value.args, value.keywords]))

    def _bound(self, value: Any) -> bytes:
        return _mix(type(value).__name__, self._all([value.__func__]))

    def _property(self, value: Any) -> bytes:
        return _mix("property", self._all([value.fget, value.fset]))

    def _descriptor(self, value: Any) -> bytes:
        return _mix("descriptor", [value.__qualname__.encode()])

    def _enum(self, value: Any) -> bytes:
        return _mix("enum", [self.key(type(value)), value.name.encode()])

    def _mapping(self, value: Any) -> bytes:
        items = sorted(_mix("item", self._all(item)) for item in value.items())
        return _mix("mapping", [*items, *self._own(value)])

    def _sequence(self, value: Any) -> bytes:
        tag = "sequence" if not self._weights else type(value).__name__
        return _mix(tag, [*self._all(value), *self._own(value)])

    def _set(self, value: Any) -> bytes:
        return _mix("set", sorted(self._all(value)))

    def _module(self, module: types.ModuleType, names: frozenset[str]) -> bytes:
        if module.__name__.partition(".")[0] in _LIBRARIES:
            return _mix("library", [module.__name__.encode()])
        found = [name for name in sorted(names) if name in vars(module)]
        read = [part for name in found for part in (name.encode(), self.key(vars(module)[name], names))]
        return _mix("module", [module.__name__.encode(), *read])

    def _class(self, kind: type) -> bytes:
        if _top(kind) in _LIBRARIES and _is_public(kind):
            return _mix("library", [f"{kind.__module__}.{kind.__qualname__}".encode()])
        own = [
            part
            for name, value in sorted(vars(kind).items())
            if name not in _OF_CLASSES and not name.startswith("_abc_")
            for part in (name.encode(), self.key(value))
        ]
        return _mix("class", [_number(kind), *self._all(kind.__bases__), *own])

    def _function(self, function: types.FunctionType) -> bytes:
        if _top(function) in _LIBRARIES:
            if _is_public(function):
                return _mix("library", [f"{function.__module__}.{function.__qualname__}".encode()])
            if function.__closure__ is None:
                return _mix("private", [_number(function)])
        code, read = function.__code__, _names(function.__code__)
        parts = [self._code(code), *self._all([function.__defaults__, function.__kwdefaults__])]
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                parts.append(self._named(name, cell.cell_contents, read.attributes))
            except ValueError:  # a cell that is still empty
                parts.append(b"empty")
        for name in read.globals:
            if name in function.__globals__:
                parts.append(self._named(name, function.__globals__[name], read.attributes))
            elif name in _UNREADABLE:
                raise NoKey(f"the function `{name}`")
            else:
                parts.append(_mix("builtin", [name.encode(), str(hasattr(builtins, name)).encode()]))
        attributes = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
        return _mix("function", [*parts, self.key(attributes)])

    def _named(self, name: str, value: Any, names: frozenset[str]) -> bytes:
        try:
            return _mix("named", [name.encode(), self.key(value, names)])
        except NoKey as told:
            raise NoKey(f"{told}, by the name `{name}`" if " by the name " not in str(told) else str(told)) from None

    def _code(self, code: types.CodeType) -> bytes:
        consts = [self._code(one) if isinstance(one, types.CodeType) else self.key(one) for one in code.co_consts]
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        return _mix("code", [code.co_code, code.co_exceptiontable, repr((counts, names)).encode(), *consts])

    def _builtin(self, function: Any) -> bytes:
        name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function.__name__)}"
        owner = getattr(function, "__self__", None)
        if owner is None or isinstance(owner, types.ModuleType):
            return _mix("builtin", [name.encode()])
        return _mix("builtin", [name.encode(), self.key(owner)])

    def _array(self, value: Any) -> bytes:
        if not self._weights and hasattr(value, "trainable"):
            return self._variable(value)
        try:
            array = np.asarray(value)
        except Exception as error:
            raise NoKey(f"a {type(value).__name__} without numbers") from error
        if array.dtype.hasobject:
            return _mix("array", [repr(array.shape).encode(), *self._all(array.ravel().tolist())])
        kind = f"{type(value).__module__}.{type(value).__qualname__}{array.shape}{array.dtype}"
        return _mix("array", [kind.encode(), blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()])

    def _variable(self, variable: Any) -> bytes:
        traits = [getattr(variable, name, None) for name in ("trainable", "regularizer", "constraint")]
        return _mix("variable", [f"{tuple(variable.shape)}{variable.dtype}".encode(), *self._all(traits)])

    def _object(self, value: Any) -> bytes:
        if _top(type(value)) in _COMPILERS:
            inner = getattr(value, "python_function", None) or getattr(value, "__wrapped__", None)
            if callable(inner):
                return _mix("wrapped", self._all([type(value), inner]))
        if all(one is object or one.__flags__ & _MADE_IN_PYTHON for one in type(value).__mro__):
            return _mix("object", [self.key(type(value)), *self._own(value)])
        try:
            made = value.__reduce_ex__(4)
        except Exception as error:
            raise NoKey(f"a `{type(value).__name__}`") from error
        if isinstance(made, str):
            return _mix("constant", [self.key(type(value)), made.encode()])
        return _mix("made", [self.key(type(value)), *self._all(part for part in made[1:] if part is not None)])

    def _own(self, value: Any) -> list[bytes]:
        """The attributes of an object, in the order of their names."""
        if isinstance(value, Mapping | list | tuple) and _top(type(value)) in _LIBRARIES:  # a wrapper's own books
            return []
        books = BOOKKEEPING if any(_top(one) == "keras" for one in type(value).__mro__) else frozenset()
        found = dict(getattr(value, "__dict__", {}))
        found |= {
            name: getattr(value, name) for one in type(value).__mro__ for name in _slots(one) if hasattr(value, name)
        }
        own = sorted(
            (name, item) for name, item in found.items() if name not in books and not name.startswith("_self_")
        )
        return [part for name, item in own for part in (str(name).encode(), self.key(item))]


_RULES: tuple[tuple[Any, str], ...] = (
    (type, "_class"),
    (types.CodeType, "_code"),
    (types.FunctionType, "_function"),
    (types.MethodType, "_method"),
    (functools.partial, "_partial"),
    (types.BuiltinFunctionType | np.ufunc | types.MethodWrapperType | types.MethodDescriptorType, "_builtin"),
    (staticmethod | classmethod, "_bound"),
    (property, "_property"),
    (types.MemberDescriptorType | types.GetSetDescriptorType | types.WrapperDescriptorType, "_descriptor"),
    (enum.Enum, "_enum"),
    (Mapping, "_mapping"),
    (list | tuple, "_sequence"),
    (set | frozenset, "_set"),
)
_COMPILERS = frozenset({"tensorflow", "jax", "jaxlib"})  # whose functions have the user's inside


@functools.lru_cache(maxsize=4096)
def _rule(kind: Any) -> str:
    """The method of a walk for the values of a type."""
    for base, rule in _RULES:
        if issubclass(kind, base):
            return rule
    is_array = all(hasattr(kind, name) for name in ("__array__", "dtype", "shape"))
    return "_array" if is_array else "_object"


def _mix(tag: str, parts: Iterable[bytes]) -> bytes:
    mixed = blake2b(tag.encode(), digest_size=16)
    for part in parts:
        mixed.update(b"%d:" % len(part))
        mixed.update(part)
    return mixed.digest()


def _top(value: Any) -> str:
    """The library that a function or a class says it is from."""
    return str(getattr(value, "__module__", None) or "").partition(".")[0]


def _is_public(value: Any) -> bool:
    """Whether a function or a class is what its module has under its name."""
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def _number(value: Any) -> bytes:
    """A number of an object's own, which no other gets, not even once it is gone."""
    if value not in _NUMBERS:
        _NUMBERS[value] = next(_COUNTER)
    return b"%d" % _NUMBERS[value]


def _slots(kind: type) -> list[str]:
    found = vars(kind).get("__slots__", ())
    return [name for name in ([found] if isinstance(found, str) else found) if name not in ("__dict__", "__weakref__")]


class _Names:
    """The names that a function's code looks up: globals, and attributes of anything."""

    def __init__(self, code: types.CodeType) -> None:
        found: set[str] = set()
        names: set[str] = set(code.co_names)
        for instruction in dis.get_instructions(code):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                found.add(str(instruction.argval))
        for one in code.co_consts:
            if isinstance(one, types.CodeType):
                inner = _names(one)
                found |= set(inner.globals)
                names |= inner.attributes
        self.globals: tuple[str, ...] = tuple(sorted(found))
        self.attributes: frozenset[str] = frozenset(names)


@functools.lru_cache(maxsize=1024)
def _names(code: types.CodeType) -> _Names:
    return _Names(code)
