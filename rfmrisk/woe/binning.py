"""Optimal binning of one column: pure functions of NumPy arrays.

A numeric column is sorted and reduced to cumulative weights at the places where it may be cut,
one before each distinct value. The best bins of rising or falling rates are at corners of a
convex hull, where they are found at once unless an inner bin comes out too small. Otherwise up to
``max_prebins`` places are solved exactly (`rfmrisk.woe.program`). Of more, the exact program first
takes quantiles and the knots of isotonic fits, and then, again and again, the places around the
cuts it chose, closer each time, down to single values.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from rfmrisk.woe.program import (
    ROUNDING,
    SHAPES,
    Rules,
    Shape,
    Solution,
    best_path,
    gain_of,
    partition,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from rfmrisk.woe.program import Phases

# Values that are compared at once; they stay in the processor's cache.
BLOCK = 65_536
# Corners of a hull that are combined at once.
CORNERS = 256
# Places on which the isotonic fits are made, and in a window around a cut when it is refined.
GRID = 1024
WINDOW = 512


# With fewer customers of a class, chance alone may separate them from the others.
FEWEST = 3


def cut_numbers(  # noqa: PLR0917 (the rows of one column, and its rules)
    x: NDArray[np.float64],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    shape: Shape,
    rules: Rules,
    period: NDArray[np.intp] | None = None,
) -> NDArray[np.float64]:
    """Find the cut points of a numeric column.

    A column of which one cut separates the classes has that cut.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Finite values.
    bad : ndarray of bool, shape (n,)
        True is bad.
    weight : ndarray of shape (n,) or None
        Positive weights.
    shape : str or None
        The shape of the bad rates, a key of `rfmrisk.woe.program.SHAPES`.
    rules : Rules
        The constraints.
    period : ndarray of int, shape (n,), or None, default=None
        The period of each row, from 0, for ``rules.price``.

    Returns
    -------
    ndarray of shape (b - 1,)
        Ascending cuts; bin k is ``cuts[k-1] <= x < cuts[k]``. Each cut is the number with the
        fewest digits that separates the two neighbouring values.
    """
    if x.size == 0 or rules.max_bins < 2:
        return np.empty(0)
    keys, places = sort_column(x, bad, weight, period if rules.price else None)
    chosen = _separating(keys, places, shape)
    if not len(chosen):
        chosen = best_places(places, shape, rules)
    return _cuts_at(keys, places.starts[chosen])


def candidate_cuts(
    x: NDArray[np.float64],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    shape: Shape,
    rules: Rules,
) -> NDArray[np.float64]:
    """Return the cuts from which `cut_numbers` starts, some ``max_prebins``."""
    if x.size == 0:
        return np.empty(0)
    keys, places = sort_column(x, bad, weight)
    starts = [_candidates(places, phases, rules) for phases in SHAPES[shape]]
    return _cuts_at(keys, places.starts[np.unique(np.concatenate(starts))[1:-1]])


def _cuts_at(keys: NDArray[np.int64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return round numbers that cut a sorted column before some of its rows."""
    return np.array([_between(_value(keys[r - 1] | 1), _value(keys[r] & ~1)) for r in rows])


