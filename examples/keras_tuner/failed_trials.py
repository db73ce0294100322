"""KerasTuner's guide to trials that fail, on the iris inside scikit-learn.

A trial that raises is tried again as often as `max_retries_per_trial` says; `FailedTrialError` says that this would be
of no use. As many failures in a row as `max_consecutive_failed_trials` end the search.
"""

import keras
from keras import layers
from sklearn.datasets import load_iris

import unitune.keras_tuner as keras_tuner

x, y = load_iris(return_X_y=True)


def build_model(hp):
    model = keras.Sequential([keras.Input((4,))])
    for i in range(hp.Int("layers", 1, 3)):
        model.add(layers.Dense(hp.Int(f"units_{i}", 8, 64, step=8), activation="relu"))
    model.add(layers.Dense(3, activation="softmax"))
    if model.count_params() > 3_000:
        raise keras_tuner.errors.FailedTrialError(f"{model.count_params()} parameters are too many.")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


tuner = keras_tuner.RandomSearch(
    build_model,
    objective="val_accuracy",
    max_trials=6,
    max_retries_per_trial=1,
    max_consecutive_failed_trials=8,
    seed=0,
    overwrite=True,
    directory="my_dir",
    project_name="failed_trials",
)
tuner.search(x, y, epochs=2, folds=2, verbose=0)
print("Scores are means over the folds:")
print(tuner.results().to_string())

# Larger models than this need no function of ours to fail: `max_model_size` refuses them.
tuner = keras_tuner.RandomSearch(
    build_model, "val_accuracy", 3, max_model_size=500, seed=0, overwrite=True, directory="my_dir", project_name="small"
)
tuner.search(x, y, epochs=2, validation_split=0.2, verbose=0)
print(tuner.results()[["status", "score"]].to_string())
