"""Tests of expected against observed defaults: by grade, by group, and of every probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from rfmrisk.histories.parameters import at_least, check_parameters
from rfmrisk.validation.targets import check_outcomes, check_probability

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from rfmrisk.validation.targets import Floats


@dataclass(frozen=True)
class RateTest:
    """Expected against observed defaults, of one grade or of each of several.

    Attributes
    ----------
    statistic : float or ndarray
        The observed default rate.
    p_value : float or ndarray
        Small where there were more defaults than expected.
    expected_rate : float or ndarray
        What was tested.
    """

    statistic: Any
    p_value: Any
    expected_rate: Any


@dataclass(frozen=True)
class HosmerLemeshow:
    """What `hosmer_lemeshow_test` found.

    Attributes
    ----------
    statistic : float
        Chi-squared.
    p_value : float
        Small where the probabilities are not those of the outcomes.
    degrees_of_freedom : int
    n_groups : int
    """

    statistic: float
    p_value: float
    degrees_of_freedom: int
    n_groups: int


@dataclass(frozen=True)
class Spiegelhalter:
    """What `spiegelhalter_test` found.

    Attributes
    ----------
    statistic : float
        Standard normal where the probabilities hold; positive where the Brier score is worse.
    p_value : float
        Two-sided.
    brier : float
        The Brier score.
    expected_brier : float
        What it would be on average if the probabilities held.
    """

    statistic: float
    p_value: float
    brier: float
    expected_brier: float


@dataclass(frozen=True)
class BrierDecomposition:
    """The Brier score as reliability - resolution + uncertainty + within.

    Attributes
    ----------
    brier : float
        The mean squared distance of probabilities and outcomes.
    reliability : float
        Mean squared distance of the groups' mean probabilities and default rates; 0 is calibrated.
    resolution : float
        Variance of the groups' default rates; more is better.
    uncertainty : float
        Variance of the outcomes themselves.
    within : float
        What is left of different probabilities in one group; 0 where each is a group of its own.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def jeffreys_test(
    n_defaults: ArrayLike, n_customers: ArrayLike, expected_rate: ArrayLike
) -> RateTest:
    """Test whether a default rate is underestimated, by Jeffreys' prior.

    The p-value is F(expected rate), F the distribution function of Beta(D + 1/2, N - D + 1/2):
    how probable it is, after D defaults of N customers, that the true rate is at most the one
    expected (European Central Bank 2019, Instructions for reporting the validation results of
    internal models, section 2.5.3).

    Parameters
    ----------
    n_defaults : int or array-like of shape (k,)
        D, the defaults of each grade.
    n_customers : int or array-like of shape (k,)
        N, the customers of each grade, at least 1.
    expected_rate : float or array-like of shape (k,)
        The probability of default under test, between 0 and 1.

    Returns
    -------
    RateTest
        Floats for one grade, arrays for several.

    Raises
    ------
    ValueError
        If counts are not whole, or there are more defaults than customers, or a rate is outside
        0 to 1.

    Examples
    --------
    One customer who did not default, expected at 25 %: with Beta(1/2, 3/2) this is
    2/pi (arcsin(1/2) + sqrt(3/16)) = 1/3 + sqrt(3) / (2 pi).

    >>> from rfmrisk.validation import jeffreys_test
    >>> round(jeffreys_test(0, 1, 0.25).p_value, 4)
    0.609
    """
    defaults, customers, rate = _check_counts(n_defaults, n_customers, expected_rate)
    p_value = stats.beta.cdf(rate, defaults + 0.5, customers - defaults + 0.5)
    return RateTest(_plain(defaults / customers), _plain(p_value), _plain(rate))


def binomial_test(
    n_defaults: ArrayLike, n_customers: ArrayLike, expected_rate: ArrayLike
) -> RateTest:
    """Test whether a default rate is underestimated, exactly and one-sided.

    The p-value is P(X >= D), X binomial of N customers at the expected rate (Basel Committee on
    Banking Supervision 2005, Working Paper 14, section IV). Customers are taken as independent;
    defaults that come together make it reject too often.

    Parameters
    ----------
    n_defaults : int or array-like of shape (k,)
        D, the defaults of each grade.
    n_customers : int or array-like of shape (k,)
        N, the customers of each grade, at least 1.
    expected_rate : float or array-like of shape (k,)
        The probability of default under test, between 0 and 1.

    Returns
    -------
    RateTest
        Floats for one grade, arrays for several.

    Raises
    ------
    ValueError
        As `jeffreys_test`.

    Examples
    --------
    At least one default of two customers at 10 % each: 1 - 0.9 * 0.9.

    >>> from rfmrisk.validation import binomial_test
    >>> round(binomial_test(1, 2, 0.1).p_value, 6)
    0.19
    """
    defaults, customers, rate = _check_counts(n_defaults, n_customers, expected_rate)
    p_value = stats.binom.sf(defaults - 1, customers, rate)
    return RateTest(_plain(defaults / customers), _plain(p_value), _plain(rate))


