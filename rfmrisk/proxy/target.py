"""The proxy target: what was known before a cut-off, and how customers behaved after it."""

import datetime as dt
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline

from rfmrisk.aggregation import RFMAggregator
from rfmrisk.histories.flat import flatten
from rfmrisk.histories.nesting import rewind_rows
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.proxy.outcome import suggest_outcome


@dataclass(frozen=True)
class ProxyTarget:
    """Histories as known before the outcome window, and the labels of what followed.

    Attributes
    ----------
    past : DataFrame of shape (n_customers_then, 2)
        Histories before the outcome window.
    y : ndarray of shape (n_customers_then,)
        1 is high-risk.
    rows : ndarray of shape (n_customers_then,)
        Which rows of today's histories these are.
    labeler : Pipeline
        Fitted, from histories to labels.
    outcome : str, timedelta or None
        The outcome window; None where past and labels see the same histories.
    """

    past: pd.DataFrame
    y: np.ndarray
    rows: np.ndarray
    labeler: Pipeline
    outcome: str | dt.timedelta | None


def derive_target(
    histories: pd.DataFrame,
    *,
    outcome: str | dt.timedelta | None = "30D",
    labeler: Any = None,
) -> ProxyTarget:
    """Rewind the histories and label the customers by the outcome window.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, 2)
        As made by `to_histories`.
    outcome : str, timedelta, "auto" or None, default="30D"
        Length of the outcome window; "auto" takes that of `suggest_outcome`; None labels by the
        same histories that the features see, for comparison only.
    labeler : estimator or None, default=None
        A labeler of the RFM over the outcome window, `ProxyLabeler` by default; or a Pipeline
        from histories to labels, which then looks after its own windows.

    Returns
    -------
    ProxyTarget

    Raises
    ------
    ValueError
        No customer was known that long ago, none of them bought in the outcome window, or all
        of them have the same label.

    Warns
    -----
    UserWarning
        All of them bought in the outcome window.

    Examples
    --------
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy.target import derive_target
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> target = derive_target(histories, outcome="30D")
    >>> len(target.past) == len(target.y)
    True
    """
    flatten(histories)
    if outcome == "auto":
        outcome = suggest_outcome(histories)
    labeler = ProxyLabeler() if labeler is None else clone(labeler)
    if not isinstance(labeler, Pipeline):
        labeler = make_pipeline(RFMAggregator(window=outcome), labeler)
    past, rows = before_outcome(histories, outcome)
    if outcome is not None:
        _check_outcome(past, histories.iloc[rows], outcome)
    labeler.fit(histories)
    y = labeler.predict(histories.iloc[rows])
    if len(np.unique(y)) < 2:
        raise ValueError(
            f"all {len(y):,} customers known {outcome} earlier have the label {y[0]}: the "
            "outcome window must tell them apart; try another outcome"
        )
    return ProxyTarget(past, y, rows, labeler, outcome)


def before_outcome(
    histories: pd.DataFrame, outcome: str | dt.timedelta | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the histories before the outcome window, and which rows of today's they are."""
    if outcome is None:
        return histories, np.arange(len(histories))
    return rewind_rows(histories, outcome)


def _check_outcome(past: pd.DataFrame, present: pd.DataFrame, outcome: str | dt.timedelta) -> None:
    before, after = flatten(past), flatten(present)
    bought = (after.ends - after.starts) > (before.ends - before.starts)
    if not bought.any():
        raise ValueError(
            f"none of the {len(bought):,} customers known {outcome} earlier bought in the outcome "
            "window: a label would repeat what was known before it. Take a longer outcome "
            "(suggest_outcome)"
        )
    if bought.all():
        warnings.warn(
            f"all {len(bought):,} customers known {outcome} earlier bought in the outcome window: "
            "nobody stayed away, and the label tells only who bought least. A shorter outcome "
            "tells more (suggest_outcome)",
            UserWarning,
            stacklevel=3,
        )
