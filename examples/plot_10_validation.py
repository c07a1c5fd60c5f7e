"""
10 Validating a proxy against real defaults
===========================================

Sooner or later some real outcomes are known. They decide whether the stand-in was worth anything,
and how far. The sample bank has latent defaults in which no label and no RFM value takes part.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from rfmrisk import (
    ProxyLabeler,
    ProxyTargetClassifier,
    RFMAggregator,
    WOEEncoder,
    customer_features,
    to_histories,
    validate_proxy,
)
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import ProxyValidationDisplay

log, defaults = make_transactions(n_customers=3_000, random_state=0, return_defaults=True)
histories = to_histories(log)
print(f"{defaults.mean():.1%} of {len(defaults):,} customers default after the log ends")

# %%
# The label and the risk behind it
# --------------------------------
# The binary label throws much away; the average rank behind it ranks better. Outcomes are matched
# by the customer's id, and need not be known for all.
rfm = RFMAggregator().fit_transform(histories)
labeler = ProxyLabeler().fit(rfm)
risk = pd.Series(labeler.decision_function(rfm), index=rfm.index)
labels = pd.Series(labeler.predict(rfm), index=rfm.index)
validation = validate_proxy(risk, defaults, labels=labels)
validation

# %%
# Three rankings and a ceiling
# ----------------------------
# The cluster as a number, the average rank, the model that was trained on the proxy; and, as a
# ceiling that nobody has without outcomes, the same features trained on the defaults themselves
# (out of fold).
model = make_pipeline(
    customer_features(), WOEEncoder(min_bin_size=0.1), LogisticRegression(C=0.01, max_iter=1_000)
)
trained = ProxyTargetClassifier(model, outcome="30D").fit(histories)
truth = defaults.loc[histories.index]
rankings = {
    "the label": labels,
    "average rank": risk,
    "model of the proxy": trained.predict_proba(histories)[:, 1],
    "model of the defaults": cross_val_predict(
        model, histories, truth, cv=5, method="predict_proba"
    )[:, 1],
}
results = {
    name: validate_proxy(pd.Series(values, index=histories.index), defaults)
    for name, values in rankings.items()
}
for name, result in results.items():
    print(f"{name:22} {result.verdict}; lift {result.lift:.1f}")

# %%
# The model does worse than the rank
# ----------------------------------
# This is the most important line of the page: the model that was trained on the proxy ranks the
# defaults *worse* than the plain average rank, which needs no training at all. Drawn again, the
# difference stays. Below it, the columns of the rank: how each ranks the defaults by itself, and
# how much like it the model ranks the customers.
a, b = risk.to_numpy(), rankings["model of the proxy"]
rng = np.random.default_rng(0)
draws = [rng.integers(len(truth), size=len(truth)) for _ in range(500)]
gains = [roc_auc_score(truth.iloc[d], a[d]) - roc_auc_score(truth.iloc[d], b[d]) for d in draws]
low, middle, high = np.quantile(gains, [0.025, 0.5, 0.975])
print(f"average rank less model: {middle:+.3f} [{low:+.3f}, {high:+.3f}]")
for name in rfm:
    own = rfm[name] if name == "recency" else -rfm[name]
    alike = spearmanr(b, own).statistic
    print(f"{name:9}: AUC {roc_auc_score(truth, own):.2f}; rank correlation {alike:.2f}")

# %%
# The model has learnt its target well. But the label of a 30-day window is hardly more than who
# stayed away, so the model is nearly the recency, and what this bank's defaults depend on more, how
# much and how often a customer buys, it was never asked about. The rank keeps all three.
#
# So a better fit of a proxy is not a better model of default, and a good AUC *against the proxy*
# says nothing about it. Until there are outcomes, put the average rank beside any model of a proxy,
# and take the model only for what it can do better: a forecast of who will stay away.
figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", sharey=True)
for axis, name in zip(axes, ("average rank", "model of the defaults"), strict=True):
    ProxyValidationDisplay(validation=results[name]).plot(ax=axis)
    axis.set_title(f"{name}: AUC {results[name].auc:.2f}")

# %%
# When behaviour says nothing
# ---------------------------
# A proxy is only as good as the link between engagement and default, and no statistic of the log
# alone can show that link. The same bank, with the link cut in steps:
strength = [0.0, 0.5, 1.0, 2.0]
aucs = []
for effect in strength:
    log, defaults = make_transactions(
        n_customers=2_000, risk_effect=effect, random_state=0, return_defaults=True
    )
    rfm = RFMAggregator().fit_transform(to_histories(log))
    labeler = ProxyLabeler().fit(rfm)
    risk = pd.Series(labeler.decision_function(rfm), index=rfm.index)
    found = validate_proxy(risk, defaults, n_resamples=500)
    aucs.append((found.auc, *found.auc_interval))
    print(f"effect {effect:.1f}: {labeler.flagged_share_:.1%} flagged; {found.verdict}")
auc = pd.DataFrame(aucs, columns=["auc", "low", "high"], index=strength)
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
errors = [auc["auc"] - auc["low"], auc["high"] - auc["auc"]]
axis.errorbar(auc.index, auc["auc"], yerr=errors, fmt="o-", color="#2a7f9e")
axis.axhline(0.5, color="#c8553d", linewidth=1, linestyle="--")
axis.set(xlabel="how strongly risk drives behaviour", ylabel="ROC-AUC against the defaults")
plt.show()

# %%
# The share of flagged customers hardly moves: the label looks the same in a bank where it means
# something and in one where it means nothing. So use a proxy to rank what you would otherwise
# guess, collect outcomes from the first day, and run this page on them.
