"""
02 RFM step by step
===================

Recency, frequency and monetary value of a customer *as of a timestamp*: by hand for one customer,
by :class:`rfmrisk.RFMAggregator` for all, and what a window and the treatment of refunds change.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from rfmrisk import RFMAggregator, RFMSegments, rewind, to_histories
from rfmrisk.datasets import make_transactions

log = make_transactions(n_customers=2_000, random_state=0)

# %%
# Histories
# ---------
# ``to_histories`` turns the log into one row per customer: the timestamp of the decision, and all
# transactions strictly before it. Without a timestamp it takes the midnight that ends the log.
histories = to_histories(log)
histories.head(3)

# %%
# By hand
# -------
customer = histories.index[0]
as_of = histories.loc[customer, "as_of"]
own = pd.DataFrame(histories.loc[customer, "history"])[["time", "amount"]]
print(own.tail(4).to_string(index=False))
print("as of    ", as_of)
print("recency  ", (as_of - own["time"].max()) / pd.Timedelta("1D"), "days")
print("frequency", len(own))
print("monetary ", own["amount"].abs().sum(), "gross,", own["amount"].sum(), "net")

# %%
# The same for everybody, as an estimator that goes into any pipeline:
rfm = RFMAggregator().fit_transform(histories)
rfm.head(3)

# %%
# Windows and refunds
# -------------------
# A window restricts frequency and monetary value to its last days; recency always looks at the
# whole history. Net amounts let refunds cancel purchases.
choices = {
    "all, gross": RFMAggregator(),
    "all, net": RFMAggregator(monetary="net"),
    "30 days, gross": RFMAggregator(window="30D"),
}
tables = {name: step.fit_transform(histories) for name, step in choices.items()}
pd.concat({name: table.iloc[:3] for name, table in tables.items()}, axis=1).T

# %%
# Their shapes: recency and frequency are skewed, and monetary value spans six powers of ten. That
# is why the package works on ranks and not on the values. (The bins of the frequency end between
# whole numbers, so that none is empty only because no number lies in it.)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
for axis, name, unit in zip(axes, rfm, ["days", "transactions", "gross"], strict=True):
    bins = np.geomspace(rfm[name].min(), rfm[name].max(), 40)
    if name == "frequency":
        bins = np.unique(np.rint(np.geomspace(1, rfm[name].max() + 1, 22))) - 0.5
    axis.hist(rfm[name], bins=bins, color="#2a7f9e")
    axis.set(xscale="log", xlabel=unit, title=name)
print(f"from {rfm['monetary'].min():,.0f} to {rfm['monetary'].max():,.0f}")
axes[0].set_ylabel("customers")

# %%
# A timestamp is part of the question
# -----------------------------------
# The same customers, thirty days earlier: ``rewind`` removes what was not known yet. Those who had
# no transaction by then are left out.
past = rewind(histories, "30D")
before = RFMAggregator().fit_transform(past)
print(f"{len(past):,} of {len(histories):,} customers were known 30 days earlier")
figure, axis = plt.subplots(figsize=(5, 4.4), layout="constrained")
now = rfm.loc[before.index, "recency"]
axis.scatter(before["recency"], now, s=6, alpha=0.5, color="#2a7f9e")
axis.axline((0, 30), slope=1, color="#c8553d", linewidth=1, label="nothing bought since")
axis.set(xlabel="recency 30 days earlier, days", ylabel="recency now, days", title="Who came back")
axis.legend(frameon=False)

# %%
# One log at many timestamps
# --------------------------
# Decisions need not fall on one day. A frame of (customer, as_of) gives one row for each, as known
# then, in the order given; a customer may appear more than once.
decisions = pd.DataFrame({"customer": [customer, customer], "as_of": ["2018-12-24", "2019-03-01"]})
RFMAggregator().fit_transform(to_histories(log, as_of=decisions))

# %%
# The traditional reading
# -----------------------
# Marketing scores each column from 1 to 5 by quintile and names the combinations. The cut points
# are learned, so that next month's customers are read by the same ones.
segments = RFMSegments().fit(rfm)
profile = segments.segment_profile(rfm)
profile.round(1)

# %%
figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
axis.barh(profile.index[::-1], profile["share"][::-1], color="#2a7f9e")
axis.set(xlabel="share of the customers", title="Segments, the most engaged on top")
axis.set_xticks(np.arange(0, 0.25, 0.05))
axis.xaxis.set_major_formatter("{x:.0%}")
plt.show()
