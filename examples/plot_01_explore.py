"""
01 Explore a transaction log
============================

Before any model: is the log whole, what is in it, and which of its habits will a model meet?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from rfmrisk import customer_features, to_histories
from rfmrisk.datasets import make_transactions

log = make_transactions(n_customers=2_000, random_state=0)
print(f"{len(log):,} transactions of {log['CustomerId'].nunique():,} customers")
log.head(3).T

# %%
# Data quality
# ------------
# What a column holds, what is missing, and how many values differ. A column with one value says
# nothing; one in which every value differs is a name, not a feature.
quality = pd.DataFrame(
    {
        "type": log.dtypes.astype(str),
        "missing": log.isna().sum(),
        "distinct": log.nunique(),
        "example": log.iloc[0],
    }
)
quality

# %%
# ``to_histories`` refuses what it cannot place in time or add up, and says what it refused. Here
# three rows are spoilt on purpose.
spoilt = log.astype({"Amount": float})
spoilt.loc[0, "Amount"] = np.nan
spoilt.loc[1, "CustomerId"] = None
spoilt.loc[2, "TransactionStartTime"] = "yesterday"
try:
    to_histories(spoilt)
except ValueError as error:
    print(error)

# %%
# Doubled rows are not refused: two equal purchases in one second may be real. Count them by the
# transaction's own id, and decide.
print("doubled ids:", log["TransactionId"].duplicated().sum())

# %%
# Heavy tails
# -----------
# A few customers spend enormously. On a plain axis one sees nothing but them; on a logarithmic one
# the body has a shape. This is why anything that squares amounts (a standard deviation, K-Means on
# standardised values) is governed by a handful of rows.
amount = log["Amount"]
spent = amount.abs().groupby(log["CustomerId"]).sum()
figure, (plain, logarithmic, share) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
plain.hist(spent / 1e6, bins=60, color="#2a7f9e")
plain.set(xlabel="spent per customer, million", ylabel="customers", title="Plain axis")
logarithmic.hist(spent, bins=np.geomspace(spent.min(), spent.max(), 40), color="#2a7f9e")
logarithmic.set(xscale="log", xlabel="spent per customer", title="Logarithmic axis")
held = spent.sort_values(ascending=False).cumsum() / spent.sum()
top = np.arange(1, len(held) + 1) / len(held)
share.plot(top, held, color="#c8553d")
share.plot([0, 1], [0, 1], color="#8a8f98", linewidth=0.8, linestyle="--")
share.set(
    xlabel="share of customers, biggest first", ylabel="share of spending", title="Who spends"
)
print(f"the top 1 % of the customers hold {held.iloc[len(held) // 100 - 1]:.0%} of all spending")

# %%
# Credits, categories, flags
# --------------------------
# Amounts are signed. Negative ones are refunds, and whether they are netted is a decision
# (``monetary="net"``). The frequent categories and the rare flags:
print(f"negative amounts: {(amount < 0).mean():.1%} of the rows")
print(f"fraud: {log['FraudResult'].mean():.2%} of the rows")
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
counts = log["ProductCategory"].value_counts()
left.barh(counts.index[::-1], counts[::-1], color="#2a7f9e")
left.set(xlabel="transactions", title="By category", xticks=range(0, 15_000, 5_000))
groups = [
    log.loc[(log["ProductCategory"] == name) & (amount > 0), "Amount"] for name in counts.index
]
right.boxplot(groups[::-1], orientation="horizontal", showfliers=False, widths=0.6)
right.set_yticks(np.arange(1, len(counts) + 1), counts.index[::-1])
right.set(xscale="log", xlabel="amount of a purchase", title="Sizes")

# %%
# Seasonality
# -----------
# Hours, weekdays and days of the month carry habits: pay day, evenings, week ends. A window that
# ends just before pay day sees another customer than one that ends after it.
time = pd.to_datetime(log["TransactionStartTime"]).dt.tz_localize(None)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained", sharey=False)
by = {
    "hour": time.dt.hour,
    "weekday": time.dt.day_name().str[:3],
    "day of the month": time.dt.day,
}
order = {"weekday": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]}
for axis, (name, values) in zip(axes, by.items(), strict=True):
    found = values.value_counts().sort_index()
    found = found.reindex(order.get(name, found.index))
    axis.bar(list(found.index), found / len(log), color="#2a7f9e")
    axis.set(xlabel=name, title=f"By {name}")
    axis.yaxis.set_major_formatter("{x:.0%}")

# %%
figure, axis = plt.subplots(figsize=(10, 3), layout="constrained")
daily = time.dt.normalize().value_counts().sort_index()
axis.plot(daily.index, daily, color="#c9d3df", label="each day")
axis.plot(daily.index, daily.rolling(7).mean(), color="#c8553d", label="mean of seven days")
axis.set(ylabel="transactions", title="The log over time")
axis.legend(frameon=False)

# %%
# Correlation
# -----------
# One row per customer, all features of the usual recipe, and their rank correlation: with heavy
# tails the ordinary one is a statement about the biggest customers. Many features say the same
# thing (how much there is of a customer); a scorecard needs few of each block.
features = customer_features(windows=("30D", None)).fit_transform(to_histories(log))
numbers = features.select_dtypes("number")
numbers.columns = [name.split("__")[1] for name in numbers]
kept = [
    "recency",
    "frequency",
    "monetary",
    "amount_sum_30D",
    "amount_count_30D",
    "amount_mean",
    "amount_trend",
    "amount_credit_share",
    "ProductCategory_levels",
    "tenure",
    "active_days",
    "gap_mean",
    "night_share",
    "weekend_share",
]
correlation = numbers[kept].corr("spearman")
figure, axis = plt.subplots(figsize=(7.5, 6.4), layout="constrained")
image = axis.imshow(correlation, cmap="RdBu", vmin=-1, vmax=1)
axis.set_xticks(range(len(kept)), kept, rotation=45, ha="right")
axis.set_yticks(range(len(kept)), kept)
axis.set_title("Rank correlation of customer features")
figure.colorbar(image, shrink=0.8)
plt.show()
