"""A CSV file with text, dates and gaps: write one, tune on it, and predict new rows with the winner."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import unitune

generator = np.random.default_rng(0)
n_rows = 400
area = generator.normal(90, 30, n_rows).round(1)
city = generator.choice(["Bern", "Graz", "Turin"], n_rows)
balcony = generator.random(n_rows) < 0.4
worth = area / 30 + 2.0 * (city == "Bern") + balcony + generator.normal(0, 0.7, n_rows)
homes = pd.DataFrame({"area": area, "city": city, "balcony": balcony, "sold": np.where(worth > 4, "yes", "no")})
homes.loc[::25, "area"] = np.nan

with TemporaryDirectory() as folder:
    path = Path(folder) / "homes.csv"
    homes.to_csv(path, index=False)
    result = unitune.tune(path, target="sold", units=[8, 32], activations=["relu", "tanh"], folds=3, epochs=8, seed=0)

print(result.table().to_string())
print(result.recommended.configuration)
print(result.model().summary())
