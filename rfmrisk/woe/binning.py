"""Optimal binning of one column: pure functions of NumPy arrays.

A column is reduced to the cumulative weight of all and of bads at the places where it may be cut.
An exact dynamic program then finds the cuts with the greatest information value

    IV = sum over bins of (g/G - b/B) * ln((g/G) / (b/B)),

g and b the goods and bads of a bin, G and B those of the whole column, under a number of bins,
a size and a shape of the bad rates. Because its state is the last bin, and not only where that
bin ends, the result is the optimum and not merely a good guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Floats = "NDArray[np.float64]"

Shape = Literal["auto", "ascending", "descending", "peak", "valley", "auto_shape"] | None

# A shape is a sequence of phases: +1 the bad rate rises from bin to bin, -1 it falls, 0 free.
SHAPES: dict[str | None, list[list[int]]] = {
    "auto": [[1], [-1]],
    "ascending": [[1]],
    "descending": [[-1]],
    "peak": [[1, -1]],
    "valley": [[-1, 1]],
    "auto_shape": [[1, -1], [-1, 1]],
    None: [[0]],
}


class Rules(NamedTuple):
    """What the bins of one column have to obey; sizes in units of weight."""

    max_bins: int
    min_size: float
    min_events: float
    shape: Shape
    max_prebins: int
    total_goods: float
    total_bads: float


class Distribution(NamedTuple):
    """A sorted column: cumulative weights before each distinct value, ending with the totals.

    ``low`` and ``high`` (d,) bound the distinct values; ``size`` and ``bads`` are (d + 1,).
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    size: NDArray[np.float64]
    bads: NDArray[np.float64]


def cut_numbers(
    x: NDArray[np.float64],
    y: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    rules: Rules,
) -> NDArray[np.float64]:
    """Find the cut points of a numeric column.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Finite values.
    y : ndarray of bool, shape (n,)
        True is bad.
    weight : ndarray of shape (n,) or None
        Positive weights.
    rules : Rules
        The constraints.

    Returns
    -------
    ndarray of shape (b - 1,)
        Ascending cuts; bin k is ``cuts[k-1] <= x < cuts[k]``. Each cut is the number with the
        fewest digits that separates the two neighbouring values.
    """
    if x.size == 0 or rules.max_bins < 2:
        return np.empty(0)
    column = distribution(x, y, weight)
    places = best_places(column.size, column.bads, rules)
    return np.array([roundest(column.high[p - 1], column.low[p]) for p in places], dtype=float)


def distribution(
    x: NDArray[np.float64], y: NDArray[np.bool_], weight: NDArray[np.float64] | None
) -> Distribution:
    """Sort a column and add up its weights."""
    order = np.argsort(x, kind="stable")
    values = x[order]
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    w = np.ones(x.size) if weight is None else weight[order]
    size = np.append(np.append(0.0, np.cumsum(w))[starts], w.sum())
    bads_all = np.append(0.0, np.cumsum(w * y[order]))
    return Distribution(
        values[starts], values[starts], size, np.append(bads_all[starts], bads_all[-1])
    )


def best_places(
    size: NDArray[np.float64], bads: NDArray[np.float64], rules: Rules
) -> NDArray[np.intp]:
    """Choose the places to cut among all, from the cumulative weights at each (d + 1,)."""
    last = len(size) - 1
    candidates = np.arange(last + 1)
    if last > rules.max_prebins:
        wanted = np.linspace(0, size[-1], rules.max_prebins + 1)
        candidates = np.unique(np.append(np.searchsorted(size, wanted[:-1]), last))
    chosen = partition(size[candidates], bads[candidates], rules)[0]
    return candidates[chosen]


