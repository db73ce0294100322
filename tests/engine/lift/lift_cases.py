"""Networks that hold every lift between them: what the fused engine is held against plain Keras with.

Each family is built in two or three sizes that share a program, so that the smaller ones are padded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from unitune.data.arrays import Split

TOLERANCE = {"float32": 2e-5, "float64": 1e-10}

FULL = os.environ.get("UNITUNE_PARITY") == "full"

# From a name to: how the model is built from its size, the sizes, and the kind of rows.
Build = Callable[[Any, int], Any]


def classifier(keras: Any, inputs: Any, hidden: Any) -> Any:
    """A softmax over three classes."""
    return keras.Model(inputs, keras.layers.Dense(3, "softmax")(hidden))


def cnn(keras: Any, n: int) -> Any:
    """A small CNN: filters and units vary, and go through `Flatten`."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(2 + n, 3, activation="relu", padding="same", kernel_regularizer="l1"),
            layers.MaxPooling2D(),
            layers.Conv2D(3 + n, 3, activation="sigmoid", bias_regularizer="l2"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(4 + 2 * n, "relu", kernel_regularizer="l1", kernel_constraint="max_norm"),
            layers.Dense(3, "softmax"),
        ]
    )


def images(keras: Any, n: int) -> Any:
    """The other layers of images."""
    layers = keras.layers
    entry = keras.Input((8, 8, 2))
    x = layers.Conv2D(2 + n, (3, 2), strides=2, padding="same", use_bias=False)(entry)
    x = layers.BatchNormalization(momentum=0.7)(x)
    x = layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_uniform")(x)
    x = layers.SpatialDropout2D(0.4)(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="softplus")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.SeparableConv2D(3 + n, 2, padding="same", activation="tanh", depthwise_regularizer="l2")(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.Conv2DTranspose(2 + n, 3, strides=2, padding="same", activation="elu")(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    x = layers.Conv2D(4, 2, dilation_rate=2, activation="gelu")(x)
    x = layers.Conv2D(4, 2, padding="same", groups=2, kernel_regularizer="l2")(x)
    x = layers.GroupNormalization(2)(x)
    flat = layers.Flatten()(layers.Conv2D(1 + n, 1)(x))
    pooled = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    return classifier(keras, entry, layers.Concatenate()([*pooled, flat]))


def residual(keras: Any, n: int) -> Any:
    """Sums, products and joins of branches of varying width, and a layer that is called twice."""
    layers = keras.layers
    entry = keras.Input((5,))
    first = layers.Dense(4 + n, "relu")(entry)
    shared = layers.Dense(4 + n, "tanh", kernel_regularizer="l2")
    branch = layers.BatchNormalization(momentum=0.8)(shared(first))
    total = layers.Add()([first, branch])
    total = layers.LayerNormalization()(layers.Activation("sigmoid")(total))
    other = layers.Dense(3 + n, "softplus")(entry)
    joined = layers.Concatenate()([total, other, layers.Multiply()([total, first])])
    joined = layers.RMSNormalization()(joined)
    joined = layers.Dropout(0.2)(joined)
    again = layers.Maximum()([shared(total), layers.Average()([total, branch])])
    again = layers.Minimum()([again, layers.Subtract()([first, branch])])
    hidden = layers.Concatenate()([joined, again])
    hidden = layers.Dense(5, "relu", kernel_regularizer="l1")(hidden)
    return classifier(keras, entry, hidden + keras.ops.sin(hidden))


def two_inputs(keras: Any, n: int) -> Any:
    """Numbers and words."""
    layers = keras.layers
    numbers, words = keras.Input((5,), name="numbers"), keras.Input((6,), dtype="int32", name="words")
    table = layers.Embedding(9, 3 + n, embeddings_regularizer="l2")(words)
    pooled = layers.GlobalAveragePooling1D()(table)
    hidden = layers.Dense(4 + n, "gelu")(numbers)
    return classifier(keras, [numbers, words], layers.Concatenate()([hidden, pooled]))


def recurrent(keras: Any, n: int) -> Any:
    """An LSTM classifier, and its relatives."""
    layers = keras.layers
    entry = keras.Input((10, 3))
    x = layers.LSTM(3 + n, return_sequences=True, kernel_regularizer="l1")(entry)
    x = layers.MaxPooling1D(2)(x)
    x = layers.GRU(2 + n, return_sequences=True, recurrent_regularizer="l2", go_backwards=True)(x)
    x = layers.Bidirectional(layers.GRU(2 + n, return_sequences=True, reset_after=False, bias_regularizer="l2"))(x)
    x = layers.Bidirectional(layers.SimpleRNN(3 + n), merge_mode="ave")(x)
    return classifier(keras, entry, x)


def attention(keras: Any, n: int) -> Any:
    """A block of a transformer."""
    layers = keras.layers
    entry = keras.Input((6, 4))
    x = layers.Dense(4 + n)(entry)
    attended = layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, attended]))
    causal = layers.MultiHeadAttention(1, 2, use_bias=False)(x, x, use_causal_mask=True)
    x = layers.Add()([x, causal])
    inner = layers.Dropout(0.2)(layers.Dense(5 + n, "gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, layers.Dense(4 + n)(inner)]))
    return classifier(keras, entry, layers.GlobalAveragePooling1D()(x))


def sequences(keras: Any, n: int) -> Any:
    """Convolution over a sequence, noise, equations, other shapes, and layers by the general rule."""
    layers = keras.layers
    entry = keras.Input((10, 3))
    x = layers.GaussianNoise(0.1)(entry)
    x = layers.Conv1D(3 + n, 3, padding="causal", activation="selu", dilation_rate=2)(x)
    x = layers.AlphaDropout(0.2)(x)
    x = layers.SeparableConv1D(3 + n, 3, depth_multiplier=1)(x)
    x = layers.Conv1DTranspose(2 + n, 2, strides=2, padding="valid")(x)
    x = layers.AveragePooling1D(2)(x)
    x = layers.Cropping1D(1)(layers.GaussianDropout(0.2)(x))
    kept = layers.Flatten()(layers.GaussianDropout(0.1)(layers.DepthwiseConv1D(2)(x)))
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d", activation="relu")(
        layers.Conv1D(4, 1)(x)
    )
    x = layers.Permute((2, 1))(x)
    x = layers.Reshape((6, 4))(x)
    x = layers.UnitNormalization()(layers.Rescaling(0.5, offset=0.1)(x))
    x = layers.Lambda(keras.ops.square)(x)
    x = layers.Flatten()(layers.Softmax()(x))
    x = layers.Concatenate()([layers.Dense(3 + n)(x), kept])
    repeated = layers.RepeatVector(2)(layers.Dense(2 + n, "relu")(x))
    return classifier(keras, entry, layers.Flatten()(repeated))


def volumes(keras: Any, n: int) -> Any:
    """Three axes of places."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((4, 4, 4, 1)),
            layers.Conv3D(2 + n, 2, activation="relu"),
            layers.Conv3DTranspose(2 + n, 2),
            layers.SpatialDropout3D(0.3),
            layers.ZeroPadding3D(1),
            layers.GlobalMaxPooling3D(),
            layers.Dense(3, "softmax"),
        ]
    )


def outputs(keras: Any, n: int) -> Any:
    """A trunk of varying width with three outputs, two of which share a further layer."""
    layers = keras.layers
    entry = keras.Input((5,))
    trunk = layers.Dropout(0.2)(layers.Dense(4 + n, "sigmoid", kernel_regularizer="l2")(entry))
    sick = layers.Dense(1, "sigmoid", name="sick")(trunk)
    further = layers.Dense(3 + n, "softplus")(trunk)
    kind = layers.Dense(3, "softmax", name="kind")(further)
    size = layers.Dense(2, name="size")(layers.Concatenate()([trunk, further]))
    return keras.Model(entry, [sick, kind, size])


def normalised(keras: Any, n: int) -> Any:
    """A multilayer perceptron with batch normalization."""
    layers = keras.layers
    hidden = [(layers.Dense(4 + n + i), layers.BatchNormalization(), layers.Activation("relu")) for i in range(2)]
    chain = [layer for block in hidden for layer in block]
    return keras.Sequential([keras.Input((5,)), *chain, layers.Dense(3, "softmax")])


FAMILIES: dict[str, tuple[Build, tuple[int, ...], str]] = {
    "cnn": (cnn, (0, 2, 1), "image"),
    "images": (images, (0, 2), "image2"),
    "residual": (residual, (0, 3, 1), "flat"),
    "two_inputs": (two_inputs, (0, 2), "two"),
    "recurrent": (recurrent, (0, 2), "sequence"),
    "attention": (attention, (0, 2), "words"),
    "sequences": (sequences, (0, 2), "sequence"),
    "volumes": (volumes, (0, 2), "volume"),
    "normalised": (normalised, (0, 2), "flat"),
    "outputs": (outputs, (0, 2), "several"),
}


def compile_arguments(name: str, n: int) -> dict[str, Any]:
    """The losses and metrics of a family; those of several outputs differ, and the weights of losses by member."""
    if name != "outputs":
        return {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    return {
        "loss": {"size": "mse", "sick": "binary_crossentropy", "kind": "sparse_categorical_crossentropy"},
        "loss_weights": {"kind": 1.0, "size": 0.3 + n, "sick": 0.5},
        "metrics": {"sick": ["accuracy"], "kind": "accuracy", "size": ["mae", "mse"]},
    }


def share(backend: str) -> list[tuple[str, str]]:
    """The types and families of a backend's worker: nearly all in one type, and a few in the other.

    Batch normalization in float32 is left out: its rounding grows from step to step.
    """
    if backend == "tensorflow":
        return [("float64", name) for name in FAMILIES] + [
            ("float32", name) for name in ("cnn", "attention", "outputs")
        ]
    left_out = ("normalised",) if FULL else ("normalised", "volumes", "residual")
    return [
        *(("float32", name) for name in FAMILIES if name not in left_out),
        ("float64", "normalised"),
        ("float64", "outputs"),
    ]


def is_exhaustive(backend: str, dtype: str, name: str) -> bool:
    """Whether a family is left to `make test-all`: on JAX all but those in which that backend has code of its own, and
    those whose layers the catalogue and a family that stays have, too."""
    if backend == "tensorflow":
        return dtype == "float32" or name in ("images", "volumes")
    return name not in ("cnn", "recurrent", "attention")


def compared(backend: str, name: str) -> tuple[int, ...]:
    """The sizes that are held against Keras: compiling `fit` takes long on JAX, so there only the narrowest is."""
    sizes = FAMILIES[name][1]
    return sizes if FULL or backend == "tensorflow" else sizes[:1]


def rows(kind: str, n: int, rng: np.random.Generator) -> Any:
    """`n` random rows of a kind."""
    shapes = {
        "image": (8, 8, 1),
        "image2": (8, 8, 2),
        "flat": (5,),
        "several": (5,),
        "sequence": (10, 3),
        "words": (6, 4),
        "volume": (4, 4, 4, 1),
    }
    if kind == "two":
        return rng.normal(size=(n, 5)), rng.integers(0, 9, size=(n, 6)).astype("int32")
    return rng.normal(size=(n, *shapes[kind]))


def make_split(kind: str, dtype: str) -> Split:
    """24 rows to train on in batches of 10 (the last is smaller), 7 to look at.

    For several outputs the rows are weighted, and there are 17 to look at.
    """

    def cast(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(cast(one) for one in x)
        return x if x.dtype.kind == "i" else x.astype(dtype)

    rng = np.random.default_rng(5)
    x_train, x_val = cast(rows(kind, 24, rng)), cast(rows(kind, 7, rng))
    y = rng.integers(0, 3, size=31).astype("int32")
    if kind == "several":
        targets = (cast(1.0 * (y[:, None] > 0)), y, cast(rng.normal(size=(31, 2))))
        return Split(
            fold=0,
            repeat=0,
            x_train=x_train,
            y_train=tuple(one[:24] for one in targets),
            x_val=cast(rows(kind, 17, rng)),
            y_val=tuple(one[:17] for one in targets),
            w_train=cast(rng.uniform(0.5, 2.0, size=24)),
        )
    return Split(fold=0, repeat=0, x_train=x_train, y_train=y[:24], x_val=x_val, y_val=y[24:])
