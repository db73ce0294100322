"""Hypermodels of known image networks, with the arguments and the names of hyperparameters that KerasTuner's have.

Labels are one-hot. Where a network has no top, its model is not compiled.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from unitune.adoption.hypermodel import HyperModel
from unitune.errors import OptionError
from unitune.models import backend
from unitune.space.hyperparameters import HyperParameters

EPSILON = 1.001e-5
GROUPS = 32
IMAGE_SIZE = {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "B4": 380, "B5": 456, "B6": 528, "B7": 600}


class _OfImages(HyperModel):
    """A hypermodel whose models take images.

    Args:
        input_shape: Of an image: `(height, width, channel)`.
        input_tensor: A Keras tensor to begin with instead.
        **kwargs: As for `HyperModel`.
    """

    def __init__(self, input_shape: tuple[int, ...] | None, input_tensor: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if input_shape is None and input_tensor is None:
            raise OptionError("either `input_shape` or `input_tensor` must be given", "got neither")
        self.input_shape, self.input_tensor = input_shape, input_tensor

    def _input(self) -> tuple[Any, Any]:
        """What a model begins with, and the images."""
        keras = backend.ensure()
        if self.input_tensor is not None:
            return keras.utils.get_source_inputs(self.input_tensor), self.input_tensor
        images = keras.Input(self.input_shape)
        return images, images


class _Classifier(_OfImages):
    def __init__(
        self,
        include_top: bool = True,
        input_shape: tuple[int, ...] | None = None,
        input_tensor: Any = None,
        classes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(input_shape, input_tensor, **kwargs)
        if include_top and classes is None:
            raise OptionError("`classes` must be given where there is a top", "got `include_top=True` without")
        self.include_top, self.classes = include_top, classes


class HyperResNet(_Classifier):
    """ResNets: version 1, version 2 and ResNeXt.

    Searches `version`, `conv3_depth`, `conv4_depth`, `pooling`, `optimizer` and `learning_rate`.

    Args:
        include_top: Whether the dense layer for the classes is part of it.
        input_shape: Of an image: `(height, width, channel)`.
        input_tensor: A Keras tensor to begin with instead.
        classes: How many, where there is a top.
        **kwargs: As for `HyperModel`.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015; "Identity Mappings in Deep Residual
    Networks", 2016; Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", 2016.
    """

    def build(self, hp: HyperParameters) -> Any:
        """The network of these values."""
        keras = backend.ensure()
        layers = keras.layers
        version = hp.Choice("version", ["v1", "v2", "next"], default="v2")
        conv3, conv4 = hp.Choice("conv3_depth", [4, 8]), hp.Choice("conv4_depth", [6, 23, 36])
        inputs, x = self._input()
        x = layers.ZeroPadding2D(3)(x)
        x = layers.Conv2D(64, 7, strides=2, use_bias=version != "next")(x)
        if version != "v2":
            x = _normed(x)
        x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
        block, widths = {
            "v1": (_block_v1, (64, 128, 256, 512)),
            "v2": (_block_v2, (64, 128, 256, 512)),
            "next": (_block_next, (64, 256, 512, 1024)),
        }[version]
        for number, (width, depth) in enumerate(zip(widths, (3, conv3, conv4, 3), strict=True)):
            # The first stack of version 1, and the last of the others, keep the size.
            stride = 1 if number == (0 if version == "v1" else 3) else 2
            for place in range(depth):
                strided = place == (depth - 1 if version == "v2" else 0)
                x = block(x, width, stride if strided else 1, place == 0)
        if version == "v2":
            x = _normed(x)
        x = _pooled(x, hp.Choice("pooling", ["avg", "max"], default="avg"))
        if not self.include_top:
            return keras.Model(inputs, x, name="ResNet")
        model = keras.Model(inputs, layers.Dense(self.classes, activation="softmax")(x), name="ResNet")
        optimizer = keras.optimizers.get(hp.Choice("optimizer", ["adam", "rmsprop", "sgd"], default="adam"))
        optimizer.learning_rate = hp.Choice("learning_rate", [0.1, 0.01, 0.001], default=0.01)
        return _compiled(model, optimizer)


class HyperXception(_Classifier):
    """Xceptions.

    Searches `activation`, `conv2d_num_filters`, `kernel_size`, `initial_strides`, `sep_num_filters`,
    `num_residual_blocks`, `pooling`, `num_dense_layers`, `dropout_rate`, `dense_use_bn` and `learning_rate`. The
    arguments are those of `HyperResNet`.

    Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2016.
    """

    def build(self, hp: HyperParameters) -> Any:
        """The network of these values."""
        keras = backend.ensure()
        layers = keras.layers
        activation = hp.Choice("activation", ["relu", "selu"])
        inputs, x = self._input()
        filters = hp.Choice("conv2d_num_filters", [32, 64, 128], default=64)
        size = hp.Choice("kernel_size", [3, 5])
        strides = hp.Choice("initial_strides", [2])
        x = _activated(x, layers.Conv2D, activation, filters, size, strides=strides)
        filters = hp.Int("sep_num_filters", 128, 768, step=128, default=256)
        for _ in range(hp.Int("num_residual_blocks", 2, 8, default=4)):
            short = x if x.shape[-1] == filters else layers.Conv2D(filters, 1, padding="same")(x)
            x = layers.add([_separable(x, filters, activation), short])
        short = layers.Conv2D(2 * filters, 1, strides=2, padding="same")(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(_separable(x, 2 * filters, activation))
        x = _pooled(layers.add([x, short]), hp.Choice("pooling", ["avg", "flatten", "max"]))
        if not self.include_top:
            return keras.Model(inputs, x, name="Xception")
        depth = hp.Int("num_dense_layers", 1, 3)
        rate = hp.Float("dropout_rate", 0.0, 0.6, step=0.1, default=0.5)
        normalizes = hp.Choice("dense_use_bn", [True, False])
        for _ in range(depth):
            initializer = "lecun_normal" if activation == "selu" else "glorot_uniform"
            x = layers.Dense(self.classes, activation=activation, kernel_initializer=initializer)(x)
            if normalizes and activation == "relu":
                x = layers.BatchNormalization()(x)
            if rate:
                x = layers.Dropout(rate)(x)
        model = keras.Model(inputs, layers.Dense(self.classes, activation="softmax")(x), name="Xception")
        return _compiled(model, keras.optimizers.Adam(hp.Choice("learning_rate", [1e-3, 1e-4, 1e-5])))


class HyperEfficientNet(_OfImages):
    """EfficientNets B0 to B7 with the weights that Keras has for them, behind a resizing.

    Searches `version`, `pooling`, `top_dropout_rate` and `learning_rate`.

    Args:
        input_shape: Of an image: `(height, width, channel)`.
        input_tensor: A Keras tensor to begin with instead.
        classes: How many.
        augmentation_model: A model or a `HyperModel` that the images pass through first.
        **kwargs: As for `HyperModel`.

    Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...] | None = None,
        input_tensor: Any = None,
        classes: int | None = None,
        augmentation_model: Any = None,
        **kwargs: Any,
    ) -> None:
        known = augmentation_model is None or callable(augmentation_model) or hasattr(augmentation_model, "build")
        if not known:
            raise OptionError("`augmentation_model` must be a model or a `HyperModel`", f"got {augmentation_model!r}")
        if not classes:
            raise OptionError("`classes` must be given", f"got {classes!r}")
        super().__init__(input_shape, input_tensor, **kwargs)
        self.classes, self.augmentation_model = classes, augmentation_model

    def build(self, hp: HyperParameters) -> Any:
        """The network of these values."""
        keras = backend.ensure()
        layers = keras.layers
        inputs, x = self._input()
        augments = self.augmentation_model
        if augments is not None:
            x = (augments if isinstance(augments, keras.Model) else augments.build(hp))(x)
        version = hp.Choice("version", list(IMAGE_SIZE), default="B0")
        size = IMAGE_SIZE[version]
        x = layers.Resizing(size, size, interpolation="bilinear")(x)
        base = getattr(keras.applications, f"EfficientNet{version}")(include_top=False, input_tensor=x)
        x = _pooled(base.output, hp.Choice("pooling", ["avg", "max"], default="avg"))
        x = layers.Dropout(hp.Float("top_dropout_rate", 0.2, 0.8, step=0.2, default=0.2))(x)
        model = keras.Model(inputs, layers.Dense(self.classes, activation="softmax")(x), name="EfficientNet")
        self._compile(model, hp)
        return model

    def _compile(self, model: Any, hp: HyperParameters) -> None:
        """Compiles a model; to be overridden."""
        rate = hp.Choice("learning_rate", [0.1, 0.01, 0.001], default=0.01)
        _compiled(model, backend.ensure().optimizers.SGD(momentum=0.1, learning_rate=rate))


