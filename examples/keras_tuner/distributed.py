"""KerasTuner's guide to distributed tuning, on the digits inside scikit-learn.

Its chief and workers over gRPC are not there. What they are for is done in three ways: trials are trained together in
one process, one model is spread over several devices with a `tf.distribute.Strategy`, and a search over several
machines runs on Ray (`python distributed.py ray`).
"""

import sys

import keras
from keras import layers
from sklearn.datasets import load_digits

import unitune
import unitune.keras_tuner as keras_tuner

x, y = load_digits(return_X_y=True)
x = x / 16


def build_model(hp):
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(hp.Int("units", 16, 64, step=16), activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(hp.Choice("learning_rate", [1e-2, 1e-3])),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # Each trial is built and trained by plain `fit` under the strategy, on all devices that it names.
    tuner = keras_tuner.RandomSearch(
        build_model,
        "val_accuracy",
        2,
        distribution_strategy=tf.distribute.MirroredStrategy(["CPU:0"]),
        seed=0,
        overwrite=True,
        directory="my_dir",
        project_name="mirrored",
    )
    tuner.search(x, y, epochs=1, validation_split=0.2, verbose=0)
    print(tuner.results()[["score", "units", "learning_rate", "engine_reason"]].to_string())

# The same function on the threads of this machine, or on the workers of a Ray cluster.
executor = "ray" if "ray" in sys.argv[1:] else "threads"
result = unitune.tune(build_model, x, y, trials=4, folds=2, epochs=2, seed=0, executor=executor, progress=False)
print("Scores are means over the folds:")
print(result.table()[["mean", "units", "learning_rate"]].to_string())
