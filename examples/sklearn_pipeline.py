"""A scikit-learn pipeline whose network is searched with all candidates trained together: units, activation, rate."""

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from unitune.sklearn import FusedGridSearchCV, KerasMLPClassifier

x, y = load_breast_cancer(return_X_y=True, as_frame=True)
pipeline = Pipeline([("scale", StandardScaler()), ("mlp", KerasMLPClassifier(random_state=0))])
grid = {
    "mlp__units": [16, 64, 256],
    "mlp__activation": ["relu", "tanh", "gelu"],
    "mlp__learning_rate": [1e-3, 1e-2],
}
search = FusedGridSearchCV(pipeline, grid, cv=5, scoring="neg_log_loss").fit(x, y)

table = pd.DataFrame(search.cv_results_).sort_values("rank_test_score")
print(table[["param_mlp__units", "param_mlp__activation", "mean_test_score", "std_test_score"]].head().to_string())
print("The best:", search.best_params_)
