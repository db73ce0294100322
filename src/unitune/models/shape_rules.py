"""What each Keras layer makes of the shape of a row: its weights, and the shape that comes out.

Shapes have no batch axis; axes in a layer's arguments count the batch as axis 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]
# (name, shape, initializer, trainable) of each weight.
Weights = list[tuple[str, Shape, Any, bool]]
Rule = Callable[..., tuple[Weights, Shape]]


@dataclass(frozen=True, kw_only=True)
class Joined:
    """An initializer that joins others along the first axis: `(initializer, size)` for each."""

    parts: tuple[tuple[Any, int], ...]


@dataclass(frozen=True, kw_only=True)
class WithAxes:
    """An initializer of a weight whose fans Keras counts over these axes."""

    initializer: Any
    input_axes: tuple[int, ...]
    output_axes: tuple[int, ...]


def per_axis(value: Any, n: int) -> Shape:
    """A number, or one for each axis, as a tuple.

    Example:
        >>> per_axis(2, 3), per_axis([1, 2], 2)
        ((2, 2, 2), (1, 2))
    """
    return (int(value),) * n if isinstance(value, int) else tuple(int(item) for item in value)


def window_length(size: int, window: int, stride: int, padding: str, dilation: int = 1) -> int:
    """How many places a window has on an axis.

    Example:
        >>> window_length(8, 3, 1, "valid"), window_length(8, 3, 2, "same")
        (6, 4)
    """
    if padding == "valid":
        length = (size - dilation * (window - 1) - 1) // stride + 1
        if length < 1:
            raise ValueError(f"a window of {window} does not fit an axis of {size}")
        return length
    return (size - 1) // stride + 1


def channels_last(name: str, config: Mapping[str, Any]) -> None:
    """Refuses the other order of axes, which has no rule."""
    if config.get("data_format") == "channels_first":
        raise KeyError(f"{name}(data_format='channels_first')")


def _bias(config: Mapping[str, Any], size: int) -> Weights:
    if not config.get("use_bias", True):
        return []
    return [("bias", (size,), config.get("bias_initializer", "zeros"), True)]


def _dense(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    units = int(config["units"])
    kernel = ("kernel", (shape[-1], units), config.get("kernel_initializer", "glorot_uniform"), True)
    return [kernel, *_bias(config, units)], (*shape[:-1], units)


def einsum_sizes(config: Mapping[str, Any], shape: Shape) -> tuple[dict[str, int], str, str, str]:
    """The size of each letter of an `EinsumDense` equation, and the three terms without ellipses and batch."""
    terms, result = config["equation"].replace(" ", "").split("->")
    taken, kernel = terms.split(",")
    given = config["output_shape"]
    wanted: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    sizes: dict[str, int] = {}
    if "..." in taken:
        # The letters stand on one side of the ellipsis, where the shapes are lined up.
        taken, result = taken.replace("...", "."), result.replace("...", ".")
        head, tail = taken.split(".")
        sizes |= dict(zip(head[1:], shape, strict=False))
        sizes |= dict(zip(reversed(tail), reversed(shape), strict=False))
        after = result.split(".")[1]
        for letter, size in zip(reversed(after), reversed(wanted), strict=False):
            if size is not None:
                sizes.setdefault(letter, int(size))
    else:
        sizes |= dict(zip(taken[1:], shape, strict=True))
        for letter, size in zip(result[1:], wanted, strict=True):
            if size is not None:
                sizes.setdefault(letter, int(size))
    return sizes, taken, kernel, result


def _einsum_dense(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    sizes, taken, kernel, result = einsum_sizes(config, shape)
    drawn = WithAxes(
        initializer=config.get("kernel_initializer", "glorot_uniform"),
        input_axes=tuple(i for i, k in enumerate(kernel) if k in taken and k not in result),
        output_axes=tuple(i for i, k in enumerate(kernel) if k in result),
    )
    weights: Weights = [("kernel", tuple(sizes[k] for k in kernel), drawn, True)]
    if "." in result:
        # The batch is the first letter, or part of an ellipsis that leads.
        start = max(0, len(taken.split(".")[0]) - 1)
        middle = len(shape) - start - len(taken.split(".")[1])
        out: Shape = (
            *(sizes[k] for k in result.split(".")[0][1:]),
            *shape[start : start + middle],
            *(sizes[k] for k in result.split(".")[1]),
        )
    else:
        out = tuple(sizes[k] for k in result[1:])
    axes = config.get("bias_axes")
    if axes:
        first = min(result.index(axis) for axis in axes)
        size = tuple(sizes[k] if k in axes else 1 for k in result[first:])
        weights.append(("bias", size, config.get("bias_initializer", "zeros"), True))
    return weights, out


def _convolution(name: str) -> Rule:
    def rule(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
        channels_last(name, config)
        rank = len(shape) - 1
        size, strides = per_axis(config["kernel_size"], rank), per_axis(config.get("strides", 1), rank)
        dilation = per_axis(config.get("dilation_rate", 1), rank)
        padding, filters = config.get("padding", "valid").lower(), int(config["filters"])
        places = tuple(
            window_length(n, k, s, padding, d) for n, k, s, d in zip(shape[:-1], size, strides, dilation, strict=True)
        )
        kernel = (*size, shape[-1] // int(config.get("groups", 1)), filters)
        weights: Weights = [("kernel", kernel, config.get("kernel_initializer", "glorot_uniform"), True)]
        return [*weights, *_bias(config, filters)], (*places, filters)

    return rule


def _depthwise(name: str) -> Rule:
    def rule(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
        channels_last(name, config)
        rank = len(shape) - 1
        size, strides = per_axis(config["kernel_size"], rank), per_axis(config.get("strides", 1), rank)
        dilation = per_axis(config.get("dilation_rate", 1), rank)
        padding, times = config.get("padding", "valid").lower(), int(config.get("depth_multiplier", 1))
        places = tuple(
            window_length(n, k, s, padding, d) for n, k, s, d in zip(shape[:-1], size, strides, dilation, strict=True)
        )
        weights: Weights = [
            ("kernel", (*size, shape[-1], times), config.get("depthwise_initializer", "glorot_uniform"), True)
        ]
        return [*weights, *_bias(config, shape[-1] * times)], (*places, shape[-1] * times)

    return rule


def _separable(name: str) -> Rule:
    def rule(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
        depthwise, between = _depthwise(name)({**config, "use_bias": False}, shape)
        filters = int(config["filters"])
        pointwise = (*(1 for _ in between[:-1]), between[-1], filters)
        weights: Weights = [
            ("depthwise_kernel", *depthwise[0][1:]),
            ("pointwise_kernel", pointwise, config.get("pointwise_initializer", "glorot_uniform"), True),
        ]
        return [*weights, *_bias(config, filters)], (*between[:-1], filters)

    return rule


def _transposed(name: str) -> Rule:
    def rule(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
        channels_last(name, config)
        rank = len(shape) - 1
        size, strides = per_axis(config["kernel_size"], rank), per_axis(config.get("strides", 1), rank)
        if config.get("output_padding") is not None or per_axis(config.get("dilation_rate", 1), rank) != (1,) * rank:
            raise KeyError(f"{name}(output_padding, dilation_rate)")
        filters, valid = int(config["filters"]), config.get("padding", "valid").lower() == "valid"
        places = tuple(
            n * s + (max(k - s, 0) if valid else 0) for n, k, s in zip(shape[:-1], size, strides, strict=True)
        )
        kernel = (*size, filters, shape[-1])
        weights: Weights = [("kernel", kernel, config.get("kernel_initializer", "glorot_uniform"), True)]
        return [*weights, *_bias(config, filters)], (*places, filters)

    return rule


def _pooling(name: str) -> Rule:
    def rule(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
        channels_last(name, config)
        rank = len(shape) - 1
        size = per_axis(config.get("pool_size", 2), rank)
        given = config.get("strides")
        strides = size if given is None else per_axis(given, rank)
        padding = config.get("padding", "valid").lower()
        places = (window_length(n, k, s, padding) for n, k, s in zip(shape[:-1], size, strides, strict=True))
        return [], (*places, shape[-1])

    return rule


def _global_pooling(name: str) -> Rule:
    def rule(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
        channels_last(name, config)
        kept = (1,) * (len(shape) - 1) if config.get("keepdims") else ()
        return [], (*kept, shape[-1])

    return rule


def _scale_and_center(config: Mapping[str, Any], size: Shape) -> Weights:
    weights: Weights = []
    if config.get("scale", True):
        weights.append(("gamma", size, config.get("gamma_initializer", "ones"), True))
    if config.get("center", True):
        weights.append(("beta", size, config.get("beta_initializer", "zeros"), True))
    return weights


def _axis_sizes(axis: Any, shape: Shape) -> Shape:
    axes = axis if isinstance(axis, list | tuple) else [axis]
    return tuple(shape[a if a < 0 else a - 1] for a in axes)


def _batch_normalization(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    if config.get("renorm"):
        raise KeyError("BatchNormalization(renorm=True)")
    size = _axis_sizes(config.get("axis", -1), shape)
    weights = _scale_and_center(config, size)
    weights.append(("moving_mean", size, config.get("moving_mean_initializer", "zeros"), False))
    weights.append(("moving_variance", size, config.get("moving_variance_initializer", "ones"), False))
    return weights, shape


def _layer_normalization(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    return _scale_and_center(config, _axis_sizes(config.get("axis", -1), shape)), shape


def _rms_normalization(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    return [("scale", _axis_sizes(config.get("axis", -1), shape), "ones", True)], shape


def _prelu(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    size = list(shape)
    shared = config.get("shared_axes") or []
    for axis in shared if isinstance(shared, list | tuple) else [shared]:
        size[axis - 1] = 1
    return [("alpha", tuple(size), config.get("alpha_initializer", "zeros"), True)], shape


def _embedding(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    size = (int(config["input_dim"]), int(config["output_dim"]))
    return [("embeddings", size, config.get("embeddings_initializer", "uniform"), True)], (*shape, size[1])


def _recurrent(gates: int, name: str) -> Rule:
    def rule(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
        units = int(config["units"])
        weights: Weights = [
            ("kernel", (shape[-1], gates * units), config.get("kernel_initializer", "glorot_uniform"), True),
            ("recurrent_kernel", (units, gates * units), config.get("recurrent_initializer", "orthogonal"), True),
        ]
        if config.get("use_bias", True):
            start = config.get("bias_initializer", "zeros")
            size: Shape = (gates * units,)
            if name == "LSTM" and config.get("unit_forget_bias", True):
                start = Joined(parts=((start, units), ("ones", units), (start, 2 * units)))
            if name == "GRU" and config.get("reset_after", True):
                size = (2, gates * units)
            weights.append(("bias", size, start, True))
        out: Any = (shape[0], units) if config.get("return_sequences") else (units,)
        # Of a layer with several outputs, the shape of each.
        return weights, (out, *[(units,)] * (1 + (name == "LSTM"))) if config.get("return_state") else out

    return rule


def _multi_head_attention(
    config: Mapping[str, Any], query: Shape, value: Shape, key: Shape | None = None
) -> tuple[Weights, Shape]:
    if config.get("use_gate") or len(query) != 2 or len(value) != 2:
        raise KeyError("MultiHeadAttention of this form")
    heads, depth = int(config["num_heads"]), int(config["key_dim"])
    value_depth = int(config.get("value_dim") or depth)
    given = config.get("output_shape")
    out = (query[-1],) if given is None else per_axis(given, 1)
    initializers = config.get("kernel_initializer", "glorot_uniform"), config.get("bias_initializer", "zeros")
    weights: Weights = []
    for name, taken, size in (
        ("query", query[-1:], (heads, depth)),
        ("key", (value if key is None else key)[-1:], (heads, depth)),
        ("value", value[-1:], (heads, value_depth)),
        ("attention_output", (heads, value_depth), out),
    ):
        n_in = 2 if name == "attention_output" else 1
        axes = tuple(range(len(taken) + len(size)))
        start = WithAxes(initializer=initializers[0], input_axes=axes[:n_in], output_axes=axes[n_in:])
        weights.append((f"{name}/kernel", (*taken, *size), start, True))
        if config.get("use_bias", True):
            weights.append((f"{name}/bias", size, initializers[1], True))
    return weights, (*query[:-1], *out)


def _flatten(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    channels_last("Flatten", config)
    return [], (math.prod(shape),)


def _reshape(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    wanted = tuple(int(size) for size in config["target_shape"])
    if -1 in wanted:
        known = -math.prod(wanted)
        wanted = tuple(math.prod(shape) // known if size == -1 else size for size in wanted)
    return [], wanted


def _permute(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    return [], tuple(shape[axis - 1] for axis in config["dims"])


def _repeat_vector(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    return [], (int(config["n"]), *shape)


def _pairs(value: Any, rank: int) -> list[tuple[int, int]]:
    if isinstance(value, int):
        return [(value, value)] * rank
    if rank == 1 and all(isinstance(item, int) for item in value):
        return [(int(value[0]), int(value[1]))]
    return [(item, item) if isinstance(item, int) else (int(item[0]), int(item[1])) for item in value]


def _padding(sign: int, argument: str) -> Rule:
    def rule(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
        channels_last(argument, config)
        rank = len(shape) - 1
        # Keras's `Cropping2D`, and only that, cuts nothing unless told.
        pairs = _pairs(config.get(argument, 0 if sign < 0 and rank == 2 else 1), rank)
        return [], (*(n + sign * (a + b) for n, (a, b) in zip(shape[:-1], pairs, strict=True)), shape[-1])

    return rule


def _up_sampling(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    channels_last("UpSampling", config)
    times = per_axis(config.get("size", 2), len(shape) - 1)
    return [], (*(n * k for n, k in zip(shape[:-1], times, strict=True)), shape[-1])


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The shape of rows of these shapes added up.

    Example:
        >>> broadcast([(4, 1), (3,)])
        (4, 3)
    """
    rank = max(len(shape) for shape in shapes)
    wide = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(max(sizes) for sizes in zip(*wide, strict=True))


