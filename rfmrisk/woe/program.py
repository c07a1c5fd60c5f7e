"""The exact dynamic program: the best bins that a set of places to cut allows.

It maximises the information value (Siddiqi 2006, chapter 6)

    IV = sum over bins of (g/G - b/B) * ln((g/G) / (b/B)),

g and b the goods and bads of a bin, G and B those of the whole column, under a number of bins, a
size, and a shape of the bad rates. The state is the last bin (i, j), and not only the place j
where it ends: the best bins up to j need not be the best ones that a bin after j may follow. For
each place, the bins that end there are sorted by rate once, and a running maximum over them
answers every bin that starts there, so k bins over m places cost O(k m^2 log m).

Where bins are to keep their order in each of several periods, a bin that follows another pays for
each period in which their rates are the other way round. Every pair of neighbours then counts by
itself, at O(k m^3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Shape = Literal["auto", "ascending", "descending", "peak", "valley", "auto_shape"] | None
Phases = tuple[int, ...]

# A shape is one or more sequences of phases, of which the best is taken. In a phase the bad rate
# rises from bin to bin (+1), falls (-1) or is free (0); a phase may be empty.
SHAPES: dict[Shape, tuple[Phases, ...]] = {
    "auto": ((1,), (-1,)),
    "ascending": ((1,),),
    "descending": ((-1,),),
    "peak": ((1, -1),),
    "valley": ((-1, 1),),
    "auto_shape": ((1, -1), (-1, 1)),
    None: ((0,),),
}

# Weights are sums of floats: a share below this is rounding, not a customer.
ROUNDING = 1e-12


class Rules(NamedTuple):
    """What the bins of one column have to obey; sizes in units of weight."""

    max_bins: int
    min_size: float
    min_events: float
    max_prebins: int
    total_goods: float
    total_bads: float
    smoothing: float = 0.0  # of the rarer class, added to bins that lack one
    pure: bool = False  # whether a bin may hold goods alone, or bads alone
    price: float = 0.0  # of a period in which two neighbours are the other way round, in IV


class Solution(NamedTuple):
    """The indices of the inner boundaries, ascending, and the value: IV less what was paid."""

    places: NDArray[np.intp]
    value: float


def partition(
    size: NDArray[np.float64],
    bads: NDArray[np.float64],
    phases: Phases,
    rules: Rules,
    periods: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> Solution:
    """Solve the binning exactly over all given places.

    Parameters
    ----------
    size, bads : ndarray of shape (m + 1,)
        Cumulative weight of all, and of bads, at each of the m + 1 places; the first and the
        last are the ends of the column.
    phases : tuple of int
        The shape of the bad rates, one of those in `SHAPES`.
    rules : Rules
        The constraints.
    periods : (ndarray, ndarray) or None, default=None
        Of shape (p, m + 1): the same weights in each of p periods, for ``rules.price``.

    Returns
    -------
    Solution
        Without places where no split is allowed or none gains.
    """
    gain, rate = _all_bins(size, bads, rules)
    last = len(size) - 1
    links: Sequence[_Links | _PricedLinks]
    if periods is None or not rules.price:
        if phases == (0,):
            return best_path(gain, rules.max_bins)
        links = [_links(rate, direction) for direction in phases]
    else:
        links = [_priced_links(rate, direction, periods, rules.price) for direction in phases]
    # value[k][p][i, j]: the best of k + 1 bins of which the last is (i, j), in phase p
    nothing = np.full_like(gain, -np.inf)
    start = nothing.copy()
    start[0] = gain[0]
    value = [[start, *([nothing] * (len(phases) - 1))]]
    for _ in range(rules.max_bins - 1):
        value.append(
            [gain + link.best_before(_before(value[-1], p)) for p, link in enumerate(links)]
        )
    tops = np.array([[table[:, last].max() for table in level] for level in value])
    best = float(tops.max())
    if best == -np.inf:  # not even one bin obeys the rules: it is taken all the same
        return Solution(np.empty(0, dtype=np.intp), 0.0)
    # The fewest bins that reach the best value, read back from the last bin to the first.
    k, p = divmod(int(np.argmax(tops >= best - ROUNDING)), len(phases))
    i, j = int(value[k][p][:, last].argmax()), last
    places = []
    while k > 0:
        places.append(i)
        k -= 1
        paid = links[p].paid(i, j)
        options = [value[k][q][:, i] + paid for q in range(p + 1)]
        earliest = max(p - 1, 0)
        p = earliest + int(np.argmax([option.max() for option in options[earliest:]]))
        i, j = int(options[p].argmax()), i
    return Solution(np.array(places[::-1], dtype=np.intp), best)


def best_path(gain: NDArray[np.float64], max_bins: int) -> Solution:
    """Find the bins of the greatest sum of gains, where any bin may follow any other.

    Parameters
    ----------
    gain : ndarray of shape (m + 1, m + 1)
        Of the bin from place i (row) to place j (column), minus infinity where there is none.
    max_bins : int
        The greatest number of bins.

    Returns
    -------
    Solution
        The fewest bins that reach the greatest sum.
    """
    value = [gain[0]]
    for _ in range(max_bins - 1):
        value.append((value[-1][:, None] + gain).max(axis=0))
    tops = np.array([level[-1] for level in value])
    best = float(tops.max())
    if best == -np.inf:
        return Solution(np.empty(0, dtype=np.intp), 0.0)
    j, places = -1, []
    for k in range(int(np.argmax(tops >= best - ROUNDING)), 0, -1):
        j = int((value[k - 1] + gain[:, j]).argmax())
        places.append(j)
    return Solution(np.array(places[::-1], dtype=np.intp), best)


def _before(level: list[NDArray[np.float64]], phase: int) -> NDArray[np.float64]:
    """Take the values a bin in this phase may follow: of the same phase or of the one before."""
    return level[phase] if phase == 0 else np.maximum(level[phase - 1], level[phase])


def _all_bins(
    size: NDArray[np.float64], bads: NDArray[np.float64], rules: Rules
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the gain and the bad rate of the bin from place i (row) to place j (column).

    A bin that is not allowed gains minus infinity and has no rate (NaN).
    """
    n_all = size[None, :] - size[:, None]
    n_bads = bads[None, :] - bads[:, None]
    gain = gain_of(n_all, n_bads, rules)
    rate = np.full_like(gain, np.nan)
    np.divide(n_bads, n_all, out=rate, where=gain > -np.inf)
    return gain, rate