def hosmer_lemeshow_test(
    y: ArrayLike, probability: ArrayLike, n_groups: int = 10, fitted: bool = False
) -> HosmerLemeshow:
    """Test whether the default rates of groups are those that the probabilities say.

    The statistic is the sum over groups of (O - E)^2 / (n p (1 - p)), with O the bads, E the sum
    of the probabilities and p = E / n of a group of n customers; groups are of equal size by
    probability, between quantiles, so that equal probabilities stay together (Hosmer, Lemeshow
    and Sturdivant 2013, section 5.2.2). Under the null hypothesis it is chi-squared with as many
    degrees of freedom as groups, less 2 on the sample that the model was fitted on.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 is bad.
    probability : array-like of shape (n,)
        Of being bad.
    n_groups : int, default=10
        Where fewer probabilities differ, each is a group.
    fitted : bool, default=False
        Whether the model was fitted on these customers.

    Returns
    -------
    HosmerLemeshow

    Raises
    ------
    ValueError
        If y is not 0 and 1, a probability is outside 0 to 1, or there are fewer groups than the
        degrees of freedom need.

    Examples
    --------
    Ten customers at 20 % with 4 bads and ten at 50 % with 5: (4 - 2)^2 / (10 * 0.2 * 0.8) + 0.

    >>> from rfmrisk.validation import hosmer_lemeshow_test
    >>> y = [1] * 4 + [0] * 6 + [1] * 5 + [0] * 5
    >>> found = hosmer_lemeshow_test(y, [0.2] * 10 + [0.5] * 10)
    >>> round(found.statistic, 6), round(found.p_value, 4), found.degrees_of_freedom
    (2.5, 0.2865, 2)
    """
    check_parameters("hosmer_lemeshow_test", n_groups=(n_groups, [at_least(2)]))
    bad = check_outcomes(y)
    p = check_probability(probability, len(bad))
    group = probability_groups(p, n_groups)
    n = np.bincount(group)
    expected, observed = np.bincount(group, weights=p), np.bincount(group, weights=bad)
    degrees = len(n) - 2 if fitted else len(n)
    if degrees < 1:
        raise ValueError(
            f"fitted=True needs at least 3 groups of different probabilities; got {len(n)}"
        )
    variance = expected * (1 - expected / n)
    distance = (observed - expected) ** 2
    # A probability of 0 or 1 leaves no room: right it adds nothing, wrong it refutes the model.
    certain = np.where(distance < 1e-18, 0.0, np.inf)
    ratio = np.divide(distance, variance, out=certain, where=variance > 1e-12)
    statistic = float(ratio.sum())
    return HosmerLemeshow(statistic, float(stats.chi2.sf(statistic, degrees)), degrees, len(n))


def spiegelhalter_test(y: ArrayLike, probability: ArrayLike) -> Spiegelhalter:
    """Test whether the Brier score is the one that the probabilities themselves expect.

    Z = sum (y - p)(1 - 2 p) / sqrt(sum (1 - 2 p)^2 p (1 - p)) (Spiegelhalter 1986, Statistics in
    Medicine 5, 421-433), standard normal where the probabilities hold; the p-value is two-sided.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 is bad.
    probability : array-like of shape (n,)
        Of being bad.

    Returns
    -------
    Spiegelhalter

    Raises
    ------
    ValueError
        If y is not 0 and 1, a probability is outside 0 to 1, or all are 0, 1/2 or 1, of which
        the Brier score expects nothing.

    Examples
    --------
    Two customers at 20 %, one of them bad: (0.8 - 0.2) * 0.6 / sqrt(2 * 0.36 * 0.16).

    >>> from rfmrisk.validation import spiegelhalter_test
    >>> found = spiegelhalter_test([1, 0], [0.2, 0.2])
    >>> round(found.statistic, 5), round(found.p_value, 4)
    (1.06066, 0.2888)
    """
    bad = check_outcomes(y)
    p = check_probability(probability, len(bad))
    slope = 1 - 2 * p
    variance = float(np.sum(slope**2 * p * (1 - p)))
    if not variance:
        raise ValueError("probability must have values other than 0, 0.5 and 1")
    statistic = float(np.sum((bad - p) * slope) / np.sqrt(variance))
    return Spiegelhalter(
        statistic,
        float(2 * stats.norm.sf(abs(statistic))),
        float(np.mean((bad - p) ** 2)),
        float(np.mean(p * (1 - p))),
    )