def partition(
    size: NDArray[np.float64], bads: NDArray[np.float64], rules: Rules
) -> tuple[NDArray[np.intp], float]:
    """Solve the binning exactly over all given places.

    Parameters
    ----------
    size, bads : ndarray of shape (m + 1,)
        Cumulative weight of all, and of bads, before each of the m pre-bins and after the last.
    rules : Rules
        The constraints.

    Returns
    -------
    places : ndarray of int
        Indices of the inner boundaries, ascending; empty where no split is allowed or gains.
    value : float
        The information value.
    """
    n_bads = bads[None, :] - bads[:, None]  # of the bin from place i (row) to place j (column)
    n_all = size[None, :] - size[:, None]
    n_goods = n_all - n_bads
    least = rules.min_events
    allowed = (n_all > 0) & (n_all >= rules.min_size) & (n_bads > 0) & (n_goods > 0)
    allowed &= (n_bads >= least) & (n_goods >= least)
    good_share = np.where(allowed, n_goods, 1.0) / rules.total_goods
    bad_share = np.where(allowed, n_bads, 1.0) / rules.total_bads
    gain = np.where(allowed, (good_share - bad_share) * np.log(good_share / bad_share), -np.inf)
    rate = np.where(allowed, n_bads, np.inf) / np.where(allowed, n_all, 1.0)
    best: tuple[NDArray[np.intp], float] = (np.empty(0, dtype=np.intp), -np.inf)
    for phases in SHAPES[rules.shape]:
        places, value = _solve(gain, rate, phases, rules.max_bins)
        if value > best[1]:
            best = places, value
    return best


def _solve(
    gain: NDArray[np.float64], rate: NDArray[np.float64], phases: list[int], max_bins: int
) -> tuple[NDArray[np.intp], float]:
    """Run the dynamic program: value[k][p][i, j] is the best of k bins that end with (i, j)."""
    last = len(gain) - 1
    links = [_predecessors(rate, direction) for direction in phases]
    first = np.full_like(gain, -np.inf)
    first[0] = gain[0]
    values = [[first] + [np.full_like(gain, -np.inf)] * (len(phases) - 1)]
    for _ in range(max_bins - 1):
        before = values[-1]
        values.append(
            [
                gain
                + _best_before(before[p] if p == 0 else np.maximum(before[p - 1], before[p]), *link)
                for p, link in enumerate(links)
            ]
        )
    tops = np.array([[table[:, last].max() for table in level] for level in values])
    k, p = np.unravel_index(np.argmax(tops > tops.max() - 1e-12), tops.shape)
    if not np.isfinite(tops[k, p]):
        return np.empty(0, dtype=np.intp), -np.inf
    value, i, j = float(tops[k, p]), int(values[k][p][:, last].argmax()), last
    places = []
    while k > 0:
        places.append(i)
        direction = phases[p]
        legal = (
            np.ones(last + 1, bool) if direction == 0 else direction * (rate[i, j] - rate[:, i]) > 0
        )
        options = [np.where(legal, values[k - 1][q][:, i], -np.inf) for q in {max(p - 1, 0), p}]
        phase_options = sorted({max(p - 1, 0), p})
        options = [np.where(legal, values[k - 1][q][:, i], -np.inf) for q in phase_options]
        pick = int(np.argmax([option.max() for option in options]))
        i, j, p, k = int(options[pick].argmax()), i, phase_options[pick], k - 1
    return np.array(places[::-1], dtype=np.intp), value


