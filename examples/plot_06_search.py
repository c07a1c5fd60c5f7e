"""
06 Grid and random search
=========================

Histories are an ordinary frame and every estimator keeps scikit-learn's rules, so its own searches
work from the transaction log on: over the windows of the features, the bins, the labeler.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import loguniform, randint
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline

from rfmrisk import (
    ProxyLabeler,
    ProxyTargetClassifier,
    RFMAggregator,
    WOEEncoder,
    customer_features,
    rewind,
    to_histories,
)
from rfmrisk.datasets import make_transactions
from rfmrisk.training import train

histories = to_histories(make_transactions(n_customers=1_000, random_state=0))
past = rewind(histories, "30D")
labeler = make_pipeline(RFMAggregator(window="30D"), ProxyLabeler()).fit(histories)
y = labeler.predict(histories.loc[past.index])

# %%
# A grid over the whole pipeline
# ------------------------------
# The first step makes 64 features from the log, the second bins them, the third weighs them.
# Parameters of each are searched at once, with three folds of customers.
model = make_pipeline(customer_features(), WOEEncoder(), LogisticRegression(max_iter=1_000))
grid = GridSearchCV(
    model,
    {
        "customerfeatures__spend__windows": [("30D", None), ("14D", "60D", None)],
        "woeencoder__max_bins": [3, 6],
        "logisticregression__C": [0.01, 1.0],
    },
    scoring="roc_auc",
    cv=3,
).fit(past, y)
print(f"best {grid.best_score_:.4f} with")
for name, value in grid.best_params_.items():
    print(f"  {name} = {value}")

# %%
table = pd.DataFrame(grid.cv_results_)
spread = table.assign(
    label=[
        f"{p['customerfeatures__spend__windows'][0]}…, {p['woeencoder__max_bins']} bins, "
        f"C={p['logisticregression__C']:g}"
        for p in table["params"]
    ]
).sort_values("mean_test_score")
figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
axis.errorbar(
    spread["mean_test_score"],
    spread["label"],
    xerr=spread["std_test_score"] / np.sqrt(3),
    fmt="o",
    color="#2a7f9e",
)
axis.set(xlabel="ROC-AUC, mean of three folds and its standard error", title="All candidates")

# %%
# The whiskers overlap: the search has found a region, not a point. That is the usual result, and a
# reason to take the simplest of the good ones.
#
# A random search
# ---------------
# Distributions instead of lists: eight draws look at eight values of C, not at two.
random = RandomizedSearchCV(
    model,
    {
        "woeencoder__max_bins": randint(2, 9),
        "woeencoder__min_bin_size": [0.03, 0.05, 0.1],
        "logisticregression__C": loguniform(1e-3, 1e1),
    },
    n_iter=8,
    scoring="roc_auc",
    cv=3,
    random_state=0,
).fit(past, y)
found = pd.DataFrame(random.cv_results_)
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
dots = axis.scatter(
    found["param_logisticregression__C"].astype(float),
    found["mean_test_score"],
    c=found["param_woeencoder__max_bins"].astype(int),
    cmap="viridis",
)
axis.set(xscale="log", xlabel="C", ylabel="ROC-AUC", title="Eight draws")
figure.colorbar(dots, label="bins")
print(f"grid {grid.best_score_:.4f} in 8 candidates, random {random.best_score_:.4f} in 8")

# %%
# Searching without a target
# --------------------------
# :class:`rfmrisk.ProxyTargetClassifier` derives its own target inside each fold, so ``fit`` needs
# no ``y``. Its labeler can be searched like anything else; but a better score here only means a
# label that is easier to predict, so change the label for reasons, not for scores.
risk = ProxyTargetClassifier(model, outcome="30D")
alone = GridSearchCV(risk, {"classifier__woeencoder__max_bins": [3, 6]}, cv=2).fit(histories)
pd.DataFrame(alone.cv_results_)[["params", "mean_test_score"]]

# %%
# All in one call
# ---------------
# ``train`` does what the command ``rfmrisk train`` does: it derives the target, holds customers
# out, searches every model, and judges the best of each on the held-out ones.
result = train(histories, models=["scorecard", "xgboost"], search="random", n_iter=4, cv=3)
result.metrics[["roc_auc", "ks", "brier"]].round(3)

# %%
plt.show()
