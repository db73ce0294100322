"""What a search of public code finds: dense networks, convolutions, recurrent ones, text, several inputs, outputs."""

import numpy as np

from .rows import BINARY, DIGITS, GRAY, KINDS, NUMBERS, ONE_HOT, SERIES, TABLE, TOKENS, case

# Dense ----------------------------------------------------------------------------------------------------------------


@case("flatten and dense", GRAY, DIGITS)
def flattened(hp):
    import keras

    model = keras.Sequential([keras.layers.Flatten(input_shape=(12, 12, 1))])
    model.add(keras.layers.Dense(units=hp.Int("units", min_value=8, max_value=16, step=8), activation="relu"))
    model.add(keras.layers.Dense(3))
    rate = hp.Choice("learning_rate", values=[1e-2, 1e-3, 1e-4])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate=rate), loss=loss, metrics=["accuracy"])
    return model


@case("layers in a loop", TABLE, KINDS)
def looped(hp):
    import keras

    model = keras.Sequential()
    for i in range(hp.Int("num_layers", 1, 3)):
        act = hp.Choice("act_" + str(i), ["relu", "sigmoid", "tanh"])
        model.add(keras.layers.Dense(units=hp.Int("units_" + str(i), 4, 12, step=4), activation=act))
        if hp.Boolean("dropout"):
            model.add(keras.layers.Dropout(rate=0.25))
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile(hp.Choice("optimizer", ["adam", "sgd"]), "sparse_categorical_crossentropy", ["accuracy"])
    return model


@case("regression", TABLE, NUMBERS[:, 0], settings={"objective": "val_mae"})
def regression(hp):
    import keras

    model = keras.models.Sequential()
    model.add(keras.layers.Input(shape=(4,)))
    model.add(keras.layers.Dense(hp.Int("n", 4, 8), kernel_initializer="he_normal", activation="elu"))
    model.add(keras.layers.Dense(1, activation="linear"))
    model.compile(loss="mean_squared_error", optimizer="rmsprop", metrics=["mae", "mse"])
    return model


@case("optimizer by name, batch normalization", TABLE, BINARY)
def by_name(hp):
    import keras
    from keras import layers

    model = keras.Sequential([layers.Dense(hp.Choice("units", [4, 8])), layers.BatchNormalization()])
    model.add(layers.Activation("relu"))
    model.add(layers.Dropout(hp.Float("rate", 0.1, 0.5, step=0.1)))
    model.add(layers.Dense(1, activation="sigmoid"))
    name = hp.Choice("optimizer", ["adam", "sgd", "rmsprop"])
    rate = hp.Float("lr", 1e-4, 1e-2, sampling="log")
    made = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop}
    model.compile(optimizer=made[name](rate), loss="binary_crossentropy", metrics=["accuracy"])
    return model


@case("regularizers, functional", TABLE, BINARY)
def regularized(hp):
    import keras

    entry = keras.Input(shape=(4,))
    strength = hp.Float("l2", 1e-5, 1e-2, sampling="log")
    x = keras.layers.Dense(8, "relu", kernel_regularizer=keras.regularizers.l2(strength))(entry)
    x = keras.layers.Dense(hp.Int("second", 2, 6), "relu", kernel_regularizer=keras.regularizers.l1_l2(1e-4, 1e-4))(x)
    model = keras.Model(inputs=entry, outputs=keras.layers.Dense(1, "sigmoid")(x))
    model.compile("adam", keras.losses.BinaryCrossentropy(), metrics=[keras.metrics.BinaryAccuracy(name="accuracy")])
    return model


def _hypermodel():
    from unitune import keras_tuner

    class Network(keras_tuner.HyperModel):
        def __init__(self, classes):
            self.classes = classes

        def build(self, hp):
            import keras

            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 4, 8), "relu")])
            model.add(keras.layers.Dense(self.classes, "softmax"))
            model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
            return model

        def fit(self, hp, model, *args, **kwargs):
            size = hp.Choice("batch_size", [8, 16])
            return model.fit(*args, batch_size=size, shuffle=hp.Boolean("shuffle"), **kwargs)

    return Network(3)


