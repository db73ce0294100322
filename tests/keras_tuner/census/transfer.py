"""Frozen bases, autoencoders, networks of many branches, and what is done to images and masks."""

import numpy as np

from .rows import AHEAD, BINARY, COLOR, DIGITS, GRAY, KINDS, OBJECTS, SERIES, TABLE, TOKENS, case

KIND = "by kind"

# Frozen bases ---------------------------------------------------------------------------------------------------------


def _base(**settings):
    import keras

    return keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), include_top=False, weights=None, alpha=0.35, **settings
    )


@case("a frozen base, nested", COLOR, OBJECTS, kind=KIND)
def nested(hp):
    import keras
    from keras import layers

    base = _base()
    base.trainable = False
    entry = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 127.5, offset=-1)(entry), training=False))
    x = layers.Dense(hp.Int("units", 4, 8, 4), activation=hp.Choice("activation", ["relu", "tanh"]))(x)
    x = layers.Dropout(hp.Float("dropout", 0.0, 0.4, 0.2))(x)
    model = keras.Model(entry, layers.Dense(2, "softmax")(x))
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("a frozen base, flat", COLOR, OBJECTS, kind=KIND)
def flat(hp):
    import keras
    from keras import layers

    base = _base(pooling="avg")
    for layer in base.layers:
        layer.trainable = False
    x = layers.Dense(hp.Int("units", 4, 8, 4), activation="relu")(base.output)
    model = keras.Model(inputs=base.input, outputs=layers.Dense(1, "sigmoid")(x))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


