"""Layers: name -> the rows' key in `DATA` and what makes the layers of a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras

from catalogue.cases import HEADS, TRAIN, Case, late, own_class, settle
from catalogue.listing import public

L = keras.layers
SEED = {"seed": 3}
RANGE = {"value_range": (0, 250)}

# On JAX Keras itself fails where values are wider than keys.
VALUES = {} if keras.backend.backend() == "jax" else {"value_dim": 3}

# name -> rows, and arguments; a callable makes them, where they hold layers.
ROWS: dict[str, tuple[str, Any]] = {
    "Activation": ("real", {"activation": "softsign"}),
    "ActivityRegularization": ("real", {"l1": 0.1, "l2": 0.2}),
    "AdaptiveAveragePooling1D": ("sequence", {"output_size": 2}),
    "AdaptiveAveragePooling2D": ("image", {"output_size": (2, 4)}),
    "AdaptiveAveragePooling3D": ("volume", {"output_size": 2}),
    "AdaptiveMaxPooling1D": ("sequence", {"output_size": 2}),
    "AdaptiveMaxPooling2D": ("image", {"output_size": (2, 4)}),
    "AdaptiveMaxPooling3D": ("volume", {"output_size": 2}),
    "Add": ("real", {}),
    "AdditiveAttention": ("sequence", {"use_scale": False}),
    "AlphaDropout": ("real", {"rate": 0.3, **SEED}),
    "Attention": ("sequence", {"use_scale": True, "score_mode": "concat"}),
    "AugMix": ("image", {**RANGE, "num_chains": 2, "chain_depth": 0, **SEED}),  # else with Python's own generator
    "AutoContrast": ("image", RANGE),
    "Average": ("real", {}),
    "AveragePooling1D": ("sequence", {"pool_size": 3, "strides": 1, "padding": "same"}),
    "AveragePooling2D": ("image", {"pool_size": 3, "strides": 2, "padding": "same"}),
    "AveragePooling3D": ("volume", {"pool_size": 2, "strides": 1}),
    "BatchNormalization": ("real", {"momentum": 0.6, "epsilon": 0.1, "scale": False}),
    "Bidirectional": ("sequence", lambda: {"layer": L.GRU(2, return_sequences=True), "merge_mode": "sum"}),
    "CategoryEncoding": ("whole", {"num_tokens": 5, "output_mode": "count"}),
    "CenterCrop": ("image", {"height": 4, "width": 5}),
    "Concatenate": ("sequence", {"axis": 1}),
    "ContrastLimitedAdaptiveHistogramEqualization": ("image", {**RANGE, "clip_limit": 2.0, "tile_grid_size": (2, 2)}),
    "Conv1D": ("sequence", {"filters": 2, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}),
    "Conv1DTranspose": ("sequence", {"filters": 2, "kernel_size": 3, "strides": 2}),
    "Conv2D": ("image", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "tanh"}),
    "Conv2DTranspose": ("image", {"filters": 2, "kernel_size": 3, "strides": 2, "activation": "tanh"}),
    "Conv3D": ("volume", {"filters": 2, "kernel_size": 2, "use_bias": False}),
    "Conv3DTranspose": ("volume", {"filters": 2, "kernel_size": 2, "strides": 2}),
    "ConvLSTM1D": ("image", {"filters": 2, "kernel_size": 3, "activation": "softsign"}),
    "ConvLSTM2D": ("volume", {"filters": 2, "kernel_size": 2, "unit_forget_bias": False}),
    "ConvLSTM3D": ("film", {"filters": 2, "kernel_size": 2, "return_sequences": True}),
    "Cropping1D": ("sequence", {"cropping": (1, 2)}),
    "Cropping2D": ("image", {"cropping": ((1, 2), (0, 3))}),
    "Cropping3D": ("volume", {"cropping": ((1, 0), (0, 1), (1, 1))}),
    "CutMix": ("image", {"factor": 0.7, **SEED}),
    "Dense": ("real", {"units": 4, "activation": "elu", "use_bias": False, "kernel_regularizer": "l2"}),
    "DepthwiseConv1D": ("sequence", {"kernel_size": 2, "depth_multiplier": 2}),
    "DepthwiseConv2D": ("image", {"kernel_size": 3, "depth_multiplier": 2, "strides": 2}),
    "Discretization": ("real", {"bin_boundaries": [-1.0, 0.0, 1.0], "output_mode": "one_hot"}),
    "Dot": ("sequence", {"axes": 2, "normalize": True}),
    "Dropout": ("real", {"rate": 0.4, **SEED}),
    "ELU": ("real", {"alpha": 0.4}),
    "EinsumDense": ("sequence", {"equation": "abc,cd->abd", "output_shape": (6, 2), "bias_axes": "d"}),
    "Embedding": ("whole", {"input_dim": 6, "output_dim": 2, "mask_zero": True}),
    "Equalization": ("image", {**RANGE, "bins": 16}),
    "Flatten": ("image", {"data_format": "channels_first"}),
    "GRU": ("sequence", {"units": 2, "reset_after": False, "go_backwards": True}),
    "GRUCell": ("sequence", {"units": 2, "recurrent_activation": "hard_sigmoid"}),
    "GaussianDropout": ("real", {"rate": 0.3, **SEED}),
    "GaussianNoise": ("real", {"stddev": 0.3, **SEED}),
    "GlobalAveragePooling1D": ("sequence", {"keepdims": True}),
    "GlobalAveragePooling2D": ("image", {"keepdims": True}),
    "GlobalAveragePooling3D": ("volume", {"keepdims": True}),
    "GlobalMaxPooling1D": ("sequence", {"keepdims": True}),
    "GlobalMaxPooling2D": ("image", {"keepdims": True}),
    "GlobalMaxPooling3D": ("volume", {"keepdims": True}),
    "GroupNormalization": ("image", {"groups": 3, "epsilon": 0.1, "center": False}),
    "GroupQueryAttention": ("sequence", {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1}),
    "HashedCrossing": ("text", {"num_bins": 5, "output_mode": "one_hot"}),
    "Hashing": ("text", {"num_bins": 5, "output_mode": "one_hot"}),
    "Identity": ("real", {}),
    "IntegerLookup": ("whole", {"vocabulary": [1, 2, 4], "output_mode": "multi_hot"}),
    "LSTM": ("sequence", {"units": 2, "activation": "softsign", "return_sequences": True}),
    "LSTMCell": ("sequence", {"units": 2, "unit_forget_bias": False}),
    "Lambda": ("real", {"function": lambda x: keras.ops.sin(x) * 2}),
    "LayerNormalization": ("sequence", {"axis": [1, 2], "epsilon": 0.1, "center": False}),
    "LeakyReLU": ("real", {"negative_slope": 0.4}),
    "Masking": ("sequence", {"mask_value": 0.5}),
    "MaxPooling1D": ("sequence", {"pool_size": 3, "strides": 1, "padding": "same"}),
    "MaxPooling2D": ("image", {"pool_size": 3, "strides": 2, "padding": "same"}),
    "MaxPooling3D": ("volume", {"pool_size": 2, "strides": 1}),
    "Maximum": ("real", {}),
    "MelSpectrogram": ("wave", {"fft_length": 16, "sequence_stride": 8, "num_mel_bins": 4, "sampling_rate": 100}),
    "Minimum": ("real", {}),
    "MixUp": ("image", {"alpha": 0.5, **SEED}),
    "MultiHeadAttention": ("sequence", {"num_heads": 2, "key_dim": 2, "use_bias": False} | VALUES),
    "Multiply": ("real", {}),
    "Normalization": ("real", {"mean": [0.1] * 5, "variance": [2.0] * 5}),
    "PReLU": ("image", {"shared_axes": [1, 2]}),
    "Permute": ("sequence", {"dims": (2, 1)}),
    "Pipeline": ("image", lambda: {"layers": [L.Rescaling(0.01), L.CenterCrop(4, 4)]}),
    "RMSNormalization": ("sequence", {"epsilon": 0.1}),
    "RNN": ("sequence", lambda: {"cell": L.SimpleRNNCell(2), "go_backwards": True}),
    "RandAugment": ("image", {**RANGE, "num_ops": 1, "factor": 0.3, **SEED}),
    "RandomBrightness": ("image", {"factor": 0.4, **SEED}),
    "RandomColorDegeneration": ("image", {"factor": 0.4, **SEED}),
    "RandomColorJitter": ("image", {**RANGE, "brightness_factor": 0.3, **SEED}),
    "RandomContrast": ("image", {"factor": 0.4, **SEED}),
    "RandomCrop": ("image", {"height": 4, "width": 5, **SEED}),
    "RandomElasticTransform": ("image", {"factor": 0.7, **SEED}),
    "RandomErasing": ("image", {"factor": 0.7, **SEED}),
    "RandomFlip": ("image", {"mode": "vertical", **SEED}),
    "RandomGaussianBlur": ("image", {"factor": 0.7, **SEED}),
    "RandomGrayscale": ("image", {"factor": 0.4, **SEED}),
    "RandomHue": ("image", {"factor": 0.4, **SEED}),
    "RandomInvert": ("image", {"factor": 0.4, **SEED}),
    "RandomPerspective": ("image", {"factor": 0.7, **SEED}),
    "RandomPosterization": ("image", {"factor": 3, **SEED}),
    "RandomRotation": ("image", {"factor": 0.2, "fill_mode": "nearest", **SEED}),
    "RandomSaturation": ("image", {"factor": 0.4, **SEED}),
    "RandomSharpness": ("image", {"factor": 0.4, **SEED}),
    "RandomShear": ("image", {"x_factor": 0.3, **SEED}),
    "RandomTranslation": ("image", {"height_factor": 0.2, "width_factor": 0.1, **SEED}),
    "RandomZoom": ("image", {"height_factor": 0.3, **SEED}),
    "ReLU": ("real", {"max_value": 0.5, "negative_slope": 0.2, "threshold": 0.1}),
    "RepeatVector": ("real", {"n": 3}),
    "Rescaling": ("image", {"scale": 1 / 255, "offset": -0.5}),
    "Reshape": ("image", {"target_shape": (4, 48)}),
    "Resizing": ("image", {"height": 4, "width": 5, "interpolation": "bicubic"}),
    "ReversibleEmbedding": ("whole", {"input_dim": 6, "output_dim": 2, "tie_weights": False}),
    "STFTSpectrogram": ("wave", {"frame_length": 16, "frame_step": 8, "mode": "magnitude"}),
    "SeparableConv1D": ("sequence", {"filters": 2, "kernel_size": 2, "depth_multiplier": 2}),
    "SeparableConv2D": ("image", {"filters": 2, "kernel_size": 3, "strides": 2}),
    "SimpleRNN": ("sequence", {"units": 2, "activation": "relu", "return_sequences": True}),
    "SimpleRNNCell": ("sequence", {"units": 2, "activation": "relu"}),
    "Softmax": ("sequence", {"axis": 1}),
    "Solarization": ("image", {"addition_factor": 0.2, "threshold_factor": 0.5, **SEED}),
    "SpatialDropout1D": ("sequence", {"rate": 0.4, **SEED}),
    "SpatialDropout2D": ("image", {"rate": 0.4, **SEED}),
    "SpatialDropout3D": ("volume", {"rate": 0.4, **SEED}),
    "SpectralNormalization": ("real", lambda: {"layer": L.Dense(3), "power_iterations": 2}),
    "StackedRNNCells": ("sequence", lambda: {"cells": [L.GRUCell(2), L.SimpleRNNCell(3)]}),
    "StringLookup": ("text", {"vocabulary": ["a", "b", "c"], "output_mode": "one_hot"}),
    "Subtract": ("real", {}),
    "TextVectorization": ("text", {"vocabulary": ["a", "b", "c"], "output_mode": "multi_hot"}),
    "TimeDistributed": ("sequence", lambda: {"layer": L.Dense(2, activation="tanh")}),
    "UnitNormalization": ("sequence", {"axis": 1}),
    "UpSampling1D": ("sequence", {"size": 3}),
    "UpSampling2D": ("image", {"size": (1, 2), "interpolation": "bilinear"}),
    "UpSampling3D": ("volume", {"size": (1, 2, 1)}),
    "ZeroPadding1D": ("sequence", {"padding": (1, 2)}),
    "ZeroPadding2D": ("image", {"padding": ((1, 2), (0, 3))}),
    "ZeroPadding3D": ("volume", {"padding": ((1, 0), (0, 1), (1, 1))}),
}
CELLS = ("GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells")
MERGING = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract", "HashedCrossing")
ATTENTION = ("AdditiveAttention", "Attention")
MULTI_HEAD = ("MultiHeadAttention", "GroupQueryAttention")
FUNCTIONS = ("add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract")
WITHOUT = {
    "Input": "every network begins with it",
    "InputLayer": "every network begins with it",
    "InputSpec": "a description of tensors",
    "Layer": "the base class",
    "Wrapper": "the base class of wrappers",
    "MaxNumBoundingBoxes": "takes rows with bounding boxes, which `fit` does not",
    "FlaxLayer": "needs flax",
    "JaxLayer": "takes functions of JAX; its own test below",
    "TFSMLayer": "takes a folder with a SavedModel",
    "TorchModuleWrapper": "needs torch",
}
DRAWING = ("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise")
DRAWING = (*DRAWING, "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
# What programs leave to Keras, and every layer that is called Random.
LEFT = (
    *("AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D"),
    *("AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D"),
    *("Attention", "AugMix", "CategoryEncoding", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "CutMix", "Dot"),
    *("Embedding", "Flatten", "GRUCell", "GroupQueryAttention", "HashedCrossing", "Hashing", "IntegerLookup"),
    *("LSTMCell", "LayerNormalization", "Masking", "MelSpectrogram", "MixUp", "RNN", "RandAugment", "Resizing"),
    *("ReversibleEmbedding", "STFTSpectrogram", "SimpleRNNCell", "Solarization", "SpectralNormalization"),
    *("StackedRNNCells", "StringLookup", "TextVectorization", "TimeDistributed", "dot"),
)
SCALES = {"image": 1 / 255, "wave": 1 / 255, "volume": 0.1, "film": 0.1}
TABLE = ({name: config for name, (_, config) in ROWS.items()} | {name: {} for name in FUNCTIONS}, WITHOUT)


def cases() -> Iterator[Case]:
    """Keras's own, and a user's own of the same names."""
    for name, one in public("layers").items():
        if name in FUNCTIONS:
            data, config = ROWS[name.capitalize()]
            yield _case(data, name, late(_merged, one, config), "given", must_fuse=name not in LEFT)
        elif name in ROWS:
            data, config = ROWS[name]
            left = name in LEFT or name.startswith("Random")
            for variant, kind in (("given", one), ("subclass", _altered(one))):
                fused = variant == "given" and not left
                call = _caller(name, kind, config)
                yield _case(data, name, call, variant, must_fuse=fused, draws=name in DRAWING)


def together(cases: Sequence[Case]) -> Case:
    """A network of the layers of several cases on the same rows."""
    first = cases[0]
    calls = tuple(call for one in cases for call in one.calls)
    name = "+".join(one.name for one in cases)
    return replace(first, name=name, build=late(_network, first.data, calls), calls=calls)


def _case(data: str, name: str, call: Any, variant: str, **settings: Any) -> Case:
    if data == "text":  # tables of text go by their columns
        settings |= {"faces": ("keras_tuner",)}
    if name.capitalize() in MERGING or name in MERGING:
        call = late(_of_two, call, data == "text")
    build = late(_network, data, (call,))
    return Case(kind="layers", name=name, variant=variant, data=data, build=build, calls=(call,), **settings)


def _of_two(call: Any, same: bool, inputs: Any) -> Any:
    """Of the input twice, or of two projections of it."""
    return call([inputs, inputs] if same else [L.Dense(3)(inputs), L.Dense(3, activation="tanh")(inputs)])


def _merged(function: Any, config: Any, tensors: Any) -> Any:
    return function(tensors, **config)


def _altered(kind: Any) -> type:
    def changed(value: Any) -> Any:
        halved = keras.tree.map_structure(lambda one: one + one if _whole(one) else one * 0.5, value)
        return halved

    return own_class(kind, call=changed)


def _whole(tensor: Any) -> bool:
    return "int" in keras.backend.standardize_dtype(tensor.dtype)


def _caller(name: str, kind: type, config: Any) -> Callable[[Any], Any]:
    """What calls the layer on a tensor, or on two."""

    def call(tensors: Any) -> Any:
        layer = kind(**(config() if callable(config) else config))
        if name in CELLS:
            return L.RNN(layer)(tensors)
        if name == "RandomCrop":  # which leaves the rows whole in inference
            return L.GlobalAveragePooling2D()(layer(tensors))
        if name == "STFTSpectrogram":
            return layer(L.Reshape((32, 1))(tensors))
        if name in ATTENTION:
            return layer([tensors, tensors])
        if name in MULTI_HEAD:
            return layer(tensors, tensors)
        return layer(tensors)

    return call


def _network(data: str, calls: tuple[Any, ...]) -> Any:
    """Each layer on the input, and what is needed to come to the targets."""
    keras.utils.set_random_seed(7)
    rows = TRAIN[data][0]
    inputs = keras.Input(rows.shape[1:], dtype="string" if rows.dtype == object else rows.dtype.name)
    parts = []
    for call in calls:
        found = call(inputs)
        found = L.Flatten()(found) if len(found.shape) > 2 else found
        found = L.Rescaling(0.1)(found) if "int" in found.dtype else found
        parts.append(L.Rescaling(SCALES[data])(found) if data in SCALES else found)
    units, activation, loss = HEADS["real"]
    found = L.Concatenate()(parts) if len(parts) > 1 else parts[0]
    model = keras.Model(inputs, L.Dense(units, activation=activation)(found))
    model.compile(keras.optimizers.SGD(0.05 / len(parts)), loss)
    return settle(model)
