"""What users write themselves: losses, metrics, layers, models and steps; and what they ask of `compile` and `fit`."""

from .rows import AHEAD, BINARY, DIGITS, GRAY, KINDS, NUMBERS, SERIES, TABLE, case

KIND = "by kind"


def _regression(hp, loss="mse", layers=(), optimizer="adam", **settings):
    import keras

    hidden = keras.layers.Dense(hp.Int("units", 4, 8), activation=hp.Choice("f", ["relu", "tanh"]))
    model = keras.Sequential([keras.Input((4,)), hidden, *layers, keras.layers.Dense(1)])
    model.compile(optimizer, loss, **settings)
    return model


def _classes(hp, *layers, optimizer="adam", **settings):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 4, 8), "relu"), *layers])
    model.add(keras.layers.Dense(3, "softmax"))
    model.compile(optimizer, "sparse_categorical_crossentropy", **settings)
    return model


# Of their own ---------------------------------------------------------------------------------------------------------


@case("own loss and metric", TABLE, NUMBERS, kind=KIND)
def own_loss(hp):
    from keras import ops

    def pinball(y, p):
        return ops.mean(ops.maximum(0.3 * (y - p), -0.7 * (y - p)), axis=-1)

    def within(y, p):
        return ops.mean(ops.cast(ops.abs(y - p) < 1.0, "float32"), axis=-1)

    return _regression(hp, pinball, metrics=[within, "mae"])


@case("own root of the mean square", TABLE, NUMBERS, kind=KIND, solo="gives one number for a batch")
def own_root(hp):
    import keras

    def rmse(y, p):
        return keras.ops.sqrt(keras.ops.mean(keras.ops.square(p - y)))

    return _regression(hp, rmse)


@case("own activation", TABLE, NUMBERS, kind=KIND)
def own_activation(hp):
    import keras

    def squared(x):
        return keras.ops.square(keras.ops.relu(x))

    return _regression(hp, layers=[keras.layers.Dense(5, activation=squared)])


@case("own layer without weights, Lambda", TABLE, NUMBERS, kind=KIND)
def weightless(hp):
    import keras

    class Scaled(keras.layers.Layer):
        def __init__(self, factor=2.0, **settings):
            super().__init__(**settings)
            self.factor = factor

        def call(self, x):
            return keras.ops.tanh(x) * self.factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    return _regression(hp, layers=[Scaled(1.5), keras.layers.Lambda(lambda x: x + 1.0)])


@case("own layer with weights", TABLE, NUMBERS, kind=KIND, solo="has no fused form")
def with_weights(hp):
    import keras

    class Linear(keras.layers.Layer):
        def __init__(self, units=4, **settings):
            super().__init__(**settings)
            self.units = units

        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform")
            super().build(shape)

        def call(self, x):
            return keras.ops.matmul(x, self.w)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return _regression(hp, layers=[Linear(3)])


@case("subclassed model", TABLE, NUMBERS, kind=KIND)
def subclassed(hp):
    import keras

    class Network(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.hidden, self.out = keras.layers.Dense(units, "relu"), keras.layers.Dense(1)

        def call(self, x):
            return self.out(self.hidden(x))

    model = Network(hp.Int("units", 4, 8))
    model.compile("adam", "mse", metrics=["mae"])
    return model


@case("own train_step", TABLE, NUMBERS, kind=KIND, solo="`compute_loss` of its own")
def own_step(hp):
    import keras

    class Doubled(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return 2.0 * super().compute_loss(x, y, y_pred, sample_weight, training=training)

    entry = keras.Input((4,))
    model = Doubled(entry, keras.layers.Dense(1)(keras.layers.Dense(hp.Int("units", 4, 8), "relu")(entry)))
    model.compile("adam", "mse")
    return model


@case("own optimizer", TABLE, NUMBERS, kind=KIND, solo="optimizer")
def own_optimizer(hp):
    import keras

    class Halved(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate * 0.5)

    return _regression(hp, optimizer=Halved(hp.Choice("lr", [0.01, 0.1])))


# What `compile` is told -----------------------------------------------------------------------------------------------


@case("metrics by every name", TABLE, NUMBERS, kind=KIND)
def names(hp):
    named = ["mae", "MSE", "mape", "msle", "cosine_similarity", "root_mean_squared_error", "r2_score"]
    return _regression(hp, "log_cosh", metrics=named)


@case("weighted metrics", TABLE, KINDS, kind=KIND)
def weighted(hp):
    return _classes(hp, weighted_metrics=["accuracy"])


@case("gradients accumulated", TABLE, KINDS, kind=KIND)
def accumulated(hp):
    import keras

    return _classes(hp, optimizer=keras.optimizers.Adam(0.01, gradient_accumulation_steps=2), metrics=["accuracy"])


@case("gradients clipped, weights averaged", TABLE, KINDS, kind=KIND)
def clipped(hp):
    import keras

    optimizer = keras.optimizers.Adam(hp.Choice("lr", [0.01, 0.001]), clipnorm=1.0, use_ema=True)
    return _classes(hp, optimizer=optimizer, metrics=["accuracy"])


@case("mixed precision", TABLE, KINDS, kind=KIND, solo="dtype")
def mixed(hp):
    import keras

    half = keras.layers.Dense(6, "relu", dtype="mixed_float16")
    return _classes(hp, half, metrics=["accuracy"])


@case("focal loss, label smoothing", TABLE, BINARY[:, None], kind=KIND)
def focal(hp):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 4, 8), "relu")])
    model.add(keras.layers.Dense(1, "sigmoid"))
    losses = [keras.losses.BinaryFocalCrossentropy(), keras.losses.BinaryCrossentropy(label_smoothing=0.1)]
    model.compile("adam", losses[hp.Choice("loss", [0, 1])], metrics=["binary_accuracy"])
    return model


