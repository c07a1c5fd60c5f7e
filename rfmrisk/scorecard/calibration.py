"""Fit log-odds to new outcomes or to a known bad rate: pure functions of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from rfmrisk.scorecard.stepwise import logistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FURTHEST = 700.0  # beyond that, odds are no finite number


def shift_to_rate(
    log_odds: NDArray[np.float64], weight: NDArray[np.float64] | None, rate: float
) -> float:
    """Return what to add to log-odds so that the mean probability is a given rate."""

    def excess(shift: float) -> float:
        return float(np.average(expit(log_odds + shift), weights=weight)) - rate

    return float(brentq(excess, -_FURTHEST, _FURTHEST, xtol=1e-12))


def shift_and_slope(
    log_odds: NDArray[np.float64], bad: NDArray[np.bool_], weight: NDArray[np.float64] | None
) -> tuple[float, float]:
    """Fit the logistic regression of outcomes on log-odds.

    Returns
    -------
    shift, slope : float
        Of the log-odds that fit the outcomes, shift + slope * log_odds.

    Raises
    ------
    ValueError
        If all log-odds are the same, they part goods from bads without an error, or higher ones
        are no riskier.
    """
    if weight is not None:
        counts = weight > 0
        log_odds, bad, weight = log_odds[counts], bad[counts], weight[counts]
    centre, spread = float(np.average(log_odds, weights=weight)), float(log_odds.std())
    if spread <= 1e-9 * max(1.0, abs(centre)):
        raise ValueError("every customer has the same score, so no slope can be fitted; give prior")
    if log_odds[bad].min() >= log_odds[~bad].max():
        raise ValueError(
            f"the score parts the {int(bad.sum())} bads from the {int((~bad).sum())} goods without "
            "an error, so that no slope fits them; calibrate on more outcomes, or give prior"
        )
    standard = ((log_odds - centre) / spread)[:, None]
    weights = np.ones(len(bad)) if weight is None else weight / weight.mean()
    (slope, shift), _ = logistic(standard, bad, weights)
    if slope <= 0:
        raise ValueError(
            "in these outcomes customers with a higher score are no safer, so that points cannot "
            "be issued again; fit a new scorecard"
        )
    return float(shift - slope * centre / spread), float(slope / spread)


def odds_moved(rate: float, prior: float) -> float:
    """Return what to add to log-odds that are made for one bad rate, so that they suit another.

    By Bayes' rule the odds are multiplied by the ratio of the two prior odds (King and Zeng,
    Logistic regression in rare events data, Political Analysis 9, 2001, section 4.1).
    """
    return float(logit(prior) - logit(rate))
