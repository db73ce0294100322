"""Whether a Keras object is what its arguments say: else the network that is made from them is another one.

An object is plain where

1. its class is Keras's own, found under its name in the public module: no class of that name, no subclass;
2. nothing on the instance takes the place of a method, and the methods are those that Keras came with;
3. its whole state, not only its configuration, is that of a twin made from the arguments that were read of it.

The state of twins is kept by class and arguments, so that an object of a kind seen before costs no new twin.
"""

from __future__ import annotations

import inspect
import threading
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeGuard

import numpy as np

from unitune.models import backend
from unitune.models.value_key import BOOKKEEPING, Key, NoKey, attribute_keys, value_key

_TWINS: OrderedDict[Any, dict[str, Key]] = OrderedDict()
_GUARD = threading.Lock()
_MAX_TWINS = 2_048
# What a class must not have changed on Keras's own: a method that was put in its place is of another module.
_METHODS = ("__call__", "call", "update_step", "apply", "update_state", "result", "build", "on_epoch_end", "get_config")
_WRAPPED = ("build", "quantize")  # which Keras wraps on each instance


class NotPlain(Exception):  # noqa: N818  (a finding: the user's own object must be trained with)
    """An object is not what its arguments say; the message is the reason that the user reads."""


def keras_class(module: str, name: str) -> Any:
    """The class (or function) under a name in a public module of Keras, such as `losses`; None where there is none."""
    return getattr(attrgetter(module)(backend.ensure()), name, None)


def is_kerass(live: Any, module: str) -> bool:
    """Whether the class of an object is Keras's own, by identity."""
    return keras_class(module, type(live).__name__) is type(live)


def function_name(function: Any, module: str) -> str | None:
    """The name under which a public module of Keras has this very function; None where it has not."""
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) and keras_class(module, name) is function else None