def gain_of(
    n_all: NDArray[np.float64], n_bads: NDArray[np.float64], rules: Rules
) -> NDArray[np.float64]:
    """Compute what bins of these weights add to the IV; minus infinity if they break a rule."""
    n_goods = n_all - n_bads
    least_goods, least_bads = rules.total_goods * ROUNDING, rules.total_bads * ROUNDING
    allowed = n_all >= rules.min_size * (1 - 1e-9)
    if rules.pure:
        allowed &= n_all > least_goods + least_bads
        n_goods = np.where(n_goods < least_goods, 0.0, n_goods)
        n_bads = np.where(n_bads < least_bads, 0.0, n_bads)
        least_goods = least_bads = 0.0
    allowed &= n_bads >= max(rules.min_events, least_bads)
    allowed &= n_goods >= max(rules.min_events, least_goods)
    good_share = np.where(allowed, n_goods, 1.0) * (1 / rules.total_goods)
    bad_share = np.where(allowed, n_bads, 1.0) * (1 / rules.total_bads)
    difference = good_share - bad_share
    if rules.pure:
        lacks = (good_share <= 0) | (bad_share <= 0)
        added = lacks * (rules.smoothing / min(rules.total_goods, rules.total_bads))
        good_share, bad_share = good_share + added, bad_share + added
    gain = difference * np.log(good_share / bad_share)
    gain[~allowed] = -np.inf
    return gain


