"""
05 A reproducible split and four models
=======================================

One split that anybody can repeat, four models of the catalogue, the same held-out customers for
all, and the one-column baseline that each has to beat.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import RocCurveDisplay, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from rfmrisk import ProxyLabeler, RFMAggregator, customer_features, rewind, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.metrics import population_stability_index, risk_report
from rfmrisk.training import CATALOGUE

histories = to_histories(make_transactions(n_customers=3_000, random_state=0))
past = rewind(histories, "30D")
labeler = make_pipeline(RFMAggregator(window="30D"), ProxyLabeler()).fit(histories)
y = pd.Series(labeler.predict(histories.loc[past.index]), index=past.index)

# %%
# The split
# ---------
# A row is a customer, so an ordinary split puts every customer on one side. It is stratified by the
# label and seeded: histories are sorted by customer, so the order of the log's rows does not
# matter, and the same seed gives the same customers.
train, test, y_train, y_test = train_test_split(
    past, y, test_size=0.25, stratify=y, random_state=42
)
print(f"{len(train):,} customers to train on, {len(test):,} held out, none in both:")
print(f"high-risk {y_train.mean():.1%} and {y_test.mean():.1%}")

# %%
# Four models
# -----------
# Each is one pipeline from histories to a probability: features, encoding and scaling are fitted on
# the training customers only. The features are the same for all, so they are computed once here.
features = customer_features().fit(train)
table_train, table_test = features.transform(train), features.transform(test)
models = {}
for name in ("scorecard", "logistic_regression", "decision_tree", "xgboost"):
    models[name] = CATALOGUE[name].make(0).fit(table_train, y_train)
probability = {name: model.predict_proba(table_test)[:, 1] for name, model in models.items()}

# %%
# One call gives every figure of a model; the recency alone stands last, as a ranking (it is no
# probability, so it has no Brier score).
figures = ["roc_auc", "gini", "ks", "pr_auc", "brier", "log_loss", "precision", "recall"]
report = pd.DataFrame(
    {name: risk_report(y_test, p, threshold=y_train.mean()) for name, p in probability.items()}
).loc[figures]
recency = table_test["rfm__recency"]
report.loc["roc_auc", "recency alone"] = roc_auc_score(y_test, recency)
report.T.round(3)

# %%
figure, (roc, calibration) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
for name, p in probability.items():
    RocCurveDisplay.from_predictions(y_test, p, name=name, ax=roc, curve_kwargs={"linewidth": 1.3})
    CalibrationDisplay.from_predictions(
        y_test, p, n_bins=8, strategy="quantile", name=name, ax=calibration, markersize=4
    )
RocCurveDisplay.from_predictions(
    y_test, recency, name="recency alone", ax=roc, curve_kwargs={"color": "black", "linestyle": ":"}
)
roc.legend(loc="lower right", fontsize="small")
roc.set(title="Ranking", xlabel="share of goods above", ylabel="share of bads above")
calibration.legend(loc="upper left", fontsize="small")
calibration.set(title="Calibration", xlabel="predicted", ylabel="observed")

# %%
# How sure is the difference?
# ---------------------------
# Held-out customers are a sample. Drawn again 500 times, with replacement, the differences to the
# scorecard spread as follows: where the whiskers hold 0, a winner cannot be named. Here that is
# true of all, and of the recency alone: who will stay away is mostly known by who stays away.
rng = np.random.default_rng(0)
truth = y_test.to_numpy()
draws = [rng.integers(len(truth), size=len(truth)) for _ in range(500)]
base = np.array([roc_auc_score(truth[rows], probability["scorecard"][rows]) for rows in draws])
risks = {**probability, "recency alone": recency.to_numpy()}
del risks["scorecard"]
figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
for place, risk in enumerate(risks.values()):
    gain = np.array([roc_auc_score(truth[rows], risk[rows]) for rows in draws]) - base
    low, middle, high = np.quantile(gain, [0.025, 0.5, 0.975])
    axis.errorbar(middle, place, xerr=[[middle - low], [high - middle]], fmt="o", color="#2a7f9e")
axis.axvline(0, color="#c8553d", linewidth=1)
axis.set_yticks(range(len(risks)), risks)
axis.set(xlabel="ROC-AUC less that of the scorecard", ylim=(-0.6, len(risks) - 0.4))

# %%
# Does it score the held-out customers as it did the others? A population stability index under 0.1
# says that both samples spread over the same scores.
reference = models["scorecard"].predict_proba(table_train)[:, 1]
print(f"PSI {population_stability_index(reference, probability['scorecard']):.3f}")