def _merging(config: Mapping[str, Any], *shapes: Shape) -> tuple[Weights, Shape]:
    return [], broadcast(shapes)


def concatenated_axis(config: Mapping[str, Any], rank: int) -> int:
    """The axis of a `Concatenate` on rows of this rank."""
    axis = int(config.get("axis", -1))
    return axis + rank if axis < 0 else axis - 1


def _concatenate(config: Mapping[str, Any], *shapes: Shape) -> tuple[Weights, Shape]:
    axis = concatenated_axis(config, len(shapes[0]))
    out = list(shapes[0])
    out[axis] = sum(shape[axis] for shape in shapes)
    return [], tuple(out)


def _weightless(config: Mapping[str, Any], shape: Shape) -> tuple[Weights, Shape]:
    return [], shape


MERGING = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")

RULES: dict[str, Rule] = {
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    **{f"Conv{n}D": _convolution(f"Conv{n}D") for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _transposed(f"Conv{n}DTranspose") for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _depthwise(f"DepthwiseConv{n}D") for n in (1, 2)},
    **{f"SeparableConv{n}D": _separable(f"SeparableConv{n}D") for n in (1, 2)},
    **{f"{kind}Pooling{n}D": _pooling(kind) for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"Global{kind}Pooling{n}D": _global_pooling(kind) for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"ZeroPadding{n}D": _padding(1, "padding") for n in (1, 2, 3)},
    **{f"Cropping{n}D": _padding(-1, "cropping") for n in (1, 2, 3)},
    **{f"UpSampling{n}D": _up_sampling for n in (1, 2, 3)},
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "GroupNormalization": _layer_normalization,
    "RMSNormalization": _rms_normalization,
    "PReLU": _prelu,
    "Embedding": _embedding,
    "SimpleRNN": _recurrent(1, "SimpleRNN"),
    "GRU": _recurrent(3, "GRU"),
    "LSTM": _recurrent(4, "LSTM"),
    "MultiHeadAttention": _multi_head_attention,
    "Pick": lambda config, shapes: ([], shapes[config["place"]]),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "RepeatVector": _repeat_vector,
    "Concatenate": _concatenate,
    **dict.fromkeys(MERGING, _merging),
    **dict.fromkeys(
        (
            "Activation",
            "ActivityRegularization",
            "AlphaDropout",
            "Dropout",
            "ELU",
            "GaussianDropout",
            "GaussianNoise",
            "Identity",
            "LeakyReLU",
            "Masking",
            "ReLU",
            "Rescaling",
            "Softmax",
            "SpatialDropout1D",
            "SpatialDropout2D",
            "SpatialDropout3D",
            "UnitNormalization",
        ),
        _weightless,
    ),
}
"""From the name of a class in `keras.layers` to its rule: `rule(config, *shapes)` gives weights and output shape."""
