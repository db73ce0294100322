"""Keras objects as plain values: configurations without names, defaults and wrapping, so that equal ones compare so."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Mapping
from typing import Any

from unitune.models.identity import NotPlain, arguments_of, function_name, is_kerass, is_seed, read
from unitune.models.value_key import NoKey, value_key

_BASE_KEYS = frozenset({"name", "trainable", "dtype", "build_config", "quantization_config"})


def plain(value: Any) -> Any:
    """A value of a configuration in its simplest form.

    What Keras serialised of its own becomes `{"class_name", "config"}`, without what is None; the rest stays.
    """
    if isinstance(value, Mapping) and "class_name" in value and "config" in value:
        config = value["config"]
        if not isinstance(config, Mapping):
            return config
        return {
            "class_name": value["class_name"],
            "config": {key: plain(item) for key, item in _with_own_seed(config).items()},
        }
    return value


def defaults(kind: Any) -> Mapping[str, Any]:
    """The default of every argument of a constructor; looked up once, since that takes longer than all the rest."""
    return _defaults(kind)


@functools.lru_cache(maxsize=512)
def _defaults(kind: Any) -> Mapping[str, Any]:
    parameters = inspect.signature(kind.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def layer_config(layer: Any) -> dict[str, Any]:
    """The arguments with which a layer of Keras's own can be made again, without those at their defaults.

    Functions and objects of the user's own classes stay live; Keras's are names or `{"class_name", "config"}`. The
    layer's name is left out, and a seed that Keras drew; `trainable` and `dtype` are kept where they differ from the
    usual.
    """
    keras = sys.modules["keras"]
    known = defaults(type(layer))
    config: dict[str, Any] = {}
    for name, value in _config(layer).items():
        if name in _BASE_KEYS or (name == "seed" and not is_seed(value)):
            continue
        live = getattr(layer, name, None)
        if is_layer(live):  # as an activation
            value = live
        elif live is not None and hasattr(live, "get_config"):
            value = _object(live)
        elif callable(live):
            value = function_name(live, "activations") or live
        else:
            value = plain(value)
        if not _is_default(value, known.get(name, inspect.Parameter.empty)):
            config[name] = value
    own = getattr(getattr(layer, "cell", None), "seed", None)
    if "seed" in known and is_seed(own):  # which a `SimpleRNN` does not tell
        config["seed"] = own
    if not layer.trainable:
        config["trainable"] = False
    if layer.dtype_policy.name != keras.config.floatx():
        config["dtype"] = layer.dtype_policy.name
    return config


def _config(layer: Any) -> dict[str, Any]:
    """`layer.get_config()`, with a place for functions without a name, such as a `functools.partial`.

    Keras uses them as they are, but does not serialise them; what is live is read of the layer itself.
    """
    nameless = {
        name: value
        for name, value in vars(layer).items()
        if callable(value) and not hasattr(value, "__name__") and not hasattr(value, "get_config")
    }
    try:
        vars(layer).update(dict.fromkeys(nameless, abs))  # not by `setattr`, which Keras watches
        return dict(layer.get_config())
    finally:
        vars(layer).update(nameless)


def is_layer(value: Any) -> bool:
    """Whether the value is a Keras layer. Where Keras is not imported, nothing is."""
    keras = sys.modules.get("keras")
    return keras is not None and hasattr(keras, "Layer") and isinstance(value, keras.Layer)


_PARTS = ("initializers", "regularizers", "constraints")


def _object(live: Any) -> Any:
    """An initializer, a regularizer or a constraint as its class and arguments, where it is Keras's own; else live.

    Whether it is what these say is found out with its layer, whose twin is made of them.
    """
    if any(is_kerass(live, module) for module in _PARTS):
        return {"class_name": type(live).__name__, "config": _with_own_seed(arguments_of(live))}
    return live


def _with_own_seed(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in config.items() if item is not None and (key != "seed" or is_seed(item))}


def part_config(live: Any, module: str) -> dict[str, Any]:
    """The arguments of an initializer, a regularizer or a constraint that stands alone, with a seed of the user's.

    Raises:
        NotPlain: It is not one of Keras's own, or not what it says it is.
    """
    return _with_own_seed(read(live, module, module.removesuffix("s")))


def _is_default(value: Any, default: Any) -> bool:
    if default is inspect.Parameter.empty:
        return False
    if isinstance(value, dict) and "class_name" in value:
        # {"class_name": "GlorotUniform", "config": {}} and the default "glorot_uniform".
        name = default.replace("_", "").lower() if isinstance(default, str) else None
        return not value["config"] and name == value["class_name"].lower()
    if default is None:
        return value is None or value == [] or (isinstance(value, str) and value == "linear")
    return bool(value is default or (type(value) is type(default) and value == default))


class LambdaAgain:
    """Makes a `Lambda` layer again from its live function, which Keras could not find by name.

    Two are equal where all that their functions read is equal.

    Raises:
        NotPlain: The function reads what cannot be compared by value, or the layer is not what it says it is.
    """

    def __init__(self, layer: Any) -> None:
        self.function = layer.function
        self.options = {"output_shape": layer._output_shape, "mask": layer.mask, "arguments": layer.arguments}
        self.options |= {"activity_regularizer": layer.activity_regularizer, "autocast": layer.autocast}
        self.options["dtype"] = layer.dtype_policy.name
        try:
            self.key = value_key((self.function, self.options))
        except NoKey as told:
            raise NotPlain(f"the function of a `Lambda` reads {told}, which has no value to compare") from None

    def from_config(self, config: Mapping[str, Any]) -> Any:
        """A new layer."""
        keras = sys.modules["keras"]
        options = {name: value for name, value in self.options.items() if value is not None}
        return keras.layers.Lambda(self.function, **options, **config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LambdaAgain) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def object_config(live: Any, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The arguments of any object with `get_config` that differ from the defaults of its class."""
    known = defaults(type(live))
    return {
        key: plain(item)
        for key, item in live.get_config().items()
        if key not in without and key in known and not _is_default(item, known[key])
    }
