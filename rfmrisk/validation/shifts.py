"""Measures of movement: between grades, towards few grades, and of a distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from rfmrisk.histories.parameters import SHARE, at_least, check_parameters
from rfmrisk.woe.binning import psi_of as psi_of_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["herfindahl_index", "migration_matrix", "psi_critical_value", "psi_of_counts"]


def herfindahl_index(shares: ArrayLike) -> float:
    """Measure how far customers are concentrated in few grades: the sum of squared shares.

    It is 1 / k where k grades have as many customers each, and 1 where one has all. The index H
    of the European Central Bank's templates (2019, Instructions for reporting the validation
    results of internal models, section 2.5.5) is 1 + ln(H) / ln(k) of it.

    Parameters
    ----------
    shares : array-like of shape (k,)
        Shares or counts of the grades; they are divided by their sum.

    Returns
    -------
    float
        Between 1 / k and 1.

    Raises
    ------
    ValueError
        If a share is negative or missing, or all are zero.

    Examples
    --------
    A half and two quarters: 1/4 + 1/16 + 1/16.

    >>> from rfmrisk.validation import herfindahl_index
    >>> herfindahl_index([0.5, 0.25, 0.25])
    0.375
    """
    given = np.asarray(shares, dtype=np.float64)
    valid = given.ndim == 1 and np.isfinite(given).all() and (given >= 0).all()
    if not valid or not given.sum():
        raise ValueError(
            f"shares must be one list of numbers of 0 or more, not all 0; got {shares!r}"
        )
    return float(np.sum((given / given.sum()) ** 2))


def migration_matrix(
    before: ArrayLike,
    after: ArrayLike,
    *,
    grades: Sequence | None = None,
    normalize: bool = True,
) -> pd.DataFrame:
    """Count the customers who moved from each grade to each.

    Parameters
    ----------
    before, after : array-like of shape (n,)
        The grades of the same customers, at an earlier and a later time.
    grades : sequence or None, default=None
        All grades in their order; None takes those that occur, sorted.
    normalize : bool, default=True
        Whether to divide each row by its customers; False gives counts.

    Returns
    -------
    DataFrame of shape (k, k)
        Row ``before``, column ``after``; the rows of grades without customers are 0.

    Raises
    ------
    ValueError
        If lengths differ, a grade is missing, or is not among grades.

    Examples
    --------
    >>> from rfmrisk.validation import migration_matrix
    >>> migration_matrix(["A", "A", "B", "B"], ["A", "B", "B", "B"])
    after     A    B
    before
    A       0.5  0.5
    B       0.0  1.0
    """
    first, second = pd.Series(np.asarray(before)), pd.Series(np.asarray(after))
    if len(first) != len(second):
        raise ValueError(
            f"before and after must be of the same customers; got {len(first)} and {len(second)}"
        )
    missing = int((first.isna() | second.isna()).sum())
    if missing:
        raise ValueError(f"{missing} customer(s) have no grade before or after")
    found = pd.unique(pd.concat([first, second]))
    order = sorted(found.tolist()) if grades is None else list(grades)
    unknown = [grade for grade in found.tolist() if grade not in order]
    if unknown:
        raise ValueError(f"grade {unknown[0]!r} is not among {', '.join(map(str, order))}")
    row, column = (pd.Index(order).get_indexer(each) for each in (first, second))
    k = len(order)
    counts = np.bincount(row * k + column, minlength=k * k).reshape(k, k)
    values = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) if normalize else counts
    return pd.DataFrame(
        values, index=pd.Index(order, name="before"), columns=pd.Index(order, name="after")
    )


def psi_critical_value(
    n_expected: int, n_actual: int, n_bins: int = 10, alpha: float = 0.05
) -> float:
    """Return the population stability index that chance alone exceeds with probability alpha.

    Of two samples of one distribution the PSI is about (1 / n + 1 / m) times a chi-squared of
    n_bins - 1 degrees of freedom (Yurdakul and Naranjo 2020, Journal of Risk Model Validation
    14(4), 89-100). Where it is above 0.1, the usual thresholds call chance a shift.

    Parameters
    ----------
    n_expected, n_actual : int
        Rows of the reference and of the new sample.
    n_bins : int, default=10
        At least 2.
    alpha : float, default=0.05
        Probability of a false alarm.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a sample has no rows, there are fewer than 2 bins, or alpha is not between 0 and 1.

    Examples
    --------
    The 95 % point of chi-squared with 9 degrees of freedom is 16.919; times 2 / 1,000.

    >>> from rfmrisk.validation import psi_critical_value
    >>> round(psi_critical_value(1000, 1000), 6)
    0.033838
    """
    check_parameters(
        "psi_critical_value",
        n_expected=(n_expected, [at_least(1)]),
        n_actual=(n_actual, [at_least(1)]),
        n_bins=(n_bins, [at_least(2)]),
        alpha=(alpha, [SHARE]),
    )
    return float(stats.chi2.isf(alpha, n_bins - 1) * (1 / n_expected + 1 / n_actual))