class Places(NamedTuple):
    """Where a sorted column may be cut, and the cumulative weights there.

    ``starts`` (d + 1,) is the row where each of the d distinct values begins, and the number of
    rows; ``size`` and ``bads`` (rows + 1,) are the weights before each row, ``size`` None where
    every row weighs 1. Of each period ``periods`` has its rows, in this order, and the weights of
    all and of bads before each of them.
    """

    starts: NDArray[np.intp]
    size: NDArray[np.float64] | None
    bads: NDArray[np.float64] | NDArray[np.int64]
    periods: tuple[tuple[NDArray[np.intp], NDArray, NDArray], ...] = ()

    @property
    def last(self) -> int:
        """The place after the last value."""
        return len(self.starts) - 1

    @property
    def total(self) -> float:
        """The weight of the column."""
        return float(self.starts[-1] if self.size is None else self.size[-1])

    def weights(
        self, place: NDArray[np.intp] | slice
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the cumulative weights of all and of bads at some places."""
        row = self.starts[place]
        size = row if self.size is None else self.size[row]
        return size.astype(np.float64), self.bads[row].astype(np.float64)

    def weights_by_period(
        self, place: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return the same for each period, of shape (p, places); None where there are none."""
        if not self.periods:
            return None
        weights = np.empty((2, len(self.periods), len(place)))
        for p, (rows, size, bads) in enumerate(self.periods):
            before = rows.searchsorted(self.starts[place])
            weights[:, p] = size[before], bads[before]
        return weights[0], weights[1]

    def at(self, size: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the first places with so much weight before them."""
        row = size if self.size is None else np.searchsorted(self.size, size)
        return np.minimum(np.searchsorted(self.starts, row), self.last)


def sort_column(
    x: NDArray[np.float64],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    period: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.int64], Places]:
    """Sort a column, as integers, and add up its weights.

    The bits of a float, read as sign and magnitude of an integer, sort like the float, and so y
    travels through the sort in the lowest bit. Values that differ in that bit alone, 2e-16 of
    their size, count as equal; so do -0.0 and 0.0.
    """
    keys = np.array(x, dtype=np.float64).view(np.int64)
    negative = keys >> 63  # all bits of a negative, none of another
    keys &= np.iinfo(np.int64).max
    keys ^= negative
    keys -= negative
    del negative
    keys &= ~1
    keys |= bad
    order = None
    if weight is None and period is None:
        keys.sort()
    else:
        order = np.argsort(keys)
        keys = keys[order]
        weight = None if weight is None else weight[order]
    is_bad = keys & 1
    size, bads = None, _before(is_bad)
    if weight is not None:
        size, bads = _before(weight), _before(weight * is_bad)
    changes = np.flatnonzero((keys[1:] ^ keys[:-1]).view(np.uint64) > 1) + 1
    starts = np.concatenate([[0], changes, [len(keys)]])
    if period is None:
        return keys, Places(starts, size, bads)
    each = np.ones(len(keys)) if weight is None else weight
    return keys, Places(starts, size, bads, _by_period(period[order], each, each * is_bad))


def _by_period(
    period: NDArray[np.intp], size: NDArray[np.float64], bads: NDArray[np.float64]
) -> tuple[tuple[NDArray[np.intp], NDArray, NDArray], ...]:
    """Add up the weights of the rows of each period."""
    rows = (np.flatnonzero(period == p) for p in range(int(period.max(initial=0)) + 1))
    return tuple((of, _before(size[of]), _before(bads[of])) for of in rows)


def _separating(keys: NDArray[np.int64], places: Places, shape: Shape) -> NDArray[np.intp]:
    """Return the place that has all goods on one side and all bads on the other, if there is one.

    The bins of the exact program hold some of both, and so it never sees this one. Rare bads make
    a small bin, which is taken all the same: a column that knows the outcome is to be seen.
    """
    is_bad = keys & 1
    changes = np.flatnonzero(is_bad[1:] != is_bad[:-1]) + 1
    n_bads = int(is_bad.sum())
    by_chance = min(n_bads, len(keys) - n_bads) < FEWEST
    if len(changes) != 1 or by_chance or shape == ("descending" if is_bad[-1] else "ascending"):
        return changes[:0]
    place = np.searchsorted(places.starts, changes)
    return place if places.starts[place[0]] == changes[0] else changes[:0]


def _before(values: NDArray) -> NDArray:
    total = np.zeros(len(values) + 1, dtype=values.dtype)
    np.cumsum(values, out=total[1:])
    return total


def places_of_cells(cells: tuple[NDArray, NDArray], *periods: tuple[NDArray, NDArray]) -> Places:
    """Return the places between cells of such weights, of all and of bads, and in each period."""
    size, bads = cells
    rows = np.arange(len(size))
    by_period = tuple((rows, _before(n), _before(b)) for n, b in periods)
    return Places(np.arange(len(size) + 1), _before(size), _before(bads), by_period)


def _value(key: np.int64) -> float:
    magnitude = np.array([abs(key)]).view(np.float64)[0]
    return float(np.copysign(magnitude, key))


def best_places(places: Places, shape: Shape, rules: Rules) -> NDArray[np.intp]:
    """Choose where to cut among all places.

    Bins hold some goods and some bads. Where no such split is allowed, as where one value has bads
    alone and the rest is one other, those that hold one of both are.

    Parameters
    ----------
    places : Places
        The sorted column.
    shape : str or None
        The shape of the bad rates.
    rules : Rules
        The constraints.

    Returns
    -------
    ndarray of int
        Indices of the chosen inner places, ascending.
    """
    best = _best(places, shape, rules)
    if not best.places.size and places.last > 1 and rules.smoothing:
        best = _best(places, shape, rules._replace(pure=True))
    return best.places


def _best(places: Places, shape: Shape, rules: Rules) -> Solution:
    best = Solution(np.empty(0, dtype=np.intp), 0.0)
    for way in sorted(_ways(places, shape, rules), key=lambda way: -way.bound):
        if way.bound <= best.value:
            break
        found = _best_of(places, way, rules, best.value)
        if found.value > best.value:
            best = found
    return best


class Way(NamedTuple):
    """A sequence of phases, what bins of it can reach, and corners of the hull they may lie on."""

    phases: Phases
    bound: float = np.inf
    corners: NDArray[np.intp] | None = None


def _ways(places: Places, shape: Shape, rules: Rules) -> Iterator[Way]:
    """Look where the bins of each sequence of phases lie, on a convex hull if they are monotone.

    Bad rates rise from bin to bin where the cumulative bads over the cumulative weight are a
    convex line. Such a line through any places can be moved down to the lower hull of them, which
    makes the rates differ more, and then each cut along its edge of the hull, over which the value
    is convex, to the better end. So the best bins end at corners of the hull, between which all
    rates are in order. The hull is of the places where the first bin and the last may end; what
    it leaves open is whether an inner bin is large enough.
    """
    monotone = [phases for phases in SHAPES[shape] if phases in ((1,), (-1,)) and not rules.pure]
    yield from (Way(phases) for phases in SHAPES[shape] if phases not in monotone)
    if not monotone:
        return
    size, bads = places.weights(slice(None))
    cumulative = size, bads, size - bads
    events = (
        max(rules.min_events, total * ROUNDING) for total in (rules.total_bads, rules.total_goods)
    )
    least = rules.min_size * (1 - 1e-9), *events
    first = max(int(x.searchsorted(n)) for x, n in zip(cumulative, least, strict=True))
    end = min(
        int(x.searchsorted(x[-1] - n, side="right")) for x, n in zip(cumulative, least, strict=True)
    )
    if first >= end:
        return
    at = np.concatenate([[0], np.arange(first, end), [places.last]])
    size, bads = size[at], bads[at]
    step = np.maximum(np.diff(size), ROUNDING * places.total)
    rate = np.diff(bads) / step
    free = rules._replace(min_size=0.0, min_events=0.0)
    for phases in monotone:
        # Where the rate does not rise there is no corner, and most places are gone.
        corners = np.flatnonzero(phases[0] * np.diff(rate) > 0) + 1
        corners = np.concatenate([[0], corners, [len(rate)]])
        steps = np.add.reduceat(step, corners[:-1])
        rates = np.diff(bads[corners]) / steps
        fit = isotonic_regression(rates, weights=steps, increasing=phases[0] > 0)
        corners = corners[fit.blocks]
        bound = gain_of(np.diff(size[corners]), np.diff(bads[corners]), free).sum()
        few = len(corners) <= CORNERS and not rules.price
        yield Way(phases, float(bound), at[corners] if few else None)


def _best_of(places: Places, way: Way, rules: Rules, least: float) -> Solution:
    """Find the best bins of some phases, unless they do not reach the least value.

    Where they are not on the hull, some of the places are solved, and then those closer and
    closer around the cuts that were found.
    """
    start = np.empty(0, dtype=np.intp)
    if way.corners is not None:
        size, bads = places.weights(way.corners)
        weights = size - size[:, None], bads - bads[:, None]
        free = rules._replace(min_size=0.0, min_events=0.0)
        found = best_path(gain_of(*weights, free), rules.max_bins)
        ends = np.concatenate([[0], found.places, [len(size) - 1]])
        allowed = np.isfinite(gain_of(np.diff(size[ends]), np.diff(bads[ends]), rules)).all()
        if allowed or found.value <= least:
            return Solution(way.corners[found.places], found.value)
        start = way.corners[best_path(gain_of(*weights, rules), rules.max_bins).places]
    candidates = np.union1d(_candidates(places, way.phases, rules), start)
    solution = _solve(places, candidates, way.phases, rules)
    if len(candidates) <= places.last:
        solution = _refine(places, solution, way.phases, rules)
    return solution


def _candidates(places: Places, phases: Phases, rules: Rules) -> NDArray[np.intp]:
    """Choose places to start from: quantiles, and the knots of isotonic fits."""
    last, n_places = places.last, rules.max_prebins
    if last <= n_places:
        return np.arange(last + 1)
    grid = np.arange(last + 1)
    if last > GRID:
        by_weight = places.at(np.linspace(0, places.total, GRID // 2 + 1))
        grid = np.union1d(by_weight, np.linspace(0, last, GRID // 2 + 1).astype(np.intp))
    size, bads = places.weights(grid)
    step = np.maximum(np.diff(size), ROUNDING * places.total)
    directions = phases if phases in ((1,), (-1,)) else (1, -1)
    knots = []
    for direction in directions:
        fit = isotonic_regression(np.diff(bads) / step, weights=step, increasing=direction > 0)
        knots.append(_thin(grid[fit.blocks], (n_places - n_places // 2) // len(directions)))
    quantiles = places.at(np.linspace(0, places.total, n_places // 2 + 1))
    limits = places.at(np.array([rules.min_size, places.total - rules.min_size]))
    return np.unique(np.concatenate([[0, last], limits, quantiles, *knots]))


def _thin(places: NDArray[np.intp], n_places: int) -> NDArray[np.intp]:
    """Keep at most so many places, evenly."""
    if len(places) <= n_places:
        return places
    return places[np.linspace(0, len(places) - 1, n_places).astype(np.intp)]


def _solve(places: Places, candidates: NDArray[np.intp], phases: Phases, rules: Rules) -> Solution:
    by_period = places.weights_by_period(candidates)
    chosen, value = partition(*places.weights(candidates), phases, rules, by_period)
    return Solution(candidates[chosen], value)


def _refine(places: Places, solution: Solution, phases: Phases, rules: Rules) -> Solution:
    """Solve again over the most promising places around the cuts, in ever smaller windows.

    The cuts found so far are always among the candidates, so no step loses.
    """
    radius = places.last
    while len(solution.places):
        ends = np.concatenate([[0], solution.places, [places.last]])
        before, here, after = ends[:-2, None], ends[1:-1, None], ends[2:, None]
        low, high = np.maximum(before + 1, here - radius), np.minimum(after - 1, here + radius)
        window = (low + np.round((high - low) * np.linspace(0, 1, WINDOW))).astype(np.intp)
        gain = _gain_of_split(places, before, window, after, rules)
        n_best = max(rules.max_prebins * 2 // (5 * len(here)), 2)
        best = np.take_along_axis(window, np.argpartition(-gain, n_best, axis=1), axis=1)
        even = window[:, np.linspace(0, WINDOW - 1, max(n_best // 2, 2)).astype(np.intp)]
        at_limit = [
            places.at(places.weights(before)[0] + rules.min_size),
            places.at(places.weights(after)[0] - rules.min_size),
        ]
        near = np.concatenate([best[:, :n_best], even, *at_limit], axis=1)
        better = _solve(places, np.union1d(ends, near), phases, rules)
        gains = better.value > solution.value + ROUNDING
        if gains:
            solution = better
        elif (high - low).max() < WINDOW:  # every place of every window was looked at
            break
        radius = max(int((high - low).max() * 2 / WINDOW), WINDOW // 2 - 1)
    return solution


def _gain_of_split(
    places: Places,
    before: NDArray[np.intp],
    here: NDArray[np.intp],
    after: NDArray[np.intp],
    rules: Rules,
) -> NDArray[np.float64]:
    """Compute the value of the two bins on both sides of a place; minus infinity if too small."""
    marks = [places.weights(place) for place in (before, here, after)]
    gain = np.zeros(here.shape)
    for (size, bads), (next_size, next_bads) in pairwise(marks):
        n_all, n_bads = next_size - size, next_bads - bads
        gain += gain_of(n_all, n_bads, rules)
    return gain


def count_cuts(x: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the bin of each value, the number of cuts at or below it, whatever for NaN.

    Few comparisons of whole blocks are several times faster than a binary search of each value.
    """
    if len(cuts) > 16:
        return np.searchsorted(cuts, x, side="right")
    codes = np.zeros(len(x), dtype=np.uint8)
    above = np.empty(min(len(x), BLOCK), dtype=bool)
    one = above.view(np.uint8)
    for start in range(0, len(x), BLOCK):
        part, code = x[start : start + BLOCK], codes[start : start + BLOCK]
        for cut in cuts:
            np.greater_equal(part, cut, out=above[: len(part)])
            code += one[: len(part)]
    return codes.astype(np.intp)


def _between(low: float, high: float) -> float:
    """Return a round cut between two values that separates them as 32-bit floats too.

    It keeps a distance of such a float's rounding from both, as each may come in the other
    precision; a whole number that 32 bits hold is itself a cut.
    """
    with np.errstate(over="ignore", under="ignore"):
        above, below = max(low, float(np.float32(low))), min(high, float(np.float32(high)))
    if not (above < below and np.isfinite([above, below]).all()):
        return roundest(low, high)
    room = min(below / 4 - above / 4, 2.0**-22 * max(abs(above), abs(below)))
    if not (high.is_integer() and below == high):
        below -= room
    return roundest(above + room, below)


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
        for candidate in (number, round(number - 10.0**-digits, digits)):
            if low < candidate <= high:
                return candidate
    return high


def group_levels(
    codes: NDArray[np.intp],
    n_levels: int,
    y: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    rules: Rules,
    *,
    min_level_size: float,
    period: NDArray[np.intp] | None = None,
) -> NDArray[np.intp]:
    """Merge the levels of a categorical column, each of which has rows, into bins.

    Sorted by bad rate, the optimal groups of levels are neighbours (true of every convex
    divergence, IV among them), so the same dynamic program solves this exactly. Levels smaller
    than ``min_level_size`` are pooled first: their rates are mostly noise. Where an order that
    does not hold in each period has a price, the groups are the best of neighbours.

    Returns
    -------
    ndarray of int, shape (n_levels,)
        The bin of each level, numbered from the safest.
    """
    if n_levels == 0:
        return np.empty(0, dtype=np.intp)
    size = np.bincount(codes, weights=weight)
    bads = np.bincount(codes[y], weights=None if weight is None else weight[y], minlength=n_levels)
    rare = size < min_level_size
    pool = np.where(rare, n_levels, np.arange(n_levels))
    size_pooled = np.bincount(pool, weights=size)
    bads_pooled = np.bincount(pool, weights=bads)
    used = np.flatnonzero(size_pooled > 0)
    is_bad = bads_pooled > 0
    if rules.max_bins > 1 and (is_bad[used] == (bads_pooled[used] >= size_pooled[used])).all():
        # The levels separate the classes. Ids do so too, but hardly any of them comes twice.
        n_levels_of = np.bincount(is_bad[used], minlength=2)
        n_rows_of = np.bincount(y.astype(np.intp), minlength=2)
        if n_rows_of.min() >= FEWEST and (2 * n_levels_of <= n_rows_of).all():
            return is_bad.astype(np.intp)[pool]
    if 2 * len(used) > len(codes):  # of categories that hardly come twice each is pure by chance
        rules = rules._replace(smoothing=0.0)
    used = used[np.argsort(bads_pooled[used] / size_pooled[used], kind="stable")]
    cells = [(size_pooled[used], bads_pooled[used])]
    if period is not None and rules.price:
        for p in range(int(period.max(initial=0)) + 1):
            rows = period == p
            levels, own = pool[codes[rows]], None if weight is None else weight[rows]
            size_of = np.bincount(levels, own, n_levels + 1)
            bads_of = np.bincount(levels, y[rows] if own is None else own * y[rows], n_levels + 1)
            cells.append((size_of[used], bads_of[used]))
    places = best_places(places_of_cells(*cells), "ascending", rules)
    bin_of = np.zeros(n_levels + 1, dtype=np.intp)
    bin_of[used] = np.searchsorted(places, np.arange(len(used)), side="right")
    return bin_of[pool]


def weight_of_evidence(
    goods: ArrayLike, bads: ArrayLike, smoothing: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the WoE and the information value of each bin.

    WoE = ln(share of goods / share of bads), positive is safer [1]_. A bin that lacks goods or
    bads has customers of average risk added: ``smoothing``, in units of weight, of the class that
    is rarer in the sample, and of the other as many as there are to so many of the rarer. Its
    WoE tends to 0 with them, and never passes it. An empty bin is neutral (0).

    References
    ----------
    .. [1] N. Siddiqi, Credit Risk Scorecards, Wiley, 2006, chapter 6.
    """
    g, b = np.asarray(goods, dtype=float), np.asarray(bads, dtype=float)
    bump = np.where((g <= 0) | (b <= 0), smoothing / min(g.sum(), b.sum()), 0.0)
    good_share, bad_share = g / g.sum() + bump, b / b.sum() + bump
    ratio = np.divide(good_share, bad_share, out=np.ones_like(good_share), where=g + b > 0)
    woe = np.log(ratio)
    return woe, (good_share - bad_share) * woe


def psi_by_bin(
    expected: NDArray, actual: NDArray, units: tuple[float, float] = (1.0, 1.0)
) -> NDArray[np.float64]:
    """Compute what each bin adds to the population stability index of two sets of counts.

    Parameters
    ----------
    expected, actual : ndarray of shape (b,)
        Weights of two samples in the same bins.
    units : (float, float), default=(1, 1)
        The mean weight of a row in each: a bin that one sample lacks counts as half a row.

    Returns
    -------
    ndarray of shape (b,)
        0 for a bin that both lack.
    """
    p = np.where(expected > 0, expected, units[0] / 2) / expected.sum()
    q = np.where(actual > 0, actual, units[1] / 2) / actual.sum()
    return np.where((expected > 0) | (actual > 0), (q - p) * np.log(q / p), 0.0)


def psi_of(expected: NDArray, actual: NDArray, units: tuple[float, float] = (1.0, 1.0)) -> float:
    """Compute the population stability index of two sets of counts; see `psi_by_bin`."""
    return float(psi_by_bin(expected, actual, units).sum())