def read(live: Any, module: str, noun: str, *, ignore: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The arguments with which a plain object can be made again, without those at their defaults.

    They are read of the object itself where its configuration leaves them out, as that of `Huber` does its `delta`.

    Args:
        live: A loss, a metric, a regularizer, a callback, ...
        module: The public module of its class: `"losses"`.
        noun: What it is, for the reason: `"loss"`.
        ignore: Attributes that do not count, beside Keras's bookkeeping.

    Raises:
        NotPlain: It is not plain.

    Example:
        >>> import keras
        >>> read(keras.losses.Huber(0.3), "losses", "loss")
        {'delta': 0.3}
    """
    kind: Any = type(live)
    title = f"the {noun} `{kind.__name__}`"
    if not is_kerass(live, module):
        raise NotPlain(f"{title} is a class of your own")
    _check_methods(live, title)
    check_instance(live, title)
    try:
        arguments = arguments_of(live)
    except Exception as error:
        raise NotPlain(f"{title} cannot tell its configuration: {type(error).__name__}") from error
    keep = {"name": live.name} if "name" in defaults(kind) and isinstance(getattr(live, "name", None), str) else {}
    check_twin(live, arguments, lambda: kind(**arguments, **keep), title, ignore=BOOKKEEPING | ignore)
    return arguments


def check_twin(
    live: Any,
    arguments: Mapping[str, Any],
    make: Callable[[], Any],
    title: str,
    *,
    ignore: frozenset[str] = BOOKKEEPING,
    spare: frozenset[str] = frozenset(),
    remember: bool = True,
) -> None:
    """Checks an object against the twin that is made of its arguments.

    Args:
        live: The object.
        arguments: All that `make` depends on, beside the object's class.
        make: Makes the twin.
        title: What it is, for the reason.
        ignore: Attributes that do not count.
        spare: Attributes that may differ.
        remember: Whether the twin's state is kept for other objects of the class with these arguments.

    Raises:
        NotPlain: Their states differ.
    """
    try:
        policy = str(backend.ensure().config.dtype_policy().name)
        key = (type(live), value_key(dict(arguments)), policy, ignore)
    except NoKey as told:
        raise NotPlain(f"{title} holds {told}") from None
    with _GUARD:
        known = _TWINS.get(key) if remember else None
    if known is None:
        try:
            known = attribute_keys(make(), ignore=ignore)
        except Exception as error:
            raise NotPlain(f"{title} cannot be made again from its arguments") from error
        with _GUARD:
            if remember:
                _TWINS[key] = known
            while len(_TWINS) > _MAX_TWINS:
                _TWINS.popitem(last=False)
    found = attribute_keys(live, ignore=ignore)
    if found == known:
        return
    for name in (*known, *found):
        if found.get(name) != known.get(name) and name not in spare:
            if isinstance(getattr(type(live), name, None), types.FunctionType):
                raise NotPlain(f"{title} has a `{name}` of its own")
            raise NotPlain(f"{title} holds a `{name.lstrip('_')}` that its arguments do not tell")


def _check_methods(live: Any, title: str) -> None:
    for name in _METHODS:
        method = getattr(type(live), name, None)
        if isinstance(method, types.FunctionType) and method.__module__.partition(".")[0] not in (
            "keras",
            "tensorflow",
        ):
            raise NotPlain(f"{title} has a `{name}` of its own")


def made_again(kind: Any, config: Mapping[str, Any]) -> Any:
    """An object of a class from its configuration, which stays whole: some of Keras's classes take parts out of it."""
    return kind.from_config(_copied(config))


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return type(value)(_copied(item) for item in value) if type(value) in (list, tuple) else value


def check_layer(layer: Any, arguments: Mapping[str, Any], make: Callable[[], Any], *, known: bool) -> None:
    """Checks a layer against the one that is made again from its arguments, and its variables against both.

    Args:
        layer: Built or not.
        arguments: All that `make` depends on.
        make: Makes a layer that is not built.
        known: Whether it is one of Keras's own whose weights are known: then the twin is not built with every change
            of a size.

    Raises:
        NotPlain: They differ.
    """
    title = f"the layer `{type(layer).__name__}`"
    check_instance(layer, title)
    for one in layer._flatten_layers():
        _check_variables(one, title)
    built = layer.get_build_config() if layer.built and not known else None
    if seeds := _seeds_within(layer):
        _check_seeds(seeds, lambda: _as_built(make(), built), title)
    if not known:
        check_twin(layer, {"made": arguments, "built": built}, lambda: _as_built(make(), built), title)
        return
    _check_methods(layer, title)
    spare = _SPARE.setdefault(type(layer), frozenset())
    try:
        check_twin(layer, arguments, make, title, spare=spare)
    except NotPlain:
        if not layer.built:
            raise
        try:
            fresh, built = attribute_keys(make()), attribute_keys(_as_built(make(), layer.get_build_config()))
            learned = {name for name, key in built.items() if fresh.get(name) != key}
        except Exception:  # it cannot even be built: the difference stands
            learned = set()
        if learned <= spare:
            raise
        _SPARE[type(layer)] = spare | learned
        check_twin(layer, arguments, make, title, spare=_SPARE[type(layer)])


_SPARE: dict[type, frozenset[str]] = {}  # the attributes that building adds to a layer of a class, or changes


def _check_seeds(seeds: list[int], make: Callable[[], Any], title: str) -> None:
    """Checks that the layer that is made again has the seeds of the user's, too."""
    try:
        again = _seeds_within(make())
    except Exception as error:  # of a layer that cannot be made from what it says of itself
        raise NotPlain(f"{title} cannot be made again from its arguments") from error
    if seeds != again:
        raise NotPlain(f"{title} has a seed that its configuration does not say")


def _seeds_within(layer: Any) -> list[int]:
    """The user's own seeds of a layer and of those within it."""
    return [one.seed for one in layer._flatten_layers() if is_seed(getattr(one, "seed", None))]


def _as_built(layer: Any, built: Any) -> Any:
    if built is not None:
        layer.build_from_config(built)
        layer.built = True
    return layer


def _check_variables(layer: Any, title: str) -> None:
    """Checks that the variables of a layer have the traits that its arguments gave them."""
    for place, variables in (("_trainable_variables", True), ("_non_trainable_variables", False)):
        for variable in getattr(layer, place):
            name = variable.name
            if variables and layer.trainable and not variable.trainable:
                raise NotPlain(f"the variable `{name}` of {title} is frozen by itself")
            if not variables and variable.trainable:
                raise NotPlain(f"the variable `{name}` of {title} is trained, which Keras did not plan")
            if getattr(variable, "overwrite_with_gradient", False):
                raise NotPlain(f"the variable `{name}` of {title} takes its gradient as its value")
            for trait in ("regularizer", "constraint"):
                if getattr(variable, trait, None) is not _told(layer, name, trait):
                    raise NotPlain(f"the {trait} of the variable `{name}` of {title} was changed")

    state = getattr(getattr(layer, "seed_generator", None), "state", None)
    if is_seed(getattr(layer, "seed", None)) and state is not None and int(np.asarray(state)[1]):
        # A seed says what is drawn only where nothing was drawn yet.
        raise NotPlain(f"{title} has drawn random numbers already")


def is_seed(value: Any) -> TypeGuard[int]:
    """Whether a seed is a number of the user's, and so decides what is drawn. Else Keras draws one, and Unitune too."""
    return isinstance(value, int) and not isinstance(value, bool)


def _told(layer: Any, variable: str, trait: str) -> Any:
    """The regularizer or the constraint that a layer's arguments name for a variable."""
    for name in (variable, variable.removesuffix("_kernel"), "depthwise" if variable == "kernel" else variable):
        if hasattr(layer, f"{name}_{trait}"):
            return getattr(layer, f"{name}_{trait}")
    return None


def check_instance(live: Any, title: str) -> None:
    """Checks that nothing on a layer or model takes the place of one of its methods.

    Raises:
        NotPlain: With the first method that is not its class's.
    """
    kind: Any = type(live)
    for name in vars(live).keys() & _functions(kind):
        method = getattr(type(live), name)
        inner = getattr(vars(live)[name], "__wrapped__", None)
        wrapped = getattr(inner, "__func__", inner)
        # A class that becomes a functional one when its first model is made: what was wrapped is Keras's, too.
        own = wrapped is method or all(getattr(one, "__module__", "").startswith("keras.") for one in (wrapped, method))
        if name not in _WRAPPED or not own:
            raise NotPlain(f"{title} has a `{name}` of its own")


@lru_cache(maxsize=512)
def _functions(kind: Any) -> frozenset[str]:
    """The names of a class's methods, but for `loss`, which `compile` sets."""
    return frozenset(name for name in dir(kind) if isinstance(getattr(kind, name, None), types.FunctionType)) - {"loss"}


@lru_cache(maxsize=512)
def defaults(kind: Any) -> Mapping[str, Any]:
    """The default of every argument of a class's constructor, but for the catch-alls."""
    found = inspect.signature(kind.__init__).parameters.values()
    named = (one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) and one.name != "self")
    return {one.name: one.default for one in named}


def arguments_of(live: Any) -> dict[str, Any]:
    """The arguments of the constructor, as the object holds them, without the name and those at their defaults."""
    config = live.get_config() if hasattr(live, "get_config") else {}
    private = getattr(live, "_fn_kwargs", {})
    found: dict[str, Any] = {}
    kind: Any = type(live)
    for name, default in defaults(kind).items():
        if name == "name":
            continue
        if name in private:
            value = private[name]
        elif name == "dtype":
            policy = getattr(live, "_dtype_policy", None)
            value = default if policy is None or policy.name == backend.ensure().config.floatx() else policy.name
        elif not getattr(live, f"_init_from_{name}", True):  # the thresholds of `AUC`
            value = default
        elif name in config:
            value = config[name]
        else:
            value = getattr(live, name, getattr(live, f"_{name}", default))
        if default is inspect.Parameter.empty or not _same(value, default):
            found[name] = value
    return found


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    try:
        return type(value) is type(default) and bool(value == default)
    except ValueError:  # arrays
        return False
