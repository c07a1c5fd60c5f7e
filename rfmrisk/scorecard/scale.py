"""The scale of a score: points for odds, and back."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit


def probability_to_score(
    probability: ArrayLike, base_score: float = 600, base_odds: float = 50, pdo: float = 20
) -> NDArray[np.float64]:
    """Turn the probability of being bad into a score; a higher score is safer.

    score = base_score + pdo / ln 2 * (ln((1 - p) / p) - ln(base_odds)) [1]_: at odds of
    ``base_odds`` goods to one bad it is ``base_score``, and doubling the odds adds ``pdo``.

    Parameters
    ----------
    probability : array-like
        Probability of being bad. 0 and 1, which have no finite odds, are read as the nearest
        probabilities that do.
    base_score : float, default=600
        Score at the base odds, in points.
    base_odds : float, default=50
        Goods to one bad.
    pdo : float, default=20
        Points that double the odds.

    Returns
    -------
    ndarray of the shape of ``probability``

    Raises
    ------
    ValueError
        If a probability is not between 0 and 1, or the scale is not finite and positive.

    References
    ----------
    .. [1] N. Siddiqi, Credit Risk Scorecards, Wiley, 2006, chapter 6.

    Examples
    --------
    >>> from rfmrisk.scorecard.scale import probability_to_score
    >>> probability_to_score([1 / 51, 1 / 101, 0.5]).round(1)
    array([600. , 620. , 487.1])
    """
    check_scale(base_score, base_odds, pdo)
    p = np.asarray(probability, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"probability must be between 0 and 1; got {p[~((p >= 0) & (p <= 1))]}.")
    p = np.clip(p, np.finfo(float).tiny, 1 - np.finfo(float).epsneg)
    log_odds = np.log1p(-p) - np.log(p)
    return base_score + pdo / np.log(2) * (log_odds - np.log(base_odds))


def score_to_probability(
    score: ArrayLike, base_score: float = 600, base_odds: float = 50, pdo: float = 20
) -> NDArray[np.float64]:
    """Turn a score back into the probability of being bad; see `probability_to_score`.

    Parameters
    ----------
    score : array-like
        Points.
    base_score : float, default=600
        Score at the base odds, in points.
    base_odds : float, default=50
        Goods to one bad.
    pdo : float, default=20
        Points that double the odds.

    Returns
    -------
    ndarray of the shape of ``score``

    Raises
    ------
    ValueError
        If the scale is not finite and positive.

    Examples
    --------
    >>> from rfmrisk.scorecard.scale import score_to_probability
    >>> score_to_probability([600, 620]).round(4)
    array([0.0196, 0.0099])
    """
    check_scale(base_score, base_odds, pdo)
    points = np.asarray(score, dtype=np.float64)
    return expit(-((points - base_score) * np.log(2) / pdo + np.log(base_odds)))


def check_scale(base_score: float, base_odds: float, pdo: float) -> None:
    """Raise on a scale that is not finite and positive."""
    if not np.isfinite(base_score):
        raise ValueError(f"base_score must be finite; got {base_score!r}.")
    if not (base_odds > 0 and np.isfinite(base_odds)):
        raise ValueError(f"base_odds must be above 0; got {base_odds!r}.")
    if not (pdo > 0 and np.isfinite(pdo)):
        raise ValueError(f"pdo must be above 0; got {pdo!r}.")


def check_range(score_range: Any) -> None:
    """Raise on what is no least and greatest score."""
    if score_range is None:
        return
    ends = np.asarray(score_range)
    numbers = ends.shape == (2,) and ends.dtype.kind in "iuf" and bool(np.isfinite(ends).all())
    if not numbers or ends[0] >= ends[1]:
        raise ValueError(
            "score_range must be the least and the greatest score, such as (300, 850), or None; "
            f"got {score_range!r}"
        )