case("HyperModel with a batch size", TABLE, ONE_HOT)(_hypermodel)


def _scores():
    import keras

    stop = keras.callbacks.EarlyStopping(monitor="val_auc", patience=2, mode="max", restore_best_weights=True)
    return {"callbacks": [stop]}


@case("precision, recall, area", TABLE, BINARY, fit=_scores)
def scores(hp):
    import keras

    metrics = [keras.metrics.Precision(name="precision"), keras.metrics.Recall(name="recall")]
    metrics += [keras.metrics.AUC(name="auc"), "accuracy"]
    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 4, 8), activation=hp.Choice("f", ["relu", "selu"]))])
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=metrics)
    return model


@case("Hyperband", TABLE, KINDS, tuner="Hyperband", settings={"max_epochs": 3, "objective": "val_accuracy"})
def banded(hp):
    import keras

    model = keras.Sequential([keras.layers.InputLayer(shape=(4,))])
    for i in range(hp.Int("layers", 1, 2)):
        model.add(keras.layers.Dense(hp.Int(f"units{i}", 4, 8, 4), activation="relu"))
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(hp.Choice("lr", [0.01, 0.001])), "sparse_categorical_crossentropy", ["accuracy"]
    )
    return model


@case("BayesianOptimization, momentum", TABLE, NUMBERS, tuner="BayesianOptimization")
def momentum(hp):
    import keras

    model = keras.Sequential([keras.layers.Dense(hp.Int("u", 4, 16, 4), activation=hp.Choice("a", ["relu", "tanh"]))])
    model.add(keras.layers.Dense(1))
    rate = keras.optimizers.schedules.ExponentialDecay(hp.Float("lr", 1e-3, 1e-1, sampling="log"), 10, 0.9)
    model.compile(keras.optimizers.SGD(rate, momentum=hp.Float("m", 0.0, 0.9)), "mse", metrics=["mape"])
    return model


@case("activation layers", TABLE, BINARY, settings={"executions_per_trial": 2})
def leaky(hp):
    import keras
    from keras import layers

    model = keras.Sequential([layers.Dense(6, kernel_initializer=hp.Choice("k", ["glorot_uniform", "he_uniform"]))])
    model.add(layers.LeakyReLU(negative_slope=0.1) if hp.Boolean("leaky") else layers.PReLU())
    model.add(layers.Dense(1, activation=keras.activations.sigmoid))
    model.compile(loss=keras.losses.binary_crossentropy, optimizer=keras.optimizers.Adamax(), metrics=["acc"])
    return model


def _tf_data():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((TABLE, BINARY[:, None])).shuffle(48).batch(16).prefetch(1)
    return (data,)


def _tf_held_out():
    import tensorflow as tf

    return {"validation_data": tf.data.Dataset.from_tensor_slices((TABLE[:16], BINARY[:16, None])).batch(16)}


@case("tf.data", _tf_data, fit=_tf_held_out, tuner="GridSearch")
def piped(hp):
    import keras

    model = keras.Sequential([keras.layers.Dense(hp.Choice("units", [4, 6, 8]), "relu"), keras.layers.Dropout(0.2)])
    model.add(keras.layers.Dense(1, "sigmoid"))
    model.compile("nadam", "binary_crossentropy", metrics=["accuracy"])
    return model


def _frame():
    import pandas as pd

    table = pd.DataFrame(TABLE, columns=list("abcd"))
    return table, pd.Series(NUMBERS[:, 0])


@case("a frame", _frame, settings={"objective": "val_loss"})
def framed(hp):
    import keras

    model = keras.Sequential()
    model.add(keras.layers.Dense(hp.Int("in", 4, 8), activation="relu", input_dim=4))
    model.add(keras.layers.Dense(1, kernel_initializer="normal"))
    model.compile(loss="mae", optimizer="adam", metrics=["mean_absolute_percentage_error", "r2_score"][:1])
    return model


