"""
08 A scorecard with reasons
===========================

Weight of Evidence, a logistic regression and points: a model that fits on a page, can be added up
by hand, and says what cost a customer most.
"""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from rfmrisk import (
    ProxyLabeler,
    RFMAggregator,
    Scorecard,
    WOEEncoder,
    customer_features,
    rewind,
    to_histories,
)
from rfmrisk.datasets import make_transactions
from rfmrisk.metrics import ks_statistic
from rfmrisk.plotting import WOEDisplay

histories = to_histories(make_transactions(n_customers=3_000, random_state=0))
past = rewind(histories, "30D")
labeler = make_pipeline(RFMAggregator(window="30D"), ProxyLabeler()).fit(histories)
y = pd.Series(labeler.predict(histories.loc[past.index]), index=past.index)
features = customer_features().fit_transform(past)

# %%
# Few columns
# -----------
# A scorecard that is read has few rows. These five say different things: how long absent, how
# often, how much, in which direction, and on how many products.
columns = {
    "rfm__recency": "recency",
    "temporal__active_days": "active_days",
    "spend__amount_sum_30D": "spent_30D",
    "spend__amount_trend_90D": "trend_90D",
    "category__ProductCategory_top": "favourite",
}
X = features[list(columns)].rename(columns=columns)
train, test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# Bins
# ----
# Each column is cut where goods and bads differ most, with at least 5 % of the customers in a bin
# and a bad rate that only rises or only falls. WoE is the logarithm of the share of goods over the
# share of bads: positive is safer.
encoder = WOEEncoder(max_bins=5)
card = Scorecard(encoder, enforce_signs=True).fit(train, y_train)
card.encoder_.binning_table("recency").round(3)

# %%
display = WOEDisplay.from_estimator(card)

# %%
# Points
# ------
# 600 points stand for fifty goods to one bad, and twenty more double the odds. A score is the base
# plus one number for each row of the card.
points = card.points_table()
points.round(2)

# %%
customer = test.iloc[[3]]
reasons = card.reasons(customer, n=3)
print(customer.T.to_string(header=False))
print("score", card.predict_score(customer)[0])
print(*reasons["reason"], sep="\n")
reasons[["feature", "bin", "points", "lost"]]

# %%
# The same in a picture: what each row of the card gave this customer, and what it could have given
# at best. The gaps are the reasons.
best = points[points["feature"] != "base"].groupby("feature")["points"].max()[list(X.columns)]
own = best - card.reasons(customer, n=5).set_index("feature")["lost"].reindex(best.index).fillna(0)
figure, axis = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
place = np.arange(len(best))
axis.hlines(place, own, best, color="#c8553d", linewidth=5, alpha=0.35)
axis.plot(best, place, "o", color="#2a7f9e", label="the best bin")
axis.plot(own, place, "o", color="#c8553d", label="this customer")
for row, (got, lost) in enumerate(zip(own, best - own, strict=True)):
    if lost:
        axis.annotate(f"-{lost:.0f}", (got, row), (-8, 9), textcoords="offset points", ha="center")
axis.set_yticks(place, best.index)
axis.invert_yaxis()
axis.margins(x=0.08, y=0.15)
axis.set(xlabel="points", title="Points below the best")
axis.legend(frameon=False, fontsize="small")

# %%
# Scores of goods and bads on customers that were held out
# --------------------------------------------------------
scores = card.predict_score(test)
figure, axis = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
bins = np.arange(scores.min() - 5, scores.max() + 10, 10)
for bad, color, name in ((0, "#2a7f9e", "good"), (1, "#c8553d", "bad")):
    own = scores[y_test == bad]
    label = f"{name} ({len(own)})"
    axis.hist(
        own, bins=bins, weights=np.full(len(own), 1 / len(own)), alpha=0.7, color=color, label=label
    )
axis.set(xlabel="score, higher is safer", ylabel="share of the goods, of the bads")
axis.yaxis.set_major_formatter("{x:.0%}")
axis.legend(frameon=False)
print(f"KS {ks_statistic(y_test, card.predict_proba(test)[:, 1]):.3f}")

# %%
# What a validator asks
# ---------------------
# Coefficients with their uncertainty and their sign (WoE is positive for the safe, so the
# coefficient of a feature that counts in its own direction is negative):
card.summary().round(3)

# %%
# Has the population moved? Against the training sample, by the population stability index:
card.stability_report(test).round(3)

# %%
# Elsewhere
# ---------
# The card in a database, and as JSON that another rfmrisk reads back:
print(card.to_sql("duckdb", key="customer")[:700], "...")
again = Scorecard.from_json(card.to_json())
assert (again.predict_score(test) == scores).all()
print(list(json.loads(card.to_json())))
