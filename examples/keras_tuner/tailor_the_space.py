"""KerasTuner's guide to tailoring a space without touching the function, on the digits inside scikit-learn."""

import keras
from keras import layers
from sklearn.datasets import load_digits

import unitune.keras_tuner as keras_tuner

x, y = load_digits(return_X_y=True)
x = x / 16


def build_model(hp):
    model = keras.Sequential([keras.Input((64,))])
    model.add(layers.Dense(hp.Int("units", 16, 128, step=16), activation=hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(0.25))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def searched(name, hp, **settings):
    settings |= {"hyperparameters": hp, "directory": "my_dir", "project_name": name}
    tuner = keras_tuner.RandomSearch(build_model, "val_accuracy", 3, seed=0, overwrite=True, **settings)
    tuner.search(x, y, epochs=2, validation_split=0.2, verbose=0)
    return tuner


# 1. One hyperparameter is fixed, all others are searched.
hp = keras_tuner.HyperParameters()
hp.Fixed("learning_rate", value=3e-3)
first = searched("fixed", hp, tune_new_entries=True)
assert set(first.results()["learning_rate"]) == {3e-3}

# 2. Another range for one, the defaults for all others.
hp = keras_tuner.HyperParameters()
hp.Float("learning_rate", 1e-3, 1e-2, sampling="log")
second = searched("one", hp, tune_new_entries=False)
assert set(second.results()["units"]) <= {16}

# 3. The model is compiled anew: what the function says of optimizer, loss and metrics is replaced.
third = searched("compiled", None, optimizer="rmsprop", metrics=["accuracy", "sparse_top_k_categorical_accuracy"])

print("Validation accuracy, a mean over the rows:")
for tuner in (first, second, third):
    print(tuner.results()[["score", "units", "activation", "dropout", "learning_rate", "engine"]].to_string())