def _weights():
    return {"class_weight": {0: 1.0, 1: 2.5}, "validation_split": 0.25}


@case("class weights", TABLE, BINARY, fit=_weights)
def weighted(hp):
    import keras

    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 4, 8), "swish"), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.AdamW(1e-3, weight_decay=hp.Choice("wd", [1e-4, 1e-2])), "binary_crossentropy")
    return model


def _own_trial():
    from unitune import keras_tuner

    class Sized(keras_tuner.BayesianOptimization):
        def run_trial(self, trial, *args, **kwargs):
            kwargs["batch_size"] = trial.hyperparameters.Int("batch_size", 8, 16, step=8)
            return super().run_trial(trial, *args, **kwargs)

    return Sized


@case("run_trial with a batch size", TABLE, BINARY, tuner=_own_trial)
def sized(hp):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 4, 8), "relu")])
    model.add(keras.layers.Dense(1, "sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


@case("scopes", TABLE, BINARY)
def scoped(hp):
    import keras

    kind = hp.Choice("model_type", ["wide", "deep"])
    model = keras.Sequential([keras.Input((4,))])
    if kind == "wide":
        with hp.conditional_scope("model_type", ["wide"]):
            model.add(keras.layers.Dense(hp.Int("wide_units", 8, 16), "relu"))
    else:
        with hp.conditional_scope("model_type", ["deep"]):
            for _ in range(hp.Int("depth", 2, 3)):
                model.add(keras.layers.Dense(4, "relu"))
    model.add(keras.layers.Dense(1, "sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def _rate_callbacks():
    import keras

    slower = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch < 2 else rate * 0.5)
    return {"callbacks": [slower, keras.callbacks.EarlyStopping(patience=3)]}


@case("rates by epoch", TABLE, KINDS, fit=_rate_callbacks)
def by_epoch(hp):
    import keras

    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 4, 8), "gelu"), keras.layers.LayerNormalization()])
    model.add(keras.layers.Dense(3, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    return model


# Convolutions ---------------------------------------------------------------------------------------------------------


@case("blocks of convolutions", GRAY, DIGITS)
def blocks(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((12, 12, 1))])
    for i in range(hp.Int("conv_blocks", 1, 2)):
        model.add(layers.Conv2D(hp.Int(f"filters_{i}", 2, 4, 2), (3, 3), padding="same", activation="relu"))
        model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Flatten())
    model.add(layers.Dense(hp.Int("dense", 4, 8, 4), activation="relu"))
    model.add(layers.Dropout(hp.Float("dropout", 0, 0.5, 0.25)))
    model.add(layers.Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("kernel sizes, global pooling", GRAY, DIGITS)
def kernels(hp):
    import keras
    from keras import layers

    entry = layers.Input((12, 12, 1))
    x = layers.Conv2D(4, hp.Choice("kernel", [3, 5]), activation="relu", strides=2)(entry)
    x = layers.BatchNormalization()(x)
    pool = hp.Choice("pooling", ["avg", "max"])
    x = layers.GlobalAveragePooling2D()(x) if pool == "avg" else layers.GlobalMaxPooling2D()(x)
    model = keras.Model(entry, layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("separable convolutions", GRAY, DIGITS)
def separable(hp):
    import keras
    from keras import layers

    model = keras.Sequential([layers.Input((12, 12, 1)), layers.SeparableConv2D(hp.Choice("f", [2, 4]), 3)])
    model.add(layers.DepthwiseConv2D(3, padding="same"))
    model.add(layers.ReLU())
    model.add(layers.AveragePooling2D(2))
    model.add(layers.SpatialDropout2D(0.1))
    model.add(layers.Flatten())
    model.add(layers.Dense(3, activation="softmax"))
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("residual blocks, pixels from 0 to 255", GRAY * 255, DIGITS)
def residual(hp):
    import keras
    from keras import layers

    entry = keras.Input((12, 12, 1))
    x = layers.Rescaling(1.0 / 255)(entry)
    x = first = layers.Conv2D(4, 3, padding="same")(x)
    for _ in range(hp.Int("blocks", 1, 2)):
        x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
        x = layers.add([x, first])
    x = layers.Flatten()(layers.MaxPooling2D(3)(x))
    model = keras.Model(entry, layers.Dense(3, "softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("convolutions of a series", SERIES, SERIES[:, -1, :1])
def one_dimensional(hp):
    import keras
    from keras import layers

    model = keras.Sequential()
    model.add(layers.Conv1D(hp.Int("filters", 4, 8, 4), hp.Choice("k", [2, 3]), activation="relu", input_shape=(8, 3)))
    model.add(layers.MaxPooling1D(2))
    model.add(layers.Flatten())
    model.add(layers.Dense(hp.Int("d", 4, 8), activation="relu"))
    model.add(layers.Dense(1))
    model.compile("adam", "mse", metrics=[keras.metrics.RootMeanSquaredError()])
    return model


@case("convolution and LSTM", SERIES, SERIES[:, -1, :1])
def convolution_lstm(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((8, 3)), layers.Conv1D(hp.Choice("f", [4, 8]), 3, activation="relu")])
    model.add(layers.LSTM(hp.Int("units", 3, 5)))
    model.add(layers.Dense(1))
    model.compile("adam", keras.losses.Huber())
    return model


# Recurrent ------------------------------------------------------------------------------------------------------------


@case("stacked LSTM", SERIES, SERIES[:, -1, 0])
def stacked(hp):
    import keras
    from keras import layers

    model = keras.Sequential()
    model.add(layers.LSTM(hp.Int("input_unit", 3, 5), return_sequences=True, input_shape=(8, 3)))
    for i in range(hp.Int("n_layers", 1, 2)):
        model.add(layers.LSTM(hp.Int(f"lstm_{i}_units", 3, 5), return_sequences=True))
    model.add(layers.LSTM(3))
    model.add(layers.Dropout(hp.Float("Dropout_rate", 0, 0.5, step=0.1)))
    model.add(layers.Dense(1, activation=hp.Choice("dense_activation", ["relu", "sigmoid"])))
    model.compile(loss="mean_squared_error", optimizer="adam", metrics=["mse"])
    return model


@case("GRU", SERIES, DIGITS)
def gru(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((8, 3)), layers.GRU(hp.Int("units", 3, 5))])
    model.add(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("bidirectional LSTM", SERIES, DIGITS)
def bidirectional(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((8, 3))])
    model.add(layers.Bidirectional(layers.LSTM(hp.Int("units", 2, 4), return_sequences=True)))
    model.add(layers.Bidirectional(layers.LSTM(3)))
    model.add(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("LSTM or GRU or SimpleRNN", SERIES, SERIES[:, -1, 0])
def kind_of_cell(hp):
    import keras
    from keras import layers

    cell = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}[hp.Choice("cell", ["lstm", "gru", "rnn"])]
    model = keras.Sequential([keras.Input((8, 3)), cell(hp.Int("units", 3, 5)), layers.Dense(1)])
    model.compile("adam", "mse")
    return model


@case("LSTM with dropout", SERIES, SERIES[:, -1, 0])
def dropout_within(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((8, 3)), layers.LSTM(4, dropout=hp.Float("dropout", 0.1, 0.5))])
    model.add(layers.Dense(1))
    model.compile("adam", "mse")
    return model


@case("sequence to sequence", SERIES, SERIES[:, :4, :1])
def sequences(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((8, 3)), layers.LSTM(hp.Int("units", 3, 5), activation="tanh")])
    model.add(layers.RepeatVector(4))
    model.add(layers.LSTM(4, return_sequences=True))
    model.add(layers.TimeDistributed(layers.Dense(1)))
    model.compile("adam", "mse", metrics=["mae"])
    return model


