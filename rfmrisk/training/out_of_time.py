"""Time as a judge: how a model that knows nothing of the last decisions ranks them."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from rfmrisk.histories.flat import flatten
from rfmrisk.histories.timestamps import parse_duration
from rfmrisk.metrics import ks_statistic
from rfmrisk.proxy.auc import bootstrap_auc, has_enough, interval
from rfmrisk.proxy.target import ProxyTarget
from rfmrisk.training.split import Task

if TYPE_CHECKING:
    from rfmrisk.histories.segments import Ints

N_RESAMPLES = 200

HELD_OUT, LAST, BOTH = "held-out customers", "out of time", "held-out customers, out of time"


def last_and_earlier(
    task: Task, target: ProxyTarget | None, test_size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return which samples are of the last decisions, and which were over before these.

    With outcome windows, the last are those of the latest cut-off, and of the others those whose
    window had closed by then are earlier. Of decisions with outcomes, the last are the latest
    share, all of one day on one side.

    Parameters
    ----------
    task : Task
    target : ProxyTarget or None
        None where the outcomes were given.
    test_size : float
        The share of the decisions that is held out in time, about.

    Returns
    -------
    last, earlier : array of bool of shape (n_samples,)
        Nowhere true where all were known at one time.
    """
    as_of: Ints = flatten(task.histories).as_of[task.rows]
    nothing = np.zeros(len(as_of), dtype=bool)
    if as_of.min() == as_of.max():
        return nothing, nothing
    if target is not None:
        begins = as_of.max()
        lengths = [parse_duration(w.outcome, "outcome") if w.outcome else 0 for w in target.windows]
        counts = [w.n_customers for w in target.windows]
        return as_of == begins, as_of + np.repeat(lengths, counts) <= begins
    days = as_of // parse_duration("1D", "day")
    begins = np.quantile(days, 1 - test_size, method="higher")
    if begins == days.min():
        return nothing, nothing
    return days >= begins, days < begins


def out_of_time(
    estimator: Any,
    table: pd.DataFrame,
    probability: np.ndarray,
    task: Task,
    *,
    plain: dict[str, np.ndarray],
    last: np.ndarray,
    earlier: np.ndarray,
    random_state: int,
) -> pd.DataFrame | None:
    """Judge on customers held out, on decisions held out in time, and on both at once.

    The model itself has learned from the last decisions of the training customers. So in time
    another judges for it: the same steps with the same parameters, fitted to what was over before
    the last decisions.

    Parameters
    ----------
    estimator : Pipeline
        From the feature table to a probability.
    table : DataFrame of shape (n_samples, n_features)
    probability : array of shape (n_samples,)
        By the model itself.
    task : Task
    plain : dict of str to array of shape (n_samples,)
        The baselines.
    last, earlier : array of bool of shape (n_samples,)
        Of `last_and_earlier`.
    random_state : int

    Returns
    -------
    DataFrame or None
        One row for each of the three, with the number of customers, the share of bads, ROC-AUC
        with a 95 % interval over customers, Gini, KS, and the ROC-AUC of the baselines. None
        where there are fewer than 20 goods or bads to fit or to judge on.
    """
    is_test = np.zeros(len(task.y), dtype=bool)
    is_test[task.test_rows] = True
    parts = {HELD_OUT: is_test, LAST: last & ~is_test, BOTH: last & is_test}
    fit_on = earlier & ~is_test
    if not all(
        has_enough(task.customers[rows], task.y[rows]) for rows in (fit_on, *parts.values())
    ):
        return None
    judge = clone(estimator).fit(
        task.at(table, np.flatnonzero(fit_on)), task.y[fit_on], **task.weights(fit_on)
    )
    in_time = np.full(len(task.y), np.nan)
    in_time[last] = judge.predict_proba(table[last])[:, 1]
    found = {}
    for name, rows in parts.items():
        own = probability if name == HELD_OUT else in_time
        y, customers, weights = task.y[rows], task.customers[rows], task.weights(rows)
        scores = np.array([own[rows], *(score[rows] for score in plain.values())])
        aucs = bootstrap_auc(scores, y == 1, customers, N_RESAMPLES, random_state, **weights)
        low, high = interval(aucs[1:, 0])
        found[name] = {
            "customers": customers.nunique(),
            "bad_share": float(np.average(y, weights=weights.get("sample_weight"))),
            "roc_auc": aucs[0, 0],
            "roc_auc_low": low,
            "roc_auc_high": high,
            "gini": 2 * aucs[0, 0] - 1,
            "ks": ks_statistic(y, own[rows], **weights),
            **dict(zip(plain, aucs[0, 1:], strict=True)),
        }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("judged on")
