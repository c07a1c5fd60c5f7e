"""
04 Target and features, and why time matters
============================================

The label is joined to features to train a model. Made from the *same* days as the features, the
label is a function of them, and the model learns its definition. Here the leak is shown, then
cured.
"""

import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline

from rfmrisk import (
    ProxyLabeler,
    RFMAggregator,
    SpendAggregator,
    leakage_report,
    rewind,
    rolling_origin,
    to_histories,
)
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import LeakageDisplay, RollingOriginDisplay

log = make_transactions(n_customers=2_000, random_state=0)
histories = to_histories(log)
forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0)

# %%
# The leak
# --------
# The usual script: RFM over the whole log, clusters, the label copied onto every transaction, and
# a model of rows of that same log. It looks wonderful.
rfm = RFMAggregator().fit_transform(histories)
label = pd.Series(ProxyLabeler().fit_predict(rfm), index=rfm.index)
rows = log[["Amount", "Value", "PricingStrategy", "CustomerId"]].join(rfm, on="CustomerId")
y_rows = rows["CustomerId"].map(label)
X_rows = rows.drop(columns="CustomerId")
train, test = train_test_split(rows.index, test_size=0.3, random_state=0, stratify=y_rows)
fast = RandomForestClassifier(20, min_samples_leaf=5, random_state=0)
fast.fit(X_rows.loc[train], y_rows[train])
naive = roc_auc_score(y_rows[test], fast.predict_proba(X_rows.loc[test])[:, 1])
seen = rows.loc[test, "CustomerId"].isin(rows.loc[train, "CustomerId"]).mean()
print(f"AUC {naive:.4f}; {seen:.1%} of the test rows are of a customer seen in training")

# %%
# One row per customer takes the second half of the mistake away, and hardly changes the AUC: the
# label still is a function of the features.
model = make_pipeline(RFMAggregator(), forest)
same_days = cross_val_predict(model, histories, label, cv=5, method="predict_proba")[:, 1]
print(f"AUC by customer {roc_auc_score(label, same_days):.4f}")

# %%
# The package has an alarm for it.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    leak = leakage_report(
        model, histories, label, outcome_from=histories["as_of"] - pd.Timedelta("180D")
    )
print(leak.verdict)

# %%
# The cure
# --------
# Features come from before a cut-off, the label from after it.
#
# 1. ``rewind`` gives the customers as they were known 30 days earlier: the features.
# 2. RFM over those 30 days, clustered, gives their label: what followed.
# 3. The two are joined by the customer, which is the index of both.
past = rewind(histories, "30D")
labeler = make_pipeline(RFMAggregator(window="30D"), ProxyLabeler()).fit(histories)
y = pd.Series(labeler.predict(histories.loc[past.index]), index=past.index, name="is_high_risk")
features = SpendAggregator(windows=("30D", "90D", None), stats=("sum", "count", "trend"))
features.fit_transform(past).join(y).head()

# %%
# What a model can say of the future is less, and true. Beside it stand the one-column baselines:
# the gain over recency alone is what the model is worth.
honest = make_pipeline(RFMAggregator(), forest)
report = leakage_report(honest, past, y, outcome_from=past["as_of"])
report

# %%
# On one axis: the cure takes the model from certainty to a little above what the recency knows.
figure, axes = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained", sharex=True)
left, right = axes
for axis, made in zip(axes, (leak, report), strict=True):
    # Recency and frequency are among the baselines already, with their intervals.
    others = made.features.drop(["recency", "frequency"])
    LeakageDisplay(report=replace(made, features=others)).plot(ax=axis)
left.set_title("Label from the same days")
right.set_title("Label from the 30 days after")

# %%
# Would it have worked in other months?
# -------------------------------------
# One cut-off is one sample of time. ``rolling_origin`` moves it: trained on decisions whose outcome
# was known by then, tested on the next.
backtest = rolling_origin(histories, outcome="30D", n=4)
aucs = {}
for number, (train, test) in enumerate(backtest):
    fitted = honest.fit(backtest.histories.iloc[train], backtest.y[train])
    risk = fitted.predict_proba(backtest.histories.iloc[test])[:, 1]
    aucs[number] = roc_auc_score(backtest.y[test], risk)
backtest.table.assign(auc=pd.Series(aucs).round(3))

# %%
figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
RollingOriginDisplay(splits=backtest).plot(ax=axis)
plt.show()