@case("encoder and decoder with states", [SERIES, SERIES[:, :4, :1]], SERIES[:, 4:, :1])
def states(hp):
    import keras
    from keras import layers

    past, seen = keras.Input((8, 3)), keras.Input((4, 1))
    units = hp.Int("units", 3, 5)
    _, hidden, carry = layers.LSTM(units, return_state=True)(past)
    x = layers.LSTM(units, return_sequences=True)(seen, initial_state=[hidden, carry])
    model = keras.Model([past, seen], layers.Dense(1)(x))
    model.compile("rmsprop", "mse")
    return model


# Text -----------------------------------------------------------------------------------------------------------------


@case("embedding and mean", TOKENS, DIGITS // 2)
def embedded(hp):
    import keras
    from keras import layers

    model = keras.Sequential([layers.Embedding(20, hp.Choice("dim", [4, 8])), layers.GlobalAveragePooling1D()])
    model.add(layers.Dense(hp.Int("units", 4, 8), activation="relu"))
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


@case("embedding and bidirectional LSTM", TOKENS, DIGITS)
def embedded_lstm(hp):
    import keras
    from keras import layers

    entry = keras.Input((10,))
    x = layers.Embedding(input_dim=20, output_dim=hp.Int("embed_dim", 4, 8, 4))(entry)
    x = layers.SpatialDropout1D(hp.Float("dropout", 0.0, 0.4))(x)
    x = layers.Bidirectional(layers.LSTM(hp.Int("lstm", 2, 4)))(x)
    model = keras.Model(entry, layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _text():
    import keras

    words = np.array(["a b", "b", "c d", "d e", "e a", "f a", "g", "h"] * 6)
    layer = keras.layers.TextVectorization(max_tokens=12, output_sequence_length=4)
    layer.adapt(words)
    return keras.ops.convert_to_numpy(layer(words)), BINARY


@case("vectors of words, convolution", _text)
def words(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((4,), dtype="int64"), layers.Embedding(12, hp.Int("dim", 3, 6))])
    model.add(layers.Conv1D(4, 2, activation="relu"))
    model.add(layers.GlobalMaxPooling1D())
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    return model


# Several inputs and outputs -------------------------------------------------------------------------------------------


@case("two inputs", {"numbers": TABLE[:32], "series": SERIES}, DIGITS)
def two_inputs(hp):
    import keras
    from keras import layers

    numbers, series = keras.Input((4,), name="numbers"), keras.Input((8, 3), name="series")
    one = layers.Dense(hp.Int("units", 3, 6), "relu")(numbers)
    other = layers.LSTM(hp.Int("lstm", 2, 4))(series)
    out = layers.Dense(3, "softmax")(layers.concatenate([one, other]))
    model = keras.Model({"numbers": numbers, "series": series}, out)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("two outputs", TABLE, {"kind": KINDS, "size": NUMBERS})
def two_outputs(hp):
    import keras
    from keras import layers

    entry = keras.Input((4,))
    x = layers.Dense(hp.Int("units", 4, 8), "relu")(entry)
    outputs = {"kind": layers.Dense(3, "softmax", name="kind")(x), "size": layers.Dense(1, name="size")(x)}
    model = keras.Model(entry, outputs)
    model.compile(
        "adam",
        {"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.5},
        metrics={"kind": ["accuracy"], "size": ["mae"]},
    )
    return model


@case("an embedded column beside numbers", [TABLE[:32], TOKENS[:, :1]], DIGITS // 2)
def entity(hp):
    import keras
    from keras import layers

    numbers, place = keras.Input((4,)), keras.Input((1,), dtype="int32")
    known = layers.Flatten()(layers.Embedding(20, hp.Int("dim", 2, 4))(place))
    x = layers.Concatenate()([numbers, known])
    for i in range(hp.Int("layers", 1, 2)):
        x = layers.Dense(hp.Choice(f"units_{i}", [4, 8]), "relu")(x)
    model = keras.Model([numbers, place], layers.Dense(1, "sigmoid")(x))
    model.compile("adam", "binary_crossentropy", metrics=["AUC"])
    return model