class _Links(NamedTuple):
    """Which bin may follow which, as flat indices into the (n, n) tables.

    A step of the program is two gathers.
    """

    rate: NDArray[np.float64]
    direction: int
    ending: NDArray[np.intp]  # row i: the bins (h, i), sorted by rate
    follows: NDArray[np.intp]  # (i, j): the last of them that it may follow, in (n, n + 1)

    def best_before(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each bin (i, j), find the best value of the bins (h, i) that it may follow."""
        running = np.full((len(value), len(value) + 1), -np.inf)
        np.maximum.accumulate(value.take(self.ending), axis=1, out=running[:, 1:])
        return running.take(self.follows)

    def paid(self, i: int, j: int) -> NDArray[np.float64]:
        """Return what the bin (i, j) adds to the value of each (h, i): 0, or minus infinity."""
        follows = self.direction * (self.rate[i, j] - self.rate[:, i]) > 0
        return np.where(follows, 0.0, -np.inf)


def _links(rate: NDArray[np.float64], direction: int) -> _Links:
    """Sort the bins that end at each place, and count those that each bin (i, j) may follow."""
    n = len(rate)
    rows = np.arange(n)[:, None]
    signed = direction * rate
    ending = signed.T.copy()
    order = np.argsort(ending, axis=1)  # NaN, what is not allowed, goes to the end
    ending = np.take_along_axis(ending, order, axis=1)
    np.copyto(signed, -np.inf, where=np.isnan(signed))
    count = np.array([row.searchsorted(new) for row, new in zip(ending, signed, strict=True)])
    return _Links(rate, direction, order * n + rows, count + rows * (n + 1))


class _PricedLinks(NamedTuple):
    """What each bin pays to follow each other: minus infinity where it may not."""

    prices: list[NDArray[np.float64]]  # at i, of shape (i, n - i - 1): what (h, i) and (i, j) cost

    def best_before(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each bin (i, j), find the best of the bins (h, i), less what it pays for it."""
        best = np.full_like(value, -np.inf)
        for i, price in enumerate(self.prices[1:-1], start=1):
            best[i, i + 1 :] = (value[:i, i, None] + price).max(axis=0)
        return best

    def paid(self, i: int, j: int) -> NDArray[np.float64]:
        """Return what the bin (i, j) adds to the value of each (h, i)."""
        paid = np.full(len(self.prices), -np.inf)
        paid[:i] = self.prices[i][:, j - i - 1]
        return paid


def _priced_links(
    rate: NDArray[np.float64],
    direction: int,
    periods: tuple[NDArray[np.float64], NDArray[np.float64]],
    price: float,
) -> _PricedLinks:
    """Count, for all neighbours, the periods in which the order of their rates is another."""
    size, bads = periods
    prices, least = [], ROUNDING * float(size.max())
    for i in range(len(rate)):
        n, b = size[:, i, None], bads[:, i, None]
        before = _rates(n - size[:, :i], b - bads[:, :i], least)
        after = _rates(size[:, i + 1 :] - n, bads[:, i + 1 :] - b, least)
        step = rate[i, None, i + 1 :] - rate[:i, i, None]
        order = np.sign(step) if direction == 0 else np.full(step.shape, float(direction))
        signed = (after[:, None, :] - before[:, :, None]) * order
        n_reversals = np.count_nonzero(signed < -ROUNDING, axis=0)
        paid = np.where(n_reversals > 0, -price * np.maximum(n_reversals, 1), 0.0)
        paid[~((direction == 0) | (direction * step > 0))] = -np.inf
        prices.append(paid)
    return _PricedLinks(prices)


def _rates(
    size: NDArray[np.float64], bads: NDArray[np.float64], least: float
) -> NDArray[np.float64]:
    """Return the bad rates, NaN of nobody, whose order is never another."""
    return np.divide(bads, size, out=np.full(size.shape, np.nan), where=size > least)