def _predecessors(
    rate: NDArray[np.float64], direction: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sort the bins that end at each place by rate, and count those that (i, j) may follow."""
    n = len(rate)
    if direction == 0:
        return np.tile(np.arange(n), (n, 1)), np.full((n, n), n)
    ending = np.where(np.isfinite(rate), direction * rate, np.inf).T  # row i: the bins (h, i)
    starting = np.where(np.isfinite(rate), direction * rate, -np.inf)
    order = np.argsort(ending, axis=1)
    count = np.array(
        [np.searchsorted(np.take(e, o), s) for e, o, s in zip(ending, order, starting, strict=True)]
    )
    return order, count


def _best_before(
    value: NDArray[np.float64], order: NDArray[np.intp], count: NDArray[np.intp]
) -> NDArray[np.float64]:
    """For each bin (i, j), the best value of a bin (h, i) that it may follow."""
    running = np.maximum.accumulate(np.take_along_axis(value.T, order, axis=1), axis=1)
    none = np.full((len(value), 1), -np.inf)
    return np.take_along_axis(np.hstack([none, running]), count, axis=1)


def roundest(low: float, high: float) -> float:
    """Return the number with the fewest digits in the half-open interval (low, high].

    Examples
    --------
    >>> roundest(34.987, 35.103)
    35.0
    >>> roundest(3.0, 4.0)
    4.0
    """
    largest = max(abs(low), abs(high))
    start = int(np.floor(np.log10(largest))) + 1 if largest > 0 else 0
    for digits in range(-start, 18 - start):
        number = round(high, digits)
        for candidate in (number, number - 10.0**-digits):
            candidate = float(round(candidate, digits))
            if low < candidate <= high:
                return candidate
    return float(high)


def group_levels(
    codes: NDArray[np.intp],
    n_levels: int,
    y: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    rules: Rules,
    min_level_size: float,
) -> NDArray[np.intp]:
    """Merge the levels of a categorical column into bins.

    Sorted by bad rate, the optimal groups of levels are neighbours (true of every convex
    divergence, IV among them), so the same dynamic program solves this exactly. Levels smaller
    than ``min_level_size`` are pooled first: their rates are mostly noise.

    Returns
    -------
    ndarray of int, shape (n_levels,)
        The bin of each level, numbered from the safest.
    """
    if n_levels == 0:
        return np.empty(0, dtype=np.intp)
    size = np.bincount(codes, weights=weight, minlength=n_levels).astype(float)
    bads = np.bincount(codes[y], weights=None if weight is None else weight[y], minlength=n_levels)
    rare = size < min_level_size
    pool = np.where(rare, n_levels, np.arange(n_levels))
    size_pooled = np.bincount(pool, weights=size, minlength=n_levels + 1)
    bads_pooled = np.bincount(pool, weights=bads, minlength=n_levels + 1)
    used = np.flatnonzero(size_pooled > 0)
    used = used[np.argsort(bads_pooled[used] / size_pooled[used], kind="stable")]
    places = best_places(
        np.append(0.0, np.cumsum(size_pooled[used])),
        np.append(0.0, np.cumsum(bads_pooled[used])),
        rules._replace(shape="ascending"),
    )
    bin_of = np.zeros(n_levels + 1, dtype=np.intp)
    bin_of[used] = np.searchsorted(places, np.arange(len(used)), side="right")
    return bin_of[pool]


def weight_of_evidence(
    goods: ArrayLike, bads: ArrayLike, smoothing: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the WoE and the information value of each bin.

    WoE = ln(share of goods / share of bads), positive is safer [1]_. A bin without a good or
    without a bad has ``smoothing`` added to both; an empty bin is neutral (0).

    References
    ----------
    .. [1] N. Siddiqi, Credit Risk Scorecards, Wiley, 2006, chapter 6.
    """
    g, b = np.asarray(goods, dtype=float), np.asarray(bads, dtype=float)
    bump = np.where((g <= 0) | (b <= 0), smoothing, 0.0)
    good_share, bad_share = (g + bump) / g.sum(), (b + bump) / b.sum()
    known = (good_share > 0) & (bad_share > 0) & (g + b > 0)
    ratio = np.divide(good_share, bad_share, out=np.ones_like(good_share), where=known)
    woe = np.log(ratio)
    return woe, (good_share - bad_share) * woe


def psi_of(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """Compute the population stability index of two sets of counts over the same bins.

    A count of zero in one sample counts as half a row.
    """
    before, after = np.asarray(expected, dtype=float), np.asarray(actual, dtype=float)
    used = (before > 0) | (after > 0)
    before, after = before[used], after[used]
    p = np.where(before > 0, before, 0.5) / before.sum()
    q = np.where(after > 0, after, 0.5) / after.sum()
    return float(np.sum((q - p) * np.log(q / p)))
