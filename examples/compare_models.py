"""Three networks of your own, trained on the same rows and compared side by side: 64 or 256 units, relu or tanh."""

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import unitune

x, y = load_breast_cancer(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.3, stratify=y, random_state=0)
scaler = StandardScaler().fit(x_train)  # a network's inputs are of order 1, or its tanh is saturated from the start
x_train, x_val = scaler.transform(x_train), scaler.transform(x_val)

keras.utils.set_random_seed(0)  # for the models' own first weights
Dense, Sequential = keras.layers.Dense, keras.Sequential
models = {
    "relu-64": Sequential([Dense(64, "relu"), Dense(1, "sigmoid")]),
    "relu-256": Sequential([Dense(256, "relu"), Dense(1, "sigmoid")]),
    "tanh-64": Sequential([Dense(64, "tanh"), Dense(1, "sigmoid")]),
}
for model in models.values():
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])

result = unitune.compare(models, x_train, y_train, validation_data=(x_val, y_val), epochs=10)
table = result.table()[["model", "mean", "expected", "low", "high", "p_best", "expected_loss", "pick"]]
print(table.round(3).to_string())
print(*result.conclusion, sep="\n")
