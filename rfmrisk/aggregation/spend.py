"""Statistics of amounts, and of further numeric fields, over several windows."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rfmrisk._moments import parse_duration
from rfmrisk._nested import FlatHistories
from rfmrisk._segments import (
    Floats,
    Ints,
    first_at_or_after,
    ratio,
    segment_max,
    segment_min,
    segment_sum,
)
from rfmrisk.aggregation._base import HistoryAggregator, check_list


class SpendAggregator(HistoryAggregator):
    """Sums, counts and shapes of spending over several windows.

    Parameters
    ----------
    columns : sequence of str, default=("amount",)
        Numeric fields of the transactions: the amount, and others such as a balance or a
        lateness. Missing values are left out of every statistic.
    windows : sequence of str, timedelta or None, default=("7D", "30D", "90D", None)
        How long before ``as_of`` to look; None is the whole history.
    stats : sequence of str
        Any of

        - "sum", "count", "mean", "min", "max";
        - "std": the sample standard deviation (n - 1), missing below two values;
        - "last": the latest value;
        - "credit_share": the share of values below zero, which are credits to the customer
          in a log of signed amounts;
        - "trend": the share of the absolute sum that falls in the later half of the window
          minus the share in the earlier half, from -1 (all long ago) to 1 (all lately). The
          whole history is halved between its first transaction and ``as_of``.

    Attributes
    ----------
    feature_names_out_ : list of str
        ``amount_sum_30D`` and so on; without a suffix for the whole history.

    Notes
    -----
    Sums and counts of an empty window are 0; the other statistics are missing there.

    Examples
    --------
    >>> from rfmrisk import SpendAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=50, random_state=0))
    >>> spend = SpendAggregator(windows=("30D", None), stats=("sum", "trend"))
    >>> list(spend.fit_transform(histories).columns)
    ['amount_sum_30D', 'amount_trend_30D', 'amount_sum', 'amount_trend']
    """

    def __init__(
        self,
        columns: Sequence[str] = ("amount",),
        windows: Sequence[str | dt.timedelta | None] = ("7D", "30D", "90D", None),
        stats: Sequence[str] = (
            "sum",
            "count",
            "mean",
            "std",
            "min",
            "max",
            "last",
            "credit_share",
            "trend",
        ),
    ) -> None:
        self.columns = columns
        self.windows = windows
        self.stats = stats

    def _learn(self, flat: FlatHistories) -> None:
        for name in ("columns", "windows", "stats"):
            check_list(getattr(self, name), name)
        unknown = [stat for stat in self.stats if stat not in _STATS]
        if unknown:
            raise ValueError(f"stats {unknown} are unknown; allowed are {list(_STATS)}")

    def _features(self, flat: FlatHistories) -> dict[str, np.ndarray]:
        features: dict[str, np.ndarray] = {}
        windows = [(window, *_halves(flat, window)) for window in self.windows]
        for column in self.columns:
            values = flat.numbers(column)
            if np.isinf(values).any():
                raise ValueError(f"the field {column!r} holds infinite values; mend or drop them")
            missing = np.isnan(values)
            present = None if not missing.any() else ~missing
            for window, starts, middles in windows:
                suffix = "" if window is None else f"_{window}"
                frame = _Window(values, present, flat.starts, starts, middles, flat.ends)
                for stat in self.stats:
                    features[f"{column}_{stat}{suffix}"] = _STATS[stat](frame)
        return features


def _halves(flat: FlatHistories, window: str | dt.timedelta | None) -> tuple[Ints, Ints]:
    """Return where the window of each customer and its later half begin."""
    if window is None:
        first = flat.as_of.copy()
        known = flat.ends > flat.starts
        first[known] = flat.times[flat.starts[known]]
        starts = flat.starts
    else:
        first = flat.as_of - parse_duration(window, "each of windows")
        starts = first_at_or_after(flat.times, flat.starts, flat.ends, first)
    middle = first + (flat.as_of - first) // 2
    return starts, first_at_or_after(flat.times, starts, flat.ends, middle)


class _Window(NamedTuple):
    values: Floats  # of one column, NaN where missing
    present: np.ndarray | None  # where values are not missing; None: everywhere
    all_starts: Ints  # of the whole histories
    starts: Ints
    middles: Ints
    ends: Ints

    def filled(self, with_: float) -> Floats:
        if self.present is None:
            return self.values
        return np.where(self.present, self.values, with_)


def _count(window: _Window) -> Ints:
    if window.present is None:
        return window.ends - window.starts
    return segment_sum(window.present.astype(np.int64), window.starts, window.ends)


def _sum(window: _Window) -> Floats:
    return segment_sum(window.filled(0.0), window.starts, window.ends)


def _mean(window: _Window) -> Floats:
    return ratio(_sum(window), _count(window))


def _std(window: _Window) -> Floats:
    # Each customer's mean over the window is taken from all its values; those outside the
    # window are not summed.
    means = np.repeat(_mean(window), window.ends - window.all_starts)
    squares = (window.values - means) ** 2
    if window.present is not None:
        squares[~window.present] = 0.0
    count = _count(window)
    squared = segment_sum(squares, window.starts, window.ends)
    return np.sqrt(ratio(squared, np.maximum(count - 1, 0)))


def _min(window: _Window) -> Floats:
    lowest = segment_min(window.filled(np.inf), window.starts, window.ends)
    return np.where(_count(window) > 0, lowest, np.nan)


def _max(window: _Window) -> Floats:
    highest = segment_max(window.filled(-np.inf), window.starts, window.ends)
    return np.where(_count(window) > 0, highest, np.nan)


def _last(window: _Window) -> Floats:
    numbers = np.arange(len(window.values), dtype=np.float64)
    if window.present is not None:
        numbers[~window.present] = -1.0
    place = segment_max(numbers, window.starts, window.ends)
    last = np.full(len(place), np.nan)
    found = np.flatnonzero(place >= 0)
    last[found] = window.values[place[found].astype(np.int64)]
    return last


def _credit_share(window: _Window) -> Floats:
    credits_ = segment_sum((window.values < 0).astype(np.float64), window.starts, window.ends)
    return ratio(credits_, _count(window))


def _trend(window: _Window) -> Floats:
    sizes = np.abs(window.filled(0.0))
    earlier = segment_sum(sizes, window.starts, window.middles)
    later = segment_sum(sizes, window.middles, window.ends)
    return ratio(later - earlier, later + earlier)


_STATS: dict[str, Callable[[_Window], np.ndarray]] = {
    "sum": _sum,
    "count": _count,
    "mean": _mean,
    "std": _std,
    "min": _min,
    "max": _max,
    "last": _last,
    "credit_share": _credit_share,
    "trend": _trend,
}