def brier_decomposition(
    y: ArrayLike, probability: ArrayLike, n_groups: int = 10
) -> BrierDecomposition:
    """Divide the Brier score into reliability, resolution and uncertainty.

    Over groups k of n_k customers with mean probability p_k and default rate o_k, and o the rate
    of all: reliability = sum n_k (p_k - o_k)^2 / n, resolution = sum n_k (o_k - o)^2 / n,
    uncertainty = o (1 - o) (Murphy 1973, Journal of Applied Meteorology 12, 595-600). Different
    probabilities in one group leave a remainder, their variance within less twice their
    covariance with the outcomes (Stephenson, Coelho and Jolliffe 2008, Weather and Forecasting
    23, 752-757), given as ``within``.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 is bad.
    probability : array-like of shape (n,)
        Of being bad.
    n_groups : int, default=10
        Groups of equal size by probability; where no more probabilities differ, each is a group.

    Returns
    -------
    BrierDecomposition

    Raises
    ------
    ValueError
        If y is not 0 and 1, or a probability is outside 0 to 1.

    Examples
    --------
    Ten customers at 20 % with 4 bads and ten at 50 % with 5; the rate of all is 0.45.

    >>> from rfmrisk.validation import brier_decomposition
    >>> y = [1] * 4 + [0] * 6 + [1] * 5 + [0] * 5
    >>> found = brier_decomposition(y, [0.2] * 10 + [0.5] * 10)
    >>> round(found.reliability, 6), round(found.resolution, 6), round(found.uncertainty, 6)
    (0.02, 0.0025, 0.2475)
    >>> round(found.brier, 6), abs(round(found.within, 6))
    (0.265, 0.0)
    """
    check_parameters("brier_decomposition", n_groups=(n_groups, [at_least(2)]))
    bad = check_outcomes(y).astype(np.float64)
    p = check_probability(probability, len(bad))
    group = probability_groups(p, n_groups)
    n = np.bincount(group)
    p_group, o_group = np.bincount(group, weights=p) / n, np.bincount(group, weights=bad) / n
    share, base = n / len(p), float(bad.mean())
    deviation = p - p_group[group]
    return BrierDecomposition(
        brier=float(np.mean((p - bad) ** 2)),
        reliability=float(share @ (p_group - o_group) ** 2),
        resolution=float(share @ (o_group - base) ** 2),
        uncertainty=base * (1 - base),
        within=float(np.mean(deviation**2) - 2 * np.mean(deviation * (bad - o_group[group]))),
    )


def probability_groups(probability: Floats, n_groups: int) -> NDArray[np.int64]:
    """Return the group of each row: groups of equal size by probability, ties together."""
    distinct, position = np.unique(probability, return_inverse=True)
    if len(distinct) <= n_groups:
        return position
    cuts = np.quantile(probability, np.arange(1, n_groups) / n_groups)
    return np.unique(np.searchsorted(cuts, probability, side="left"), return_inverse=True)[1]


def _check_counts(
    n_defaults: ArrayLike, n_customers: ArrayLike, expected_rate: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    defaults, customers, rate = (
        np.asarray(each, dtype=np.float64) for each in (n_defaults, n_customers, expected_rate)
    )
    for name, counts, least in (("n_defaults", defaults, 0), ("n_customers", customers, 1)):
        if not (np.isfinite(counts) & (counts >= least) & (counts % 1 == 0)).all():
            raise ValueError(f"{name} must be whole numbers of at least {least}; got {counts}")
    if (defaults > customers).any():
        raise ValueError(f"more defaults than customers: {defaults} of {customers}")
    if not ((rate >= 0) & (rate <= 1)).all():
        raise ValueError(f"expected_rate must lie between 0 and 1; got {rate}")
    return defaults, customers, rate


def _plain(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else value
