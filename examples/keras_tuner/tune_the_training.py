"""KerasTuner's guide to tuning the training: batch size and preprocessing are hyperparameters of `HyperModel.fit`."""

import keras
from keras import layers
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

import unitune.keras_tuner as keras_tuner

x, y = load_wine(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.3, stratify=y, random_state=0)


class MyHyperModel(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential()
        units = hp.Int("units", min_value=16, max_value=64, step=16)
        model.add(layers.Dense(units=units, activation="relu"))
        model.add(layers.Dense(3, activation="softmax"))
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        if hp.Boolean("normalize", default=True):
            x_val, y_val = validation_data
            validation_data = ((x_val - x.mean(axis=0)) / x.std(axis=0), y_val)
            x = (x - x.mean(axis=0)) / x.std(axis=0)
        return model.fit(
            x, y, validation_data=validation_data, batch_size=hp.Choice("batch_size", [8, 16, 32]), **kwargs
        )


tuner = keras_tuner.BayesianOptimization(
    MyHyperModel(),
    objective=keras_tuner.Objective("val_loss", "min"),
    max_trials=12,
    seed=0,
    overwrite=True,
    directory="my_dir",
    project_name="tune_fit",
)
tuner.search(
    x_train,
    y_train,
    epochs=8,
    validation_data=(x_val, y_val),
    callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=3)],
)

best_hps = tuner.get_best_hyperparameters(5)
print("The best batch size:", best_hps[0]["batch_size"])
print("The loss is a mean over the rows:")
print(tuner.results().head()[["score", "units", "normalize", "batch_size", "engine"]].to_string())
