"""What a score decides: gains by band, cut-offs with their profit, and who changes sides.

A score is higher for the safer, and a customer is accepted whose score is at the cut-off or above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rfmrisk.histories.parameters import SHARE, at_least, check_parameters
from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.woe.binary_target import check_target, check_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["cutoff_sentence", "cutoff_table", "gains_table", "swap_set", "swap_sides"]

SIDES = ("accepted by both", "swapped in", "swapped out", "rejected by both")
N_CUTOFFS = 20


def gains_table(
    y: ArrayLike, score: ArrayLike, n_bands: int = 10, *, sample_weight: ArrayLike | None = None
) -> pd.DataFrame:
    """Lay out goods and bads by bands of the score, the riskiest first.

    Parameters
    ----------
    y : array-like of shape (n,)
        0 is good, 1 is bad.
    score : array-like of shape (n,)
        Higher is safer.
    n_bands : int, default=10
        Bands of about equal weight. Customers of one score are in one band, so there may be fewer.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the customers; counts are their sums.

    Returns
    -------
    DataFrame
        Indexed by ``band``, from 1: ``score_min`` and ``score_max`` of its customers, ``n``,
        ``share``, ``goods``, ``bads``, ``bad_rate``; ``lift``, the bad rate over that of all;
        ``cum_share``, ``cum_goods`` and ``cum_bads``, the shares of all customers, goods and bads
        up to this band; ``ks``, the distance of the last two [1]_.

    Raises
    ------
    ValueError
        If y is not binary, a score is missing, or ``n_bands`` is below 1.

    References
    ----------
    .. [1] N. Siddiqi, Credit Risk Scorecards, Wiley, 2006, chapter 7.

    Examples
    --------
    >>> from rfmrisk import gains_table
    >>> table = gains_table([1, 1, 0, 1, 0, 0, 0, 0], [500, 510, 520, 530, 540, 550, 560, 570], 4)
    >>> table[["score_min", "n", "bad_rate", "cum_bads", "ks"]].round(2)
          score_min    n  bad_rate  cum_bads    ks
    band
    1           500  2.0       1.0      0.67  0.67
    2           520  2.0       0.5      1.00  0.80
    3           540  2.0       0.0      1.00  0.40
    4           560  2.0       0.0      1.00  0.00
    """
    check_parameters("gains_table", n_bands=(n_bands, [at_least(1)]))
    score, bad, weight = _checked(y, score, sample_weight)
    starts = _even_scores(score, weight, n_bands)
    band = np.searchsorted(starts, score, side="right") - 1
    n = np.bincount(band, weight)
    bads = np.bincount(band, weight * bad)
    goods = n - bads
    order = np.argsort(score, kind="stable")
    last = np.append(np.searchsorted(score[order], starts[1:]), len(score)) - 1
    cum_goods, cum_bads = goods.cumsum() / goods.sum(), bads.cumsum() / bads.sum()
    return pd.DataFrame(
        {
            "score_min": starts,
            "score_max": score[order][last],
            "n": n,
            "share": n / n.sum(),
            "goods": goods,
            "bads": bads,
            "bad_rate": bads / n,
            "lift": bads / n / (bads.sum() / n.sum()),
            "cum_share": n.cumsum() / n.sum(),
            "cum_goods": cum_goods,
            "cum_bads": cum_bads,
            "ks": cum_bads - cum_goods,
        },
        index=pd.RangeIndex(1, len(n) + 1, name="band"),
    )


def cutoff_table(
    y: ArrayLike,
    score: ArrayLike,
    *,
    profit_good: ArrayLike | None = None,
    loss_bad: ArrayLike | None = None,
    cutoffs: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    confidence: float = 0.95,
    n_bootstraps: int = 200,
    random_state: int | None = 0,
) -> pd.DataFrame:
    """Lay out what each cut-off would accept, and earn.

    Parameters
    ----------
    y : array-like of shape (n,)
        0 is good, 1 is bad.
    score : array-like of shape (n,)
        Higher is safer.
    profit_good : float, array-like of shape (n,) or None, default=None
        What an accepted good earns, of all or of each customer.
    loss_bad : float, array-like of shape (n,) or None, default=None
        What an accepted bad costs, as a positive number. The two are given together.
    cutoffs : array-like or None, default=None
        Scores from which on customers are accepted; None is scores that part the customers in
        twentieths.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the customers; counts and profits are weighted sums.
    confidence : float, default=0.95
        Level of the band around the profit: percentiles over bootstrap samples of customers.
    n_bootstraps : int, default=200
        Number of those samples.
    random_state : int or None, default=0
        Of the samples.

    Returns
    -------
    DataFrame
        Indexed by ``cutoff``, ascending: ``approved``, the share of customers accepted;
        ``bad_rate`` of the accepted (NaN where nobody is); ``accepted_goods``,
        ``accepted_bads``, ``rejected_goods``, ``rejected_bads``; with profits also ``profit``,
        ``profit_low`` and ``profit_high``.

    Raises
    ------
    ValueError
        If y is not binary, a score is missing, one of the two amounts is given alone, is
        negative, or a parameter is out of range.

    Examples
    --------
    >>> from rfmrisk import cutoff_table
    >>> y, score = [1, 1, 0, 1, 0, 0, 0, 0], [500, 510, 520, 530, 540, 550, 560, 570]
    >>> table = cutoff_table(y, score, profit_good=10, loss_bad=50, cutoffs=[500, 520, 540])
    >>> table[["approved", "bad_rate", "rejected_goods", "profit"]].round(3)
            approved  bad_rate  rejected_goods  profit
    cutoff
    500         1.00     0.375             0.0  -100.0
    520         0.75     0.167             0.0     0.0
    540         0.50     0.000             1.0    40.0
    """
    check_parameters(
        "cutoff_table",
        confidence=(confidence, [SHARE]),
        n_bootstraps=(n_bootstraps, [at_least(1)]),
        random_state=(random_state, [at_least(0), None]),
    )
    score, bad, weight = _checked(y, score, sample_weight)
    if (profit_good is None) != (loss_bad is None):
        raise ValueError("profit_good and loss_bad must be given together")
    if cutoffs is None:
        at = _even_scores(score, weight, N_CUTOFFS)
    else:
        at = np.unique(np.atleast_1d(np.asarray(cutoffs)))
        if at.ndim != 1 or not len(at) or not np.isfinite(at.astype(np.float64)).all():
            raise ValueError(f"cutoffs must be finite scores; got {cutoffs!r}")
    passed = np.searchsorted(at, score, side="right")  # how many cut-offs each customer passes

    def accepted(amounts: NDArray[np.float64], rows: Any = slice(None)) -> NDArray[np.float64]:
        """Add up, for each cut-off, the amounts of those who pass it."""
        sums = np.bincount(passed[rows], amounts[rows], minlength=len(at) + 1)
        return sums[::-1].cumsum()[::-1][1:]

    goods, bads = accepted(weight * ~bad), accepted(weight * bad)
    n = goods + bads
    all_bads = float(weight[bad].sum())
    table = pd.DataFrame(
        {
            "approved": n / weight.sum(),
            "bad_rate": np.divide(bads, n, out=np.full(len(n), np.nan), where=n > 0),
            "accepted_goods": goods,
            "accepted_bads": bads,
            "rejected_goods": weight.sum() - all_bads - goods,
            "rejected_bads": all_bads - bads,
        },
        index=pd.Index(at, name="cutoff"),
    )
    if profit_good is not None:
        earns = _amounts(profit_good, "profit_good", len(score))
        costs = _amounts(loss_bad, "loss_bad", len(score))
        profit = weight * np.where(bad, -costs, earns)
        rng = np.random.default_rng(random_state)
        drawn = [
            accepted(profit, rng.integers(len(score), size=len(score))) for _ in range(n_bootstraps)
        ]
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        table = table.assign(profit=accepted(profit), profit_low=low, profit_high=high)
    return table


def cutoff_sentence(y: ArrayLike, score: ArrayLike, cutoff: float) -> str:
    """Say in a sentence what a cut-off accepts.

    Parameters
    ----------
    y : array-like of shape (n,)
        0 is good, 1 is bad.
    score : array-like of shape (n,)
        Higher is safer.
    cutoff : float
        Customers with this score or more are accepted.

    Returns
    -------
    str

    Examples
    --------
    >>> from rfmrisk.scorecard import cutoff_sentence
    >>> cutoff_sentence([1, 1, 0, 1, 0, 0, 0, 0], [500, 510, 520, 530, 540, 550, 560, 570], 520)
    'at 520 you accept 75 % with 16.7 % bad'
    """
    return sentence_of(cutoff, cutoff_table(y, score, cutoffs=[cutoff]).iloc[0])


def sentence_of(cutoff: float, row: pd.Series) -> str:
    """Say in a sentence what a row of a table of cut-offs holds."""
    if not row["approved"]:
        return f"at {cutoff:g} you accept nobody"
    return (
        f"at {cutoff:g} you accept {100 * row['approved']:.0f} % "
        f"with {100 * row['bad_rate']:.1f} % bad"
    )


def swap_sides(
    champion: ArrayLike, challenger: ArrayLike, cutoff: float | Sequence[float]
) -> NDArray[np.object_]:
    """Return on which side each customer is under two scores.

    Parameters
    ----------
    champion, challenger : array-like of shape (n,)
        The two scores of each customer, higher is safer.
    cutoff : float or pair of float
        From which score on customers are accepted; a pair is the champion's and the challenger's.

    Returns
    -------
    ndarray of str, shape (n,)
        ``"accepted by both"``, ``"swapped in"`` (by the challenger alone), ``"swapped out"`` or
        ``"rejected by both"``.

    Raises
    ------
    ValueError
        If scores are missing or differ in number, or the cut-off is none.

    Examples
    --------
    >>> from rfmrisk.scorecard import swap_sides
    >>> swap_sides([500, 560, 570], [550, 530, 580], 540).tolist()
    ['swapped in', 'swapped out', 'accepted by both']
    """
    old, new = _scores(champion, "champion"), _scores(challenger, "challenger")
    if len(old) != len(new):
        raise ValueError(
            f"champion and challenger must score the same customers; got {len(old)} and {len(new)}"
        )
    at = np.asarray(cutoff, dtype=np.float64)
    if at.shape not in ((), (2,)) or not np.isfinite(at).all():
        raise ValueError(
            f"cutoff must be a score, or the champion's and challenger's; got {cutoff!r}"
        )
    was, now = (
        scores >= each for scores, each in zip((old, new), np.broadcast_to(at, 2), strict=True)
    )
    return np.select([was & now, now, was], SIDES[:3], SIDES[3]).astype(object)


def swap_set(
    y: ArrayLike,
    champion: ArrayLike | Scorecard,
    challenger: ArrayLike | Scorecard,
    cutoff: float | Sequence[float],
    *,
    X: Any = None,
    n_reasons: int = 3,
) -> pd.DataFrame:
    """Lay out who changes sides when a challenger takes the place of a champion.

    Parameters
    ----------
    y : array-like of shape (n,)
        0 is good, 1 is bad, NaN not known, as of those whom the champion has refused.
    champion, challenger : array-like of shape (n,) or Scorecard
        Scores, higher is safer; or fitted scorecards, which score ``X`` and give the reasons.
    cutoff : float or pair of float
        From which score on customers are accepted; a pair is the champion's and the challenger's.
    X : frame or None, default=None
        The columns of the scorecards.
    n_reasons : int, default=3
        Features to name as reasons.

    Returns
    -------
    DataFrame
        Indexed by ``side``, as `swap_sides` names them: ``n``, ``share``, ``known`` outcomes,
        ``bads`` and ``bad_rate`` among them (NaN where none is known), ``score_change``, the mean
        of the challenger's score less the champion's (NaN where nobody is), and, of two
        scorecards, the ``reasons``: the features that moved the score most, with the mean change
        of their points.

    Raises
    ------
    ValueError
        If there are other labels than 0, 1 and NaN, scores are missing, or lengths differ.

    Examples
    --------
    >>> from rfmrisk import swap_set
    >>> table = swap_set([0, 1, 0, 1], [500, 560, 570, 480], [550, 530, 580, 490], 540)
    >>> table[["n", "bads", "score_change"]]
                      n  bads  score_change
    side
    accepted by both  1     0          10.0
    swapped in        1     0          50.0
    swapped out       1     1         -30.0
    rejected by both  1     1          10.0
    """
    cards = [model for model in (champion, challenger) if isinstance(model, Scorecard)]
    if cards and X is None:
        raise ValueError("X must be given where champion or challenger is a scorecard")
    old, new = (
        _scores(model.predict_score(X) if isinstance(model, Scorecard) else model, name)
        for model, name in ((champion, "champion"), (challenger, "challenger"))
    )
    side = swap_sides(old, new, cutoff)
    outcome = np.asarray(y, dtype=np.float64)
    if outcome.shape != side.shape:
        raise ValueError(f"y must have shape {side.shape}; got {outcome.shape}")
    if not np.isin(outcome[~np.isnan(outcome)], (0, 1)).all():
        raise ValueError("y must be 0 (good), 1 (bad) or NaN (not known)")
    rows = pd.DataFrame({"side": side, "y": outcome, "change": new - old}).groupby("side")
    table = pd.DataFrame(
        {
            "n": rows.size(),
            "share": rows.size() / len(side),
            "known": rows["y"].count(),
            "bads": rows["y"].sum().astype(int),
            "bad_rate": rows["y"].mean(),
            "score_change": rows["change"].mean(),
        }
    ).reindex(pd.Index(SIDES, name="side"))
    whole = ["n", "known", "bads"]
    table[whole] = table[whole].fillna(0).astype(int)
    table["share"] = table["share"].fillna(0.0)
    if len(cards) == 2:
        before, after = (card.feature_points(X) for card in cards)
        moved = after.sub(before, fill_value=0.0)
        table["reasons"] = [_moved_most(moved[side == name], n_reasons) for name in SIDES]
    return table


def _moved_most(moved: pd.DataFrame, n: int) -> str:
    """Name the features that moved the score of some customers most."""
    if moved.empty:
        return ""
    mean = moved.mean()
    mean = mean[mean.abs() >= 0.05].sort_values(key=lambda change: -change.abs(), kind="stable")
    return ", ".join(f"{name} {change:+.1f}" for name, change in mean.head(n).items())


def _checked(
    y: ArrayLike, score: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.float64]]:
    """Return scores, who is bad, and weights, of the rows that count."""
    scores = _scores(score, "score")
    bad = check_target(y, len(scores))
    weight = check_weight(sample_weight, len(scores))
    if weight is None:
        return scores, bad, np.ones(len(scores))
    counts = weight > 0
    check_target(bad[counts], int(counts.sum()))
    return scores[counts], bad[counts], weight[counts]


def _scores(score: Any, name: str) -> NDArray[Any]:
    scores = np.asarray(score)
    if scores.ndim != 1 or scores.dtype.kind not in "iufb":
        scores = np.asarray(score, dtype=np.float64)
    if scores.ndim != 1:
        raise ValueError(f"{name} must have one score a customer; got shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{name} holds missing or infinite scores")
    return scores


def _amounts(amount: Any, name: str, n: int) -> NDArray[np.float64]:
    amounts = np.asarray(amount, dtype=np.float64)
    if amounts.shape not in ((), (n,)) or not (np.isfinite(amounts) & (amounts >= 0)).all():
        raise ValueError(
            f"{name} must be one amount, or one a customer, of 0 or more; got {amount!r}"
        )
    return np.broadcast_to(amounts, n)


def _even_scores(score: NDArray[Any], weight: NDArray[np.float64], n: int) -> NDArray[Any]:
    """Return the distinct scores at which bands of about equal weight begin, ascending."""
    order = np.argsort(score, kind="stable")
    before = weight[order].cumsum() - weight[order]
    starts = np.searchsorted(before, np.arange(n) * (weight.sum() / n) * (1 - 1e-12))
    return np.unique(score[order][np.minimum(starts, len(score) - 1)])
