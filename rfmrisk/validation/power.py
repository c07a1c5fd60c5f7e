"""How likely each test was to notice what it is there to notice, at this sample size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from rfmrisk.validation.targets import Floats

ALPHA = 0.05
WORSE = 1.5  # a default rate so many times the one expected
FALL = 0.05  # a fall of the AUC
SHIFT = 0.1  # a population stability index


def rate_power(n_customers: int, expected_rate: float) -> float:
    """Return the exact power of the binomial test against a rate half as high again."""
    n_defaults = stats.binom.isf(ALPHA, n_customers, expected_rate) + 1
    return float(stats.binom.sf(n_defaults - 1, n_customers, min(WORSE * expected_rate, 1.0)))


def fall_power(standard_error: float) -> float:
    """Return the power to notice that the AUC is 0.05 lower."""
    if standard_error <= 0:
        return 1.0
    return float(stats.norm.cdf(FALL / standard_error - stats.norm.isf(ALPHA)))


def chi2_power(probability: Floats, group: np.ndarray, degrees: int) -> float:
    """Return the power of Hosmer's and Lemeshow's test against rates half as high again."""
    n, p = np.bincount(group), np.bincount(group, weights=probability)
    variance = np.maximum(p * (1 - p / n), 1e-12)
    distance = float(np.sum(((WORSE - 1) * p) ** 2 / variance))
    return float(stats.ncx2.sf(stats.chi2.isf(ALPHA, degrees), degrees, distance))


def spiegelhalter_power(probability: Floats) -> float:
    """Return the power of Spiegelhalter's test against rates half as high again."""
    p, worse = probability, np.minimum(WORSE * probability, 1.0)
    slope = 1 - 2 * p
    scale = np.sqrt(np.sum(slope**2 * p * (1 - p)))
    mean = np.sum((worse - p) * slope) / scale
    spread = np.sqrt(np.sum(slope**2 * worse * (1 - worse))) / scale
    bound = stats.norm.isf(ALPHA / 2)
    above, below = stats.norm.sf((bound - mean) / spread), stats.norm.cdf((-bound - mean) / spread)
    return float(above + below)


def shift_power(n_expected: int, n_actual: int, n_bins: int) -> float:
    """Return the power to distinguish a population stability index of 0.1 from chance."""
    degrees, size = n_bins - 1, 1 / n_expected + 1 / n_actual
    return float(stats.ncx2.sf(stats.chi2.isf(ALPHA, degrees), degrees, SHIFT / size))


def power_note(power: float) -> str:
    """Say what a power means.

    Examples
    --------
    >>> power_note(0.12)
    'could hardly have failed'
    """
    if power < 0.3:
        return "could hardly have failed"
    return "may have missed it" if power < 0.8 else "would have noticed"
