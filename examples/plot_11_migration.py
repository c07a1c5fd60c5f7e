"""
11 From other tools to rfmrisk
==============================

Side by side with what you may have now: a home-made RFM script, optbinning, lifetimes. Their code
stands here as text, so that this page runs without them; ours runs.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rfmrisk import (
    ProxyLabeler,
    RFMAggregator,
    Scorecard,
    TemporalAggregator,
    WOEEncoder,
    customer_features,
    rewind,
    to_histories,
)
from rfmrisk.datasets import make_transactions

log = make_transactions(n_customers=2_000, random_state=0)

# %%
# A home-made RFM script
# ----------------------
# The usual one, as it stands in many notebooks. Amounts are signed, days are whole, the snapshot is
# a day after the last transaction.
frame = log.assign(time=pd.to_datetime(log["TransactionStartTime"]).dt.tz_localize(None))
snapshot = frame["time"].max() + pd.Timedelta(days=1)
home_made = frame.groupby("CustomerId").agg(
    recency=("time", lambda times: (snapshot - times.max()).days),
    frequency=("TransactionId", "count"),
    monetary=("Amount", "sum"),
)
scaled = StandardScaler().fit_transform(home_made)
clusters = KMeans(n_clusters=3, random_state=42, n_init=10).fit_predict(scaled)
riskiest = home_made["recency"].groupby(clusters).mean().idxmax()
home_made["is_high_risk"] = (clusters == riskiest).astype(int)

# %%
# The same here. ``as_of`` may be the same snapshot; recency keeps its fractions of a day.
histories = to_histories(log, as_of=snapshot)
rfm = RFMAggregator(monetary="net").fit_transform(histories)
assert (rfm["frequency"] == home_made["frequency"]).all()
assert np.allclose(rfm["monetary"], home_made["monetary"])
assert (np.floor(rfm["recency"]) == home_made["recency"]).all()
label = pd.Series(ProxyLabeler().fit_predict(rfm), index=rfm.index)
pd.crosstab(home_made["is_high_risk"], label.rename("rfmrisk"))

# %%
# The columns agree to the last digit; the labels do not. Standardised, the biggest spenders take a
# cluster for themselves, and the riskiest cluster becomes a threshold on the recency:
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
size = rfm["monetary"].clip(lower=100)
for axis, flags, name in zip(
    axes, (home_made["is_high_risk"], label), ("home-made", "rfmrisk"), strict=True
):
    for flag, color, word in ((0, "#2a7f9e", "other"), (1, "#c8553d", "high-risk")):
        rows = flags == flag
        axis.scatter(rfm["recency"][rows], size[rows], s=6, alpha=0.5, color=color, label=word)
    axis.set(
        xscale="log", yscale="log", xlabel="recency, days", title=f"{name}: {flags.mean():.0%}"
    )
axes[0].set_ylabel("monetary")
axes[0].legend(frameon=False, markerscale=2)

# %%
# What to change: make the label from the days *after* the features
# (:ref:`sphx_glr_gallery_plot_04_time.py`), and keep one row per customer.
#
# From optbinning
# ---------------
# Both give the information-optimal bins; WoE has the same sign, and 1 is bad in both.
#
# .. code-block:: python
#
#    from optbinning import BinningProcess, Scorecard
#
#    process = BinningProcess(
#        list(X.columns), categorical_variables=["favourite"], max_n_bins=5, min_bin_size=0.05
#    )
#    card = Scorecard(
#        process,
#        LogisticRegression(),
#        scaling_method="pdo_odds",
#        scaling_method_params={"pdo": 20, "odds": 50, "scorecard_points": 600},
#    )
#    card.fit(X, y)
#    card.table()    # points; the base is spread over the features
#    card.score(X)
#
# Here:
past = rewind(to_histories(log), "30D")
labeler = make_pipeline(RFMAggregator(window="30D"), ProxyLabeler()).fit(to_histories(log))
y = labeler.predict(to_histories(log).loc[past.index])
X = (
    customer_features()
    .fit_transform(past)[["rfm__recency", "temporal__active_days", "category__ProductCategory_top"]]
    .set_axis(["recency", "active_days", "favourite"], axis=1)
)
card = Scorecard(WOEEncoder(max_bins=5, min_bin_size=0.05), base_score=600, base_odds=50, pdo=20)
card.fit(X, y)
print(card.predict_score(X)[:5])
card.points_table().head(8).round(2)

# %%
# =============================  ==================================================
# optbinning                     rfmrisk
# =============================  ==================================================
# ``max_n_bins``                 ``max_bins``
# ``min_bin_size``               ``min_bin_size``
# ``monotonic_trend``            ``monotonic``; ``"auto"`` tries both directions
# ``user_splits``                ``classing={name: {"cuts": ...}}``
# ``special_codes``              ``special_values``
# ``cat_cutoff``                 ``min_level_size``
# ``selection_criteria``         ``min_iv``
# ``transform(metric="woe")``    ``transform``: an encoder has one output
# ``binning_table.build()``      ``binning_table(feature)``
# ``Scorecard.score``            ``predict_score``; whole points by default
# =============================  ==================================================
#
# From lifetimes
# --------------
# Same terms, other meanings: there, frequency counts *repeat* days, recency is the age at the last
# purchase and T the age now.
#
# .. code-block:: python
#
#    from lifetimes.utils import summary_data_from_transaction_data
#
#    summary = summary_data_from_transaction_data(
#        frame, "CustomerId", "time", monetary_value_col="Amount"
#    )
#
# The first three columns from ours, for a decision at the end of the log's last day:
histories = to_histories(log)
day = pd.Timedelta("1D")
tenure = TemporalAggregator(parts=()).fit_transform(histories)
recency = RFMAggregator().fit_transform(histories)["recency"]
last_day = histories["as_of"] - day
first_bought = (histories["as_of"] - tenure["tenure"] * day).dt.floor("D")
last_bought = (histories["as_of"] - recency * day).dt.floor("D")
summary = pd.DataFrame(
    {
        "frequency": tenure["active_days"] - 1,
        "recency": (last_bought - first_bought) / day,
        "T": (last_day - first_bought) / day,
    }
)
summary.head()

# %%
# Those models answer another question, who is still a customer and what is to be expected of them,
# and answer it well without any label. A forecast of theirs can be a feature here, or stand beside
# the recency as one more baseline to beat.
print((summary["frequency"] == 0).mean().round(3), "of the customers bought on one day only")
plt.show()
