"""Images: scikit-learn's digits, 8 x 8 pixels, ten classes, with a test set that is looked at once, at the end."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import unitune

digits = load_digits()
images = digits.images[..., None]  # (row, height, width, channel)
x, x_test, y, y_test = train_test_split(images, digits.target, test_size=0.25, stratify=digits.target, random_state=0)

result = unitune.tune(
    x,
    y,
    test_data=(x_test, y_test),
    units=[16, 64],
    activations=["relu", "gelu"],
    layers=[1, 2],
    objective="accuracy",
    folds=3,
    epochs=6,
    seed=0,
)
print(result.table().to_string())
print(result.summary()["recommended"])