@case("a frozen base in a Sequential", COLOR, OBJECTS, kind=KIND)
def in_a_row(hp):
    import keras

    base = _base(pooling="max")
    base.trainable = False
    model = keras.Sequential([base, keras.layers.BatchNormalization(), keras.layers.Dense(hp.Int("u", 4, 8), "relu")])
    model.add(keras.layers.Dense(2, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("frozen first layers", GRAY, DIGITS, kind=KIND)
def first_layers(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((12, 12, 1)), layers.Conv2D(4, 3, trainable=False, activation="relu")])
    model.add(layers.Conv2D(hp.Int("filters", 2, 4, 2), 3))
    model.add(layers.Flatten())
    model.add(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("frozen in the middle", TABLE, KINDS, kind=KIND)
def middle(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((4,)), layers.Dense(hp.Int("units", 4, 8), "relu")])
    model.add(layers.Dense(6, "relu", trainable=False))
    model.add(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("frozen or not, by trial", GRAY, DIGITS, kind=KIND)
def by_trial(hp):
    import keras
    from keras import layers

    inner = keras.Sequential(
        [keras.Input((12, 12, 1)), layers.Conv2D(3, 3), layers.BatchNormalization(), layers.ReLU()]
    )
    inner.trainable = hp.Boolean("fine_tune")
    model = keras.Sequential([inner, layers.Flatten(), layers.Dense(hp.Int("units", 4, 8), "relu")])
    model.add(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("augmented, before a frozen base", COLOR, OBJECTS, kind=KIND, solo="draws at random")
def augmented_base(hp):
    import keras
    from keras import layers

    base = _base(pooling="avg")
    base.trainable = False
    entry = keras.Input((32, 32, 3))
    x = layers.RandomFlip("horizontal")(entry)
    x = base(layers.RandomRotation(0.1)(x), training=False)
    model = keras.Model(entry, layers.Dense(2, "softmax")(layers.Dense(hp.Int("units", 4, 8), "relu")(x)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# Autoencoders ---------------------------------------------------------------------------------------------------------


@case("autoencoder", TABLE, TABLE, kind=KIND)
def autoencoder(hp):
    import keras
    from keras import layers

    entry = keras.Input((4,))
    code = layers.Dense(hp.Int("code", 1, 3), "relu", activity_regularizer=keras.regularizers.l1(1e-5))(entry)
    model = keras.Model(entry, layers.Dense(4, "linear")(code))
    model.compile("adam", "mse")
    return model


@case("autoencoder of two models", TABLE, TABLE, kind=KIND)
def two_models(hp):
    import keras
    from keras import layers

    units = hp.Int("units", 4, 8)
    encoder = keras.Sequential([keras.Input((4,)), layers.Dense(units, "relu"), layers.Dense(2)], name="encoder")
    decoder = keras.Sequential([keras.Input((2,)), layers.Dense(units, "relu"), layers.Dense(4)], name="decoder")
    entry = keras.Input((4,))
    model = keras.Model(entry, decoder(encoder(entry)))
    model.compile("adam", "mse", metrics=["mae"])
    return model


@case("convolutional autoencoder with noise", GRAY, GRAY, kind=KIND)
def denoising(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((12, 12, 1)), layers.GaussianNoise(hp.Float("noise", 0.05, 0.2))])
    model.add(layers.Conv2D(hp.Int("filters", 2, 4, 2), 3, activation="relu", padding="same", strides=2))
    model.add(layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"))
    model.add(layers.Conv2D(1, 3, padding="same"))
    model.compile("adam", "mse")
    return model


@case("recurrent autoencoder", SERIES, SERIES, kind=KIND)
def recurrent(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((8, 3)), layers.LSTM(hp.Int("units", 3, 5)), layers.RepeatVector(8)])
    model.add(layers.LSTM(4, return_sequences=True))
    model.add(layers.TimeDistributed(layers.Dense(3)))
    model.compile(optimizer="adam", loss="mae")
    return model


# Branches -------------------------------------------------------------------------------------------------------------


@case("temporal convolutions", SERIES, SERIES[:, -1, :1], kind=KIND)
def temporal(hp):
    import keras
    from keras import layers

    entry = x = keras.Input((8, 3))
    filters = hp.Choice("filters", [4, 6])
    for dilation in (1, 2):
        before = layers.Conv1D(filters, 1)(x) if x.shape[-1] != filters else x
        x = layers.Conv1D(filters, 3, padding="causal", dilation_rate=dilation, activation="relu")(x)
        x = layers.LayerNormalization()(layers.SpatialDropout1D(0.1)(x))
        x = layers.Add()([x, before])
    model = keras.Model(entry, layers.Dense(1)(x[:, -1, :]))
    model.compile("adam", "mse")
    return model


@case("Inception", GRAY, DIGITS, kind=KIND)
def inception(hp):
    import keras
    from keras import layers

    entry = keras.Input((12, 12, 1))
    n = hp.Int("filters", 2, 4, 2)
    one = layers.Conv2D(n, 1, padding="same", activation="relu")(entry)
    three = layers.Conv2D(n, 3, padding="same", activation="relu")(layers.Conv2D(2, 1, activation="relu")(entry))
    pool = layers.Conv2D(n, 1, padding="same")(layers.MaxPooling2D(3, strides=1, padding="same")(entry))
    x = layers.GlobalAveragePooling2D()(layers.Concatenate(axis=-1)([one, three, pool]))
    model = keras.Model(entry, layers.Dense(3, "softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("U-Net", GRAY, (GRAY > 0).astype("float32"), kind=KIND)
def u_net(hp):
    import keras
    from keras import layers

    entry = keras.Input((12, 12, 1))
    n = hp.Int("filters", 2, 4, 2)
    down = layers.Conv2D(n, 3, padding="same", activation="relu")(entry)
    x = layers.Conv2D(n * 2, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(down))
    x = layers.Conv2DTranspose(n, 2, strides=2, padding="same")(x)
    x = layers.Conv2D(n, 3, padding="same", activation="relu")(layers.concatenate([x, down]))
    model = keras.Model(entry, layers.Conv2D(1, 1, activation="sigmoid")(x))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


@case("ConvLSTM", np.repeat(GRAY[:, None, ::2, ::2], 3, axis=1), DIGITS, kind=KIND, solo="no fused form")
def conv_lstm(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((3, 6, 6, 1)), layers.ConvLSTM2D(hp.Int("filters", 2, 3), 3)])
    model.add(layers.Flatten())
    model.add(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("attention", SERIES, DIGITS, kind=KIND)
def attention(hp):
    import keras
    from keras import layers

    entry = x = keras.Input((8, 3))
    for _ in range(hp.Int("blocks", 1, 2)):
        seen = layers.MultiHeadAttention(num_heads=hp.Choice("heads", [1, 2]), key_dim=2)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(seen))
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dense(3)(layers.Dense(6, "relu")(x)))
    model = keras.Model(entry, layers.Dense(3, "softmax")(layers.GlobalAveragePooling1D()(x)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# Masks, images, normalization -----------------------------------------------------------------------------------------


@case("embedding with a mask, LSTM", TOKENS, DIGITS, kind=KIND)
def masked(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((10,)), layers.Embedding(20, hp.Choice("dim", [3, 6]), mask_zero=True)])
    model.add(layers.LSTM(hp.Int("units", 3, 5)))
    model.add(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


MASKED = SERIES * (np.arange(8) < 6)[None, :, None]


@case("Masking", MASKED, AHEAD[:, 0], kind=KIND)
def masking(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((8, 3)), layers.Masking(mask_value=0.0), layers.GRU(hp.Int("u", 3, 5))])
    model.add(layers.Dense(1))
    model.compile("adam", "mse")
    return model


@case("dropout of states", SERIES, AHEAD[:, 0], kind=KIND)
def of_states(hp):
    import keras
    from keras import layers

    rate = hp.Choice("rate", [0.1, 0.3])
    model = keras.Sequential([keras.Input((8, 3)), layers.LSTM(4, dropout=rate, recurrent_dropout=rate)])
    model.add(layers.Dense(1))
    model.compile("adam", "mse")
    return model


@case("augmentation", COLOR, OBJECTS, kind=KIND, solo="draws at random")
def augmented(hp):
    import keras
    from keras import layers

    entry = keras.Input((32, 32, 3))
    x = layers.RandomZoom(0.1)(layers.RandomFlip()(entry))
    x = layers.MaxPooling2D(4)(layers.Conv2D(hp.Int("filters", 2, 4, 2), 3, activation="relu")(x))
    model = keras.Model(entry, layers.Dense(2, "softmax")(layers.Flatten()(x)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("adapted Normalization", TABLE * 3 + 2, BINARY, kind=KIND)
def normalized(hp):
    import keras
    from keras import layers

    normalization = layers.Normalization()
    normalization.adapt(TABLE * 3 + 2)
    model = keras.Sequential([keras.Input((4,)), normalization, layers.Dense(hp.Int("units", 4, 8), "relu")])
    model.add(layers.Dense(1, "sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model
