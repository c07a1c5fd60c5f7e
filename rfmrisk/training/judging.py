"""How good the models are on the held-out customers, and where the threshold lies."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV

from rfmrisk.metrics import risk_report
from rfmrisk.proxy.auc import bootstrap_auc, interval

RECENCY = "recency alone"
N_RESAMPLES = 1_000
N_THRESHOLDS = 1_000


def calibrated(
    estimator: Any, table: pd.DataFrame, y: np.ndarray, *, method: str, folds: list, n_jobs: Any
) -> CalibratedClassifierCV:
    """Fit a map from the estimator's out-of-fold answers to probabilities, and put it behind it."""
    model = CalibratedClassifierCV(
        estimator, method=method, cv=folds, ensemble=False, n_jobs=n_jobs
    ).fit(table, y)
    # The rows of these folds mean nothing to a later fit, and would bloat the saved model.
    return model.set_params(cv=len(folds), n_jobs=None)


def choose_threshold(
    estimator: Any,
    table: pd.DataFrame,
    y: np.ndarray,
    *,
    missed_bad_cost: float | None,
    folds: list,
    n_jobs: Any,
) -> float:
    """Return the probability from which on customers are called bad.

    It is found on out-of-fold probabilities of the training customers
    (`sklearn.model_selection.TunedThresholdClassifierCV`). With a cost, it is that of the least
    total, where a refused good costs 1 and a missed bad ``missed_bad_cost``; without one, that
    which best tells bads from goods: where KS is reached.
    """
    if missed_bad_cost is None:
        scoring = make_scorer(_separation)
    else:
        scoring = make_scorer(_cost, greater_is_better=False, missed_bad_cost=missed_bad_cost)
    tuned = TunedThresholdClassifierCV(
        estimator,
        scoring=scoring,
        response_method="predict_proba",
        thresholds=N_THRESHOLDS,
        cv=folds,
        n_jobs=n_jobs,
    ).fit(table, y)
    return float(np.clip(tuned.best_threshold_, 0, 1))


def _separation(y: np.ndarray, called: np.ndarray) -> float:
    """Return the share of bads that are called bad less that of goods: Youden's J."""
    called = called == 1
    return float(np.mean(called[y == 1]) - np.mean(called[y == 0]))


def _cost(y: np.ndarray, called: np.ndarray, missed_bad_cost: float) -> float:
    """Return the mean cost of a decision, where a refused good costs 1."""
    refused = np.sum((y == 0) & (called == 1))
    missed = np.sum((y == 1) & (called == 0))
    return float((refused + missed_bad_cost * missed) / len(y))


def held_out_metrics(
    probabilities: dict[str, np.ndarray],
    y: np.ndarray,
    *,
    customers: pd.Index,
    recency: np.ndarray,
    threshold: float,
    random_state: int,
) -> pd.DataFrame:
    """Return one row of figures per model and one for recency alone.

    The intervals are the 2.5th and 97.5th percentiles over bootstrap samples of the held-out
    customers, the same samples for every model.

    Parameters
    ----------
    probabilities : dict of str to array of shape (n,)
    y : array of shape (n,)
    customers : Index of length n
    recency : array of shape (n,)
        Days; missing without a history.
    threshold : float
    random_state : int
    """
    rows: dict[str, Any] = {
        name: risk_report(y, p, threshold=threshold)
        | {"mean_probability": float(np.mean(p)), "bad_share": float(np.mean(y))}
        for name, p in probabilities.items()
    }
    # No recency is no history, the furthest that a customer can be.
    furthest = np.nanmax(recency, initial=0) + 1
    scores = [*probabilities.values(), np.where(np.isnan(recency), furthest, recency)]
    aucs = bootstrap_auc(np.array(scores), y == 1, customers, N_RESAMPLES, random_state)
    rows[RECENCY] = {"roc_auc": aucs[0, -1], "gini": 2 * aucs[0, -1] - 1}
    gains = aucs - aucs[:, -1:]
    for place, (name, row) in enumerate(rows.items()):
        row["roc_auc_low"], row["roc_auc_high"] = interval(aucs[1:, place])
        if name != RECENCY:
            row["gain"] = gains[0, place]
            row["gain_low"], row["gain_high"] = interval(gains[1:, place])
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
