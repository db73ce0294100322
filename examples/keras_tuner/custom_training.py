"""KerasTuner's guide to a training loop of one's own, on the wine table inside scikit-learn.

The loop lives in `HyperModel.fit`. It is given the callbacks that save and report: calling them is what keeps the model
of the best epoch.
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import unitune.keras_tuner as keras_tuner

x, y = load_wine(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(scale(x).astype("float32"), y, test_size=0.3, random_state=0)


class OwnLoop(keras_tuner.HyperModel):
    def build(self, hp):
        units = hp.Int("units", 8, 32, step=8)
        return keras.Sequential([keras.Input((13,)), layers.Dense(units, activation="relu"), layers.Dense(3)])

    def fit(self, hp, model, x, y, validation_data, callbacks=(), epochs=3, **kwargs):
        batch_size = hp.Int("batch_size", 16, 48, step=16)
        loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        # `train_on_batch` is the part of a step that belongs to the backend; the order of the rows is ours.
        model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")), loss_of)
        for callback in callbacks:
            callback.set_model(model)
        order, best = np.random.default_rng(0), float("inf")
        for epoch in range(epochs):
            rows = order.permutation(len(x))
            for first in range(0, len(x), batch_size):
                batch = rows[first : first + batch_size]
                model.train_on_batch(x[batch], y[batch])
            val_loss = float(loss_of(validation_data[1], model(validation_data[0], training=False)))
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"my_loss": val_loss})
            best = min(best, val_loss)
        return best


tuner = keras_tuner.RandomSearch(
    OwnLoop(),
    objective=keras_tuner.Objective("my_loss", "min"),
    max_trials=3,
    seed=0,
    overwrite=True,
    directory="my_dir",
    project_name="custom_training",
)
tuner.search(x_train, y_train, validation_data=(x_val, y_val), verbose=0)

model = tuner.get_best_models()[0]
accuracy = np.mean(np.argmax(model(x_val), axis=1) == y_val)
print(f"The mean accuracy of the best model: {accuracy:.3f}")
print(tuner.results()[["score", "units", "batch_size", "learning_rate"]].to_string())
