"""KerasTuner's guide to TensorBoard: its callback is told of every epoch of every trial.

Keras writes events with the package `tensorboard`; where that is not installed, the same numbers go to a table.
"""

import importlib.util

import keras
from keras import layers
from sklearn.datasets import load_digits

import unitune.keras_tuner as keras_tuner

x, y = load_digits(return_X_y=True)
x = x / 16


def build_model(hp):
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(hp.Int("units", 16, 64, step=16), activation=hp.Choice("activation", ["relu", "tanh"])),
            layers.Dropout(hp.Float("dropout", 0.0, 0.5, step=0.25)),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


tuner = keras_tuner.RandomSearch(
    build_model, "val_accuracy", 4, seed=0, overwrite=True, directory="my_dir", project_name="visualize"
)
callbacks = [keras.callbacks.CSVLogger("log.csv", append=True)]
if importlib.util.find_spec("tensorboard") is not None:
    callbacks.append(keras.callbacks.TensorBoard("my_dir/logs"))  # then: tensorboard --logdir my_dir/logs
tuner.search(x, y, epochs=2, validation_split=0.2, callbacks=callbacks, verbose=0)

print("The log of all trials, whose values are means over the rows:")
with open("log.csv") as file:
    print(file.read())
print(tuner.results()[["score", "units", "activation", "dropout", "engine"]].to_string())
