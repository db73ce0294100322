"""KerasTuner's guide to a convolutional network, on the digits inside scikit-learn."""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import unitune.keras_tuner as keras_tuner

digits = load_digits()
images = digits.images[..., None] / 16
x_train, x_val, y_train, y_val = train_test_split(images, digits.target, test_size=0.25, random_state=0)


def build_model(hp):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(hp.Int("filters_1", 8, 16, step=4), 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(hp.Int("filters_2", 8, 16, step=4), 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(hp.Int("units", 16, 64, step=16), activation=hp.Choice("activation", ["relu", "tanh"])),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(hp.Choice("learning_rate", [1e-2, 1e-3])),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


tuner = keras_tuner.Hyperband(
    build_model, objective="val_accuracy", max_epochs=4, factor=4, seed=0, overwrite=True, directory="my_dir"
)
tuner.search(x_train, y_train, validation_data=(x_val, y_val))

best = tuner.get_best_hyperparameters()[0]
model = tuner.hypermodel.build(best)
model.fit(images, digits.target, epochs=4, verbose=0)
print("Accuracy is a mean over the rows:")
print(tuner.results().head()[["score", "filters_1", "filters_2", "units", "engine", "engine_reason"]].to_string())