class HyperImageAugment(_OfImages):
    """Augmentations of images, for `HyperEfficientNet` or in front of any model.

    Searches `augment_layers`, and `factor_rotate`, `factor_translate_x`, `factor_translate_y` and `factor_contrast`.

    Args:
        input_shape: Of an image: `(height, width, channel)`.
        input_tensor: A Keras tensor to begin with instead.
        rotate: The largest share of a turn, in [0, 1], or the bounds of it; None for no rotations.
        translate_x, translate_y, contrast: Likewise: shares of width and height, and of the contrast.
        augment_layers: How many transformations an image may pass through, each drawn for it at random (RandAugment):
            a number, or the bounds of it. 0 lets every image pass through all of them.
        **kwargs: As for `HyperModel`.

    Source: Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", 2019.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...] | None = None,
        input_tensor: Any = None,
        rotate: Any = 0.5,
        translate_x: Any = 0.4,
        translate_y: Any = 0.4,
        contrast: Any = 0.3,
        augment_layers: Any = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(input_shape, input_tensor, **kwargs)
        given = {"rotate": rotate, "translate_x": translate_x, "translate_y": translate_y, "contrast": contrast}
        self.transforms = [(name, _bounds(name, value, 0, int | float)) for name, value in given.items() if value]
        self.model_name = "image_rand_augment" if augment_layers else "image_augment"
        if augment_layers:
            self.augment_layers_min, self.augment_layers_max = _bounds("augment_layers", augment_layers, 1, int)

    def build(self, hp: HyperParameters) -> Any:
        """A model from images to images."""
        keras = backend.ensure()
        inputs, x = self._input()
        if self.model_name == "image_rand_augment":
            low, high = self.augment_layers_min, self.augment_layers_max
            for _ in range(hp.Int("augment_layers", low, high, default=low)):
                factors = {name: hp.Float(f"factor_{name}", *ends, default=ends[0]) for name, ends in self.transforms}
                x = _rand_augment()(factors)(x)
        else:
            for name, (low, high) in self.transforms:
                factor = hp.Float(f"factor_{name}", low, high, step=0.05, default=low)
                if factor:
                    x = _transform(name, factor)(x)
        return keras.Model(inputs, x, name=self.model_name)


def _bounds(name: str, value: Any, low: float, kind: Any) -> tuple[Any, Any]:
    ends = tuple(value) if isinstance(value, list | tuple) else (low, value)
    if len(ends) != 2 or not all(isinstance(one, kind) for one in ends):
        raise OptionError(f"`{name}` must be a number or a pair of them", f"got {value!r}")
    return ends


def _transform(name: str, factor: float) -> Any:
    layers = backend.ensure().layers
    return {
        "rotate": lambda: layers.RandomRotation(factor),
        "translate_x": lambda: layers.RandomTranslation(0, factor),
        "translate_y": lambda: layers.RandomTranslation(factor, 0),
        "contrast": lambda: layers.RandomContrast(factor),
    }[name]()


@cache
def _rand_augment() -> Any:
    keras = backend.ensure()

    class RandAugment(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """Passes each image through one transformation, drawn at random."""

        def __init__(self, factors: dict[str, float], **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factors = dict(factors)
            self.transforms = [_transform(name, factor) if factor else None for name, factor in factors.items()]
            self.generator = keras.random.SeedGenerator()

        def call(self, inputs: Any, training: bool = True) -> Any:
            ops, n = keras.ops, len(self.transforms)
            drawn = keras.random.randint((ops.shape(inputs)[0], 1, 1, 1), 0, n, seed=self.generator)
            x = inputs
            for number, transform in enumerate(self.transforms):
                if transform is not None:
                    x = ops.where(ops.equal(drawn, number), transform(x, training=training), x)
            return x

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factors": self.factors}

    return keras.saving.register_keras_serializable(package="unitune")(RandAugment)


def _compiled(model: Any, optimizer: Any) -> Any:
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def _pooled(x: Any, pooling: str) -> Any:
    layers = backend.ensure().layers
    kinds = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D, "flatten": layers.Flatten}
    return kinds[pooling]()(x)


def _normed(x: Any, activation: str | None = "relu") -> Any:
    keras = backend.ensure()
    axis = 3 if keras.config.image_data_format() == "channels_last" else 1
    x = keras.layers.BatchNormalization(axis=axis, epsilon=EPSILON)(x)
    return x if activation is None else keras.layers.Activation(activation)(x)


def _block_v1(x: Any, filters: int, stride: int, widens: bool) -> Any:
    layers = backend.ensure().layers
    short = _normed(layers.Conv2D(4 * filters, 1, strides=stride)(x), None) if widens else x
    x = _normed(layers.Conv2D(filters, 1, strides=stride)(x))
    x = _normed(layers.Conv2D(filters, 3, padding="same")(x))
    x = _normed(layers.Conv2D(4 * filters, 1)(x), None)
    return layers.Activation("relu")(layers.Add()([short, x]))


def _block_v2(x: Any, filters: int, stride: int, widens: bool) -> Any:
    layers = backend.ensure().layers
    before = _normed(x)
    if widens:
        short = layers.Conv2D(4 * filters, 1, strides=stride)(before)
    else:
        short = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = _normed(layers.Conv2D(filters, 1, use_bias=False)(before))
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False)(layers.ZeroPadding2D(1)(x))
    return layers.Add()([short, layers.Conv2D(4 * filters, 1)(_normed(x))])


def _block_next(x: Any, filters: int, stride: int, widens: bool) -> Any:
    layers = backend.ensure().layers
    wide = 64 // GROUPS * filters
    short = _normed(layers.Conv2D(wide, 1, strides=stride, use_bias=False)(x), None) if widens else x
    x = _normed(layers.Conv2D(filters, 1, use_bias=False)(x))
    # KerasTuner writes the convolution of groups as one of depth whose outputs are added up in each group.
    x = layers.Conv2D(filters, 3, strides=stride, groups=GROUPS, use_bias=False)(layers.ZeroPadding2D(1)(x))
    x = _normed(layers.Conv2D(wide, 1, use_bias=False)(_normed(x)), None)
    return layers.Activation("relu")(layers.Add()([short, x]))


def _activated(x: Any, kind: Any, activation: str, filters: int, size: int, **settings: Any) -> Any:
    """A convolution with what goes with its activation: SELU normalizes by itself."""
    layers = backend.ensure().layers
    if activation == "selu":
        names = ("kernel",) if kind is layers.Conv2D else ("depthwise", "pointwise")
        settings |= {f"{name}_initializer": "lecun_normal" for name in names}
        return kind(filters, size, padding="same", activation="selu", **settings)(x)
    x = layers.BatchNormalization()(kind(filters, size, padding="same", use_bias=False, **settings)(x))
    return layers.Activation("relu")(x)


def _separable(x: Any, filters: int, activation: str) -> Any:
    kind = backend.ensure().layers.SeparableConv2D
    return _activated(_activated(x, kind, activation, filters, 3), kind, activation, filters, 3)