@case("activity regularizer", TABLE, KINDS, kind=KIND)
def activity(hp):
    import keras

    return _classes(hp, keras.layers.Dense(4, activity_regularizer="l2"), metrics=["accuracy"])


# What `fit` is told ---------------------------------------------------------------------------------------------------


def _batches():
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            chosen = slice(index * 16, index * 16 + 16)
            return TABLE[chosen], KINDS[chosen]

    return (Batches(),)


def _held_out():
    return {"validation_data": (TABLE[:12], KINDS[:12])}


@case("PyDataset", _batches, kind=KIND, fit=_held_out)
def sequence(hp):
    return _classes(hp, metrics=["accuracy"])


def _generated():
    def forever():
        while True:
            yield TABLE[:16], KINDS[:16]

    return (forever(),)


@case(
    "generator", _generated, kind=KIND, solo="steps_per_epoch",
    fit=lambda: {"steps_per_epoch": 2, "validation_data": (TABLE[:12], KINDS[:12])},
)  # fmt: skip
def generator(hp):
    return _classes(hp, metrics=["accuracy"])


def _two_stops():
    import keras

    stops = [keras.callbacks.EarlyStopping("val_loss", patience=2), keras.callbacks.EarlyStopping("loss", patience=1)]
    return {"callbacks": [*stops, keras.callbacks.TerminateOnNaN()], "epochs": 4}


@case("two EarlyStoppings", TABLE, KINDS, kind=KIND, fit=_two_stops)
def stopped_twice(hp):
    return _classes(hp, metrics=["accuracy"])


def _callbacks():
    import tempfile

    import keras

    folder = tempfile.mkdtemp()
    callbacks = keras.callbacks
    return {
        "callbacks": [
            callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True),
            callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_lr=1e-6),
            callbacks.CSVLogger(f"{folder}/log.csv"),
            callbacks.TensorBoard(f"{folder}/board"),
            callbacks.ModelCheckpoint(f"{folder}/best.keras", monitor="val_loss", save_best_only=True),
        ]
    }


@case("callbacks of every kind", TABLE, KINDS, kind=KIND, fit=_callbacks)
def called_back(hp):
    return _classes(hp, metrics=["accuracy"])


def _own_callback():
    import keras

    class Printed(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.last = dict(logs or {})

    return {"callbacks": [Printed()]}


@case("own callback", TABLE, KINDS, kind=KIND, fit=_own_callback, solo="callback")
def called_own(hp):
    return _classes(hp, metrics=["accuracy"])


def _windows():
    from unitune import keras_tuner

    class Windows(keras_tuner.RandomSearch):
        def run_trial(self, trial, x, y, **fit):
            return super().run_trial(trial, x[:, -trial.hyperparameters.Choice("window", [4, 8]) :], y, **fit)

    return Windows


@case("run_trial with a window", SERIES, AHEAD[:, 0], kind=KIND, tuner=_windows)
def window(hp):
    import keras

    model = keras.Sequential([keras.Input((hp.Choice("window", [4, 8]), 3)), keras.layers.LSTM(hp.Int("units", 3, 5))])
    model.add(keras.layers.Dense(1))
    model.compile("adam", "mse")
    return model


@case("a label for each pixel", GRAY, (GRAY[..., 0] > 0).astype("int32"), kind=KIND)
def pixels(hp):
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((12, 12, 1)), layers.Conv2D(hp.Int("f", 2, 4, 2), 3, padding="same")])
    model.add(layers.Conv2D(2, 1, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@case("nested Sequential", SERIES, DIGITS, kind=KIND)
def nested(hp):
    import keras
    from keras import layers

    head = keras.Sequential(
        [layers.Dense(hp.Int("units", 4, 8), "relu"), layers.Dropout(0.2), layers.Dense(3, "softmax")]
    )
    model = keras.Sequential([keras.Input((8, 3)), layers.LSTM(4), head])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
