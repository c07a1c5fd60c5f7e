"""Bins over time: whether their bad rates keep their order in each period, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd

from rfmrisk.woe.binning import best_places, candidate_cuts, count_cuts, places_of_cells
from rfmrisk.woe.program import ROUNDING, gain_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from rfmrisk.woe.bins import ColumnBins
    from rfmrisk.woe.program import Rules, Shape

# The level of an index whose labels are periods: rows that are taken of a table take theirs along.
PERIOD = "period"
# Of so many periods each is too short to have an order of rates.
MOST_PERIODS = 120


class Cells(TypedDict):
    """The smallest parts of a column that bins are made of, in order, counted in each period.

    Only numbers, text, lists and arrays, so that a saved model needs no own type.
    """

    cuts: NDArray[np.float64]  # between the m cells of numbers
    levels: list[list[str]]  # in each of the m cells of categories
    goods: NDArray[np.float64]  # (p, m)
    bads: NDArray[np.float64]  # (p, m)


class OverTime(TypedDict):
    """The bins of a column in each period: b ordinary bins, s of special values, missing."""

    goods: NDArray[np.float64]  # (p, b + s + 1)
    bads: NDArray[np.float64]  # (p, b + s + 1)
    cells: Cells | None  # None where the bins were decided by hand


def check_period(period: ArrayLike, n_rows: int) -> tuple[list[str], NDArray[np.intp]]:
    """Return the names of the periods, in their order, and which one each row is in.

    Parameters
    ----------
    period : array-like of shape (n,)
        A label a row, in whose order the periods are: numbers, text, dates or pandas periods.
    n_rows : int
        Length that it must have.

    Returns
    -------
    (list of str, ndarray of int of shape (n,))

    Raises
    ------
    ValueError
        If labels are missing, have another length, or are too many to be periods.
    """
    labels = pd.Series(period).reset_index(drop=True)
    if len(labels) != n_rows:
        raise ValueError(
            f"period must have one label a row: {n_rows} rows, and {len(labels)} labels."
        )
    if labels.isna().any():
        raise ValueError(f"period is missing in {int(labels.isna().sum())} row(s).")
    codes, names = pd.factorize(labels, sort=True)
    if len(names) > MOST_PERIODS:
        raise ValueError(
            f"period has {len(names):,} different labels, and at most {MOST_PERIODS} can be "
            "compared; give those of longer ones, such as as_of.dt.to_period('Q')."
        )
    return [str(name) for name in names], codes.astype(np.intp)


def count_by_period(  # noqa: PLR0917 (the rows, and how many of each there are)
    codes: NDArray[np.intp],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    period: NDArray[np.intp],
    n_bins: int,
    n_periods: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count the goods and the bads of each bin in each period, each of shape (p, b)."""
    cells = np.bincount((period * n_bins + codes) * 2 + bad, weight, 2 * n_bins * n_periods)
    goods, bads = cells.reshape(n_periods, n_bins, 2).astype(np.float64).transpose(2, 0, 1)
    return goods, bads


def count_reversals(goods: NDArray[np.float64], bads: NDArray[np.float64]) -> NDArray[np.intp]:
    """Count for each two neighbouring bins the periods in which they are the other way round.

    Parameters
    ----------
    goods, bads : ndarray of shape (p, b)
        What each of b bins holds in each of p periods.

    Returns
    -------
    ndarray of int, shape (b - 1,)
        In how many periods the bad rates of bins k and k + 1 are ordered against those of all
        periods together. A period in which one of them is empty has no order.
    """
    size = goods + bads
    rates = np.divide(bads, size, out=np.full(size.shape, np.nan), where=size > 0)
    n = size.sum(axis=0)
    overall = np.divide(bads.sum(axis=0), n, out=np.full(n.shape, np.nan), where=n > 0)
    signed = np.diff(rates, axis=1) * np.sign(np.diff(overall))
    return np.count_nonzero(signed < -ROUNDING, axis=0)


def cells_of_numbers(  # noqa: PLR0917 (the rows of one column, and its rules)
    x: NDArray[np.float64],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    period: NDArray[np.intp],
    n_periods: int,
    shape: Shape,
    rules: Rules,
    fitted: NDArray[np.float64],
) -> Cells:
    """Cut a column where bins could begin, and where they do."""
    cuts = np.union1d(candidate_cuts(x, bad, weight, shape, rules), fitted)
    codes = count_cuts(x, cuts)
    goods, bads = count_by_period(codes, bad, weight, period, len(cuts) + 1, n_periods)
    return {"cuts": cuts, "levels": [], "goods": goods, "bads": bads}


