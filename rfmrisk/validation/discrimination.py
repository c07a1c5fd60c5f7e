"""Tests and intervals of how well scores rank: midranks, and rows that come by customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.utils import check_random_state

from rfmrisk.histories.parameters import AUC, at_least, check_parameters
from rfmrisk.validation.targets import check_both_classes, check_score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from rfmrisk.validation.targets import Floats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class DeLong:
    """What `delong_test` found.

    Attributes
    ----------
    statistic : float
        The difference over its standard error, z.
    p_value : float
        Two-sided.
    auc, auc_other : float
        Of the first and of the second score.
    difference : float
        auc - auc_other.
    standard_error : float
        Of the difference.
    low, high : float
        95 % interval of the difference.
    """

    statistic: float
    p_value: float
    auc: float
    auc_other: float
    difference: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True)
class AucFall:
    """What `auc_fall_test` found.

    Attributes
    ----------
    statistic : float
        The fall over the standard error of the AUC of now.
    p_value : float
        One-sided; small where the AUC has fallen.
    auc : float
        Of now.
    initial_auc : float
        What was given.
    standard_error : float
        Of the AUC of now.
    """

    statistic: float
    p_value: float
    auc: float
    initial_auc: float
    standard_error: float


def delong_test(
    y: ArrayLike, probability: ArrayLike, other: ArrayLike, *, customers: ArrayLike | None = None
) -> DeLong:
    """Test whether two scores of the same customers rank them equally well.

    z is the difference of the AUCs over its standard error, from the variance of the placements
    V10 and V01 of each bad among the goods and each good among the bads (DeLong, DeLong and
    Clarke-Pearson 1988, Biometrics 44, 837-845), computed by midranks (Sun and Xu 2014, IEEE
    Signal Processing Letters 21, 1389-1393). A tie counts half. Rows of one customer are added
    up before they are squared, where customers are given (Obuchowski 1997, Biometrics 53,
    567-578).

    Parameters
    ----------
    y : array-like of shape (n,)
        1 is bad.
    probability : array-like of shape (n,)
        Higher is riskier.
    other : array-like of shape (n,)
        The score to compare with, of the same rows.
    customers : array-like of shape (n,) or None, default=None
        Whose row each is; None takes the rows as independent.

    Returns
    -------
    DeLong
        Of equal scores, z is 0 and the p-value 1.

    Raises
    ------
    ValueError
        If y has one class only or a class has a single row, lengths differ, or a score is not
        finite.

    Examples
    --------
    Goods at 1 and 3, bads at 2 and 4: AUC 3/4. The other score has the goods at 4 and 2, the bads
    at 1 and 3: AUC 1/4. The placements of the two bads differ by 1/2 each, of variance 0; those
    of the two goods by 1 and 0, of variance 1/2. So z = (1/2) / sqrt(0 / 2 + 1/2 / 2) = 1.

    >>> from rfmrisk.validation import delong_test
    >>> found = delong_test([0, 1, 0, 1], [1, 2, 3, 4], [4, 1, 2, 3])
    >>> found.difference, round(found.statistic, 6), round(found.p_value, 4)
    (0.5, 1.0, 0.3173)
    """
    bad = check_both_classes(y)
    scores = (
        check_score(probability, len(bad), "probability"),
        check_score(other, len(bad), "other"),
    )
    (auc, influence), (auc_other, influence_other) = (auc_influence(bad, s) for s in scores)
    error = clustered_error(influence - influence_other, _codes(customers, len(bad)))
    difference = auc - auc_other
    if error > 0:
        statistic = difference / error
    else:
        statistic = float(np.sign(difference) * np.inf) if difference else 0.0
    half = _half_width(error)
    return DeLong(
        statistic,
        float(2 * stats.norm.sf(abs(statistic))),
        auc,
        auc_other,
        difference,
        error,
        difference - half,
        difference + half,
    )


def auc_fall_test(
    y: ArrayLike,
    probability: ArrayLike,
    initial_auc: float,
    *,
    customers: ArrayLike | None = None,
) -> AucFall:
    """Test whether the AUC has fallen below what it was, as European supervisors ask.

    S = (initial AUC - AUC) / s, with s the standard error of the AUC of now and the initial one
    taken as exact; the p-value is 1 - Phi(S) (European Central Bank 2019, Instructions for
    reporting the validation results of internal models, section 2.5.4).

    Parameters
    ----------
    y : array-like of shape (n,)
        1 is bad.
    probability : array-like of shape (n,)
        Higher is riskier.
    initial_auc : float
        The AUC when the model was developed, between 0 and 1.
    customers : array-like of shape (n,) or None, default=None
        Whose row each is; None takes the rows as independent.

    Returns
    -------
    AucFall

    Raises
    ------
    ValueError
        As `delong_test`, or initial_auc is outside 0 to 1.

    Examples
    --------
    Goods at 1 and 3, bads at 2 and 4: the AUC is 3/4. The bads stand above 1/2 and 1 of the
    goods, the goods below 1 and 1/2 of the bads: variance 1/8 each, 1/8 / 2 + 1/8 / 2 = 1/8 in
    all, and S = (0.75 - 0.75) / sqrt(1/8).

    >>> from rfmrisk.validation import auc_fall_test
    >>> found = auc_fall_test([0, 1, 0, 1], [1, 2, 3, 4], 0.75)
    >>> found.statistic, found.p_value, round(found.standard_error**2, 6)
    (0.0, 0.5, 0.125)
    """
    check_parameters("auc_fall_test", initial_auc=(initial_auc, [AUC]))
    bad = check_both_classes(y)
    score = check_score(probability, len(bad), "probability")
    auc, influence = auc_influence(bad, score)
    error = clustered_error(influence, _codes(customers, len(bad)))
    fall = initial_auc - auc
    statistic = fall / error if error > 0 else float(np.sign(fall) * np.inf) if fall else 0.0
    return AucFall(statistic, float(stats.norm.sf(statistic)), auc, float(initial_auc), error)


def ranking_intervals(
    y: ArrayLike,
    probability: ArrayLike,
    *,
    customers: ArrayLike | None = None,
    n_resamples: int = 200,
    random_state: Any = 0,
) -> pd.DataFrame:
    """Compute AUC, Gini and KS with 95 % intervals in which the rows of a customer stay together.

    The standard error of the AUC is DeLong's with the rows of each customer added up (Obuchowski
    1997, Biometrics 53, 567-578), that of the Gini twice as much. That of KS is the standard
    deviation over bootstrap samples of the customers, as it has no smooth variance. Intervals are
    the figure and 1.96 standard errors to either side, within the range of the figure.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 is bad.
    probability : array-like of shape (n,)
        Higher is riskier.
    customers : array-like of shape (n,) or None, default=None
        Whose row each is; None takes the rows as independent.
    n_resamples : int, default=200
        Bootstrap samples for KS, at least 2.
    random_state : int, RandomState instance or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    DataFrame of shape (3, 4)
        Index ``figure``: auc, gini, ks. Columns ``value``, ``standard_error``, ``low``, ``high``.

    Raises
    ------
    ValueError
        As `delong_test`.

    Examples
    --------
    >>> from rfmrisk.validation import ranking_intervals
    >>> found = ranking_intervals([0, 1, 0, 1] * 25, [1, 2, 3, 4] * 25)
    >>> found.loc[["auc", "gini"]].round(3)
            value  standard_error    low   high
    figure
    auc      0.75           0.051  0.651  0.849
    gini     0.50           0.101  0.302  0.698
    >>> float(found.loc["ks", "value"])
    0.5
    """
    check_parameters(
        "ranking_intervals",
        n_resamples=(n_resamples, [at_least(2)]),
        random_state=(random_state, ["random_state"]),
    )
    bad = check_both_classes(y)
    score = check_score(probability, len(bad), "probability")
    codes = _codes(customers, len(bad))
    auc, influence = auc_influence(bad, score)
    error = clustered_error(influence, codes)
    position = np.unique(score, return_inverse=True)[1]
    ks = _ks(position, bad, np.ones(len(bad)))
    rows = {
        "auc": (auc, error, 0.0),
        "gini": (2 * auc - 1, 2 * error, -1.0),
        "ks": (ks, _ks_error(position, bad, codes, n_resamples, random_state), 0.0),
    }
    found = {
        name: (
            value,
            each,
            max(value - _half_width(each), least),
            min(value + _half_width(each), 1.0),
        )
        for name, (value, each, least) in rows.items()
    }
    columns = ["value", "standard_error", "low", "high"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns).rename_axis("figure")


def auc_influence(bad: NDArray[np.bool_], score: Floats) -> tuple[float, Floats]:
    """Return the AUC, and what each row adds to its error.

    The squares of the second, added up, are DeLong's variance.
    """
    n_bad, n_good = int(bad.sum()), int((~bad).sum())
    if min(n_bad, n_good) < 2:
        raise ValueError(
            f"at least 2 goods and 2 bads are needed for a variance; got {n_good} and {n_bad}"
        )
    among_all = stats.rankdata(score)
    own = np.empty(len(score))
    own[bad], own[~bad] = stats.rankdata(score[bad]), stats.rankdata(score[~bad])
    # Placement: the share of the other class on the right side, a tie counts half.
    placement = among_all - own
    placement[bad] /= n_good
    placement[~bad] = 1 - placement[~bad] / n_bad
    auc = float(placement[bad].mean())
    size = np.where(bad, n_bad, n_good)
    return auc, (placement - auc) / np.sqrt(size * (size - 1.0))


def clustered_error(influence: Floats, codes: NDArray[np.int64] | None) -> float:
    """Return a standard error; the rows of one customer are added up before they are squared."""
    summed = influence if codes is None else np.bincount(codes, weights=influence)
    return float(np.sqrt(np.sum(summed**2)))


def _half_width(error: float) -> float:
    return float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error


def _codes(customers: ArrayLike | None, n_rows: int) -> NDArray[np.int64] | None:
    if customers is None:
        return None
    given = pd.Series(np.asarray(customers))
    if len(given) != n_rows:
        raise ValueError(f"customers must have one id a row, {n_rows}; got {len(given)}")
    if given.isna().any():
        raise ValueError(f"customers has {int(given.isna().sum())} missing id(s)")
    return pd.factorize(given)[0]


def _ks(position: NDArray[np.int64], bad: NDArray[np.bool_], weight: Floats) -> float:
    bads = np.cumsum(np.bincount(position, weights=np.where(bad, weight, 0.0)))
    goods = np.cumsum(np.bincount(position, weights=np.where(bad, 0.0, weight)))
    if not bads[-1] or not goods[-1]:
        return np.nan
    return float(np.max(np.abs(bads / bads[-1] - goods / goods[-1])))


def _ks_error(
    position: NDArray[np.int64],
    bad: NDArray[np.bool_],
    codes: NDArray[np.int64] | None,
    n_resamples: int,
    random_state: Any,
) -> float:
    rng = check_random_state(random_state)
    owner = np.arange(len(bad)) if codes is None else codes
    n = int(owner.max()) + 1
    drawn = np.empty(n_resamples)
    for draw in range(n_resamples):
        times = np.bincount(rng.randint(n, size=n), minlength=n).astype(np.float64)
        drawn[draw] = _ks(position, bad, times[owner])
    return float(np.nanstd(drawn, ddof=1))
