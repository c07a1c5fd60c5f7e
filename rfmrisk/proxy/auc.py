"""ROC-AUC under a bootstrap of customers, for several scores at once."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from rfmrisk._showing import progress
from rfmrisk.histories.segments import Floats

ENOUGH = 20


def bootstrap_auc(
    scores: Floats,
    bad: NDArray[np.bool_],
    customers: pd.Index,
    n_resamples: int,
    random_state: Any,
    *,
    sample_weight: Floats | None = None,
) -> Floats:
    """Return the AUC of each score in each bootstrap sample, all scores in the same samples.

    Customers are drawn with all their rows; a tie counts half. Samples with one class only are
    NaN.

    Parameters
    ----------
    scores : ndarray of shape (k, n)
        Higher is riskier.
    bad : ndarray of bool of shape (n,)
    customers : Index of length n
    n_resamples : int
    random_state : int, RandomState instance or None
    sample_weight : ndarray of shape (n,) or None, default=None
        What each row counts.

    Returns
    -------
    ndarray of shape (n_resamples + 1, k)
        The first row is the sample itself.
    """
    places = [np.unique(score, return_inverse=True)[1] for score in scores]
    found = np.empty((n_resamples + 1, len(scores)))
    own = np.ones(len(bad)) if sample_weight is None else sample_weight
    drawn = bootstrap_weights(customers, n_resamples, random_state)
    weights = chain([own], (own * times for times in drawn))
    steps = progress(enumerate(weights), "bootstrap of the AUC", n_resamples + 1)
    for draw, weight in steps:
        found[draw] = [_auc(place, bad, weight) for place in places]
    return found


def bootstrap_weights(customers: pd.Index, n_resamples: int, random_state: Any) -> Iterator[Floats]:
    """Yield how often each row is in each bootstrap sample of the customers."""
    rng = check_random_state(random_state)
    codes, distinct = pd.factorize(customers)
    for _ in range(n_resamples):
        drawn = rng.randint(len(distinct), size=len(distinct))
        yield np.bincount(drawn, minlength=len(distinct)).astype(float)[codes]


def interval(values: Floats) -> tuple[float, float]:
    """Return the 95 % percentile interval."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def auc(score: Floats, bad: NDArray[np.bool_]) -> float:
    """Return the AUC of one score; a tie counts half."""
    return _auc(np.unique(score, return_inverse=True)[1], bad, np.ones(len(bad)))


def _auc(place: NDArray[np.int64], bad: NDArray[np.bool_], weight: Floats) -> float:
    bads = np.bincount(place, weights=np.where(bad, weight, 0.0))
    goods = np.bincount(place, weights=np.where(bad, 0.0, weight))
    pairs = bads.sum() * goods.sum()
    return float(bads @ (np.cumsum(goods) - goods / 2) / pairs) if pairs else np.nan


def has_enough(customers: pd.Index, y: NDArray[Any]) -> bool:
    """Whether there are 20 customers of either class, for an AUC that means something."""
    return min(customers[y == k].nunique() for k in (0, 1)) >= ENOUGH