def cells_of_levels(  # noqa: PLR0917 (the rows of one column, and how many cells it may have)
    codes: NDArray[np.intp],
    levels: list[str],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    period: NDArray[np.intp],
    n_periods: int,
    most: int,
) -> Cells:
    """Order the levels by their bad rates; of more than so many, neighbours share a cell."""
    goods, bads = count_by_period(codes, bad, weight, period, len(levels), n_periods)
    size = (goods + bads).sum(axis=0)
    order = np.flatnonzero(size > 0)
    order = order[np.argsort(bads.sum(axis=0)[order] / size[order], kind="stable")]
    groups = np.array_split(order, max(min(most, len(order)), 1))
    inside = np.zeros((len(groups), len(levels)))
    for k, group in enumerate(groups):
        inside[k, group] = 1
    return {
        "cuts": np.empty(0),
        "levels": [[levels[k] for k in group] for group in groups],
        "goods": goods @ inside.T,
        "bads": bads @ inside.T,
    }


def table_over_time(
    table: pd.DataFrame, column: ColumnBins, names: list[str], over_time: OverTime
) -> pd.DataFrame:
    """Add to the table of a column its reversals and the bad rate of each period."""
    goods, bads = over_time["goods"], over_time["bads"]
    ordinary = slice(column["n_bins"])
    reversals = count_reversals(goods[:, ordinary], bads[:, ordinary])
    n_reversals = np.zeros(len(table), dtype=np.intp)
    n_reversals[1 : len(reversals) + 1] = reversals
    n_reversals[-1] = reversals.sum()
    rates = np.full((len(table), len(names)), np.nan)
    n = goods + bads
    shown = [*range(n.shape[1]), len(table) - 1]
    n, bads = (np.append(each, each.sum(axis=1, keepdims=True), axis=1) for each in (n, bads))
    rates[shown] = np.divide(bads, n, out=np.full(n.shape, np.nan), where=n > 0).T
    by_period = pd.DataFrame(rates, columns=[f"bad_rate {name}" for name in names])
    return pd.concat([table.assign(reversals=n_reversals), by_period], axis=1)


def frontier(cells: Cells, column: ColumnBins, shape: Shape, rules: Rules) -> pd.DataFrame:
    """Find the bins that are best at one price of a reversal or another.

    The ends are the bins at a price of 0 and of infinity. Between two solutions the price at which
    both are worth the same is tried, until nothing there is worth more.

    Parameters
    ----------
    cells : Cells
        What bins are made of.
    column : ColumnBins
        The fitted column, for the information of its special and missing values.
    shape : str or None
        The shape of the bad rates.
    rules : Rules
        The constraints.

    Returns
    -------
    DataFrame
        As `WOEEncoder.frontier` returns it.
    """
    goods, bads = cells["goods"], cells["bads"]
    size = goods + bads
    whole = size.sum(axis=0), bads.sum(axis=0)
    places = places_of_cells(whole, *zip(size, bads, strict=True))
    rules = rules._replace(max_prebins=max(places.last, 2))

    def solve(price: float) -> _Point:
        chosen = best_places(places, shape, rules._replace(price=price))
        parts = [np.add.reduceat(each, [0, *chosen.tolist()], axis=1) for each in (goods, bads)]
        n_bads = parts[1].sum(axis=0)
        free = rules._replace(min_size=0.0, min_events=0.0, pure=True)
        value = float(gain_of(parts[0].sum(axis=0) + n_bads, n_bads, free).sum())
        return _Point(int(count_reversals(*parts).sum()), value, chosen)

    def between(more: _Point, fewer: _Point) -> list[_Point]:
        if more.reversals - fewer.reversals < 2:
            return []
        price = (more.value - fewer.value) / (more.reversals - fewer.reversals)
        found = solve(price)
        gain = found.value - fewer.value - price * (found.reversals - fewer.reversals)
        if gain <= 1e-12:
            return []
        return [*between(more, found), found, *between(found, fewer)]

    free, strict = solve(0.0), solve(np.inf)
    points = [free, *between(free, strict)]
    if strict.reversals < free.reversals:
        points.append(strict)
    others = float(column["iv"][column["n_bins"] :].sum())
    rows, price = [], 0.0
    for k, point in enumerate(points):
        if k:
            lost = points[k - 1].value - point.value
            price = lost / (points[k - 1].reversals - point.reversals)
        row: dict[str, Any] = {
            "stability": price,
            "reversals": point.reversals,
            "information_value": point.value + others,
            "bins": len(point.chosen) + 1,
        }
        if column["kind"] == "numeric":
            row["cuts"] = cells["cuts"][point.chosen - 1].tolist()
        else:
            groups = np.split(np.arange(len(cells["levels"])), point.chosen)
            row["groups"] = [[t for k in group for t in cells["levels"][k]] for group in groups]
        rows.append(row)
    return pd.DataFrame(rows)


class _Point(NamedTuple):
    """The best bins at some price of a reversal."""

    reversals: int
    value: float
    chosen: NDArray[np.intp]
