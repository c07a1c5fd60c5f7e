"""How good the models are on the held-out customers, and where the threshold lies."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import roc_curve
from sklearn.model_selection import cross_val_predict

from rfmrisk.metrics import risk_report
from rfmrisk.proxy.auc import bootstrap_auc, interval

RECENCY = "recency alone"
N_RESAMPLES = 1_000


def calibrated(
    estimator: Any, table: pd.DataFrame, y: np.ndarray, *, method: str, folds: list, n_jobs: Any
) -> CalibratedClassifierCV:
    """Fit a map from the estimator's out-of-fold answers to probabilities, and put it behind it."""
    model = CalibratedClassifierCV(
        estimator, method=method, cv=folds, ensemble=False, n_jobs=n_jobs
    ).fit(table, y)
    # The rows of these folds mean nothing to a later fit, and would bloat the saved model.
    return model.set_params(cv=len(folds), n_jobs=None)


def out_of_fold(
    estimator: Any, model: Any, table: pd.DataFrame, y: np.ndarray, *, folds: list, n_jobs: Any
) -> np.ndarray:
    """Return the probability of each training customer by models that have not seen it.

    ``estimator`` is the uncalibrated one; ``model`` the same, or calibrated.
    """
    by_margin = model is not estimator and hasattr(estimator, "decision_function")
    method = "decision_function" if by_margin else "predict_proba"
    answers = cross_val_predict(clone(estimator), table, y, cv=folds, method=method, n_jobs=n_jobs)
    answers = answers if by_margin else answers[:, 1]
    if model is estimator:
        return answers
    return model.calibrated_classifiers_[0].calibrators[0].predict(answers)


def choose_threshold(y: np.ndarray, p: np.ndarray, missed_bad_cost: float | None) -> float:
    """Return the probability from which on customers are called bad.

    With a cost, that of the least total, where a refused good costs 1 and a missed bad
    ``missed_bad_cost``; without one, that which best tells bads from goods: where KS is reached.
    """
    false_positive, true_positive, thresholds = roc_curve(y, p, drop_intermediate=False)
    if missed_bad_cost is None:
        gain = true_positive - false_positive
    else:
        bads = np.sum(y)
        gain = missed_bad_cost * bads * true_positive - (len(y) - bads) * false_positive
    return float(np.clip(thresholds[np.argmax(gain)], 0, 1))


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
