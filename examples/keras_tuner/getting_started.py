"""KerasTuner's first guide, on the digits inside scikit-learn: only the import is another."""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import unitune.keras_tuner as keras_tuner

digits = load_digits()
x_train, x_val, y_train, y_val = train_test_split(digits.images / 16, digits.target, test_size=0.25, random_state=0)


def build_model(hp):
    model = keras.Sequential()
    model.add(layers.Flatten())
    for i in range(hp.Int("num_layers", 1, 3)):
        units = hp.Int(f"units_{i}", min_value=32, max_value=128, step=32)
        model.add(layers.Dense(units=units, activation=hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(10, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    kind = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[
        hp.Choice("optimizer", ["adam", "rmsprop"])
    ]
    model.compile(
        optimizer=kind(learning_rate=learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


tuner = keras_tuner.RandomSearch(
    hypermodel=build_model,
    objective="val_accuracy",
    max_trials=12,
    executions_per_trial=2,
    seed=0,
    overwrite=True,
    directory="my_dir",
    project_name="helloworld",
)
tuner.search_space_summary()
tuner.search(x_train, y_train, epochs=4, validation_data=(x_val, y_val))
tuner.results_summary(num_trials=1)

model = tuner.get_best_models(num_models=1)[0]
loss, accuracy = model.evaluate(x_val, y_val, verbose=0)
print("Each execution's score, and their mean:")
print(tuner.results()[["score", "score_1", "score_2", "num_layers", "engine"]].to_string())
