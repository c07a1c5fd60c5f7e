"""Statistics of amounts, and of other numeric fields, over several windows."""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np

from rfmrisk.aggregation.base import FieldType, HistoryAggregator
from rfmrisk.histories.flat import FlatHistories, duration_of
from rfmrisk.histories.parameters import Constraints
from rfmrisk.histories.segments import Floats, Ints, Segments, first_at_or_after, positions, ratio
from rfmrisk.histories.timestamps import parse_duration


class SpendAggregator(HistoryAggregator):
    """Sums, counts and shapes of spending over several windows.

    Parameters
    ----------
    columns : sequence of str, default=("amount",)
        Numeric fields of the transactions: the amount, and others such as a balance. A name such
        as ``"closed-due"`` is the time from the date ``due`` to the date ``closed`` in days: a
        lateness; one of them may be ``time``, the transaction's own. A date at or after
        ``as_of`` is not known yet. Missing values are left out of every statistic.
    windows : sequence of str, timedelta or None, default=("7D", "30D", "90D", None)
        How long before ``as_of`` to look; None is the whole history.
    stats : sequence of str
        Any of

        - "sum", "count", "mean", "min", "median", "max";
        - "std": the sample standard deviation (n - 1), missing below two values;
        - "last": the latest value;
        - "credit_share": the share of values below zero, which are credits to the customer
          in a log of signed amounts;
        - "trend": the share of the absolute sum that falls in the later half of the window
          minus the share in the earlier half, from -1 (all long ago) to 1 (all lately). The
          whole history is halved between its first transaction and ``as_of``.

    Attributes
    ----------
    by_order_ : bool
        Whether "count" of the amounts is of orders, as the log named them.
    fields_ : dict of str to {"number", "date"}
        The fields of the transactions that are used.
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

    _parameter_constraints: ClassVar[Constraints] = {
        "columns": ["array-like"],
        "windows": ["array-like"],
        "stats": ["array-like"],
    }

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

    def learn(self, flat: FlatHistories) -> None:
        unknown = [stat for stat in self.stats if stat not in _STATS]
        if unknown:
            raise ValueError(f"stats {unknown} are unknown; allowed are {list(_STATS)}")
        self.by_order_ = "order" in flat.field_names
        self.fields_: dict[str, FieldType] = {}
        for column in self.columns:
            dates = duration_of(column, flat.field_names)
            self.fields_ |= dict.fromkeys(dates, "date") if dates else {column: "number"}

    def compute(
        self, flat: FlatHistories, wanted: Collection[str] | None = None
    ) -> dict[str, np.ndarray]:
        # The names in order, and for each its column, its window's number and its stat.
        places = {
            f"{column}_{stat}" + ("" if window is None else f"_{window}"): (column, k, stat)
            for column in self.columns
            for k, window in enumerate(self.windows)
            for stat in self.stats
        }
        if wanted is not None:
            places = {name: place for name, place in places.items() if name in wanted}
        used = sorted({k for _, k, _ in places.values()})
        halved = any(stat == "trend" for _, _, stat in places.values())
        windows = _Windows(flat, [self.windows[k] for k in used], halved)
        packed: dict[str, _Packed] = {}
        tables: dict[tuple[str, str], np.ndarray] = {}
        features: dict[str, np.ndarray] = {}
        for name, (column, k, stat) in places.items():
            if column not in packed:
                packed[column] = _Packed(windows, _finite(flat, column))
            if (column, stat) == ("amount", "count") and self.by_order_:
                tables[column, stat] = self._orders(flat, used)
            elif (column, stat) not in tables:
                values = _STATS[stat](packed[column])
                tables[column, stat] = values.reshape(len(used), -1)
            features[name] = tables[column, stat][used.index(k)]
        return features

    def _orders(self, flat: FlatHistories, used: list[int]) -> np.ndarray:
        """Count the orders whose first line is in each window."""
        windows = _Windows(flat.by_order(), [self.windows[k] for k in used], halved=False)
        return (windows.ends - windows.starts).reshape(len(used), -1)

    def needed_fields(self, wanted: Collection[str] | None = None) -> dict[str, FieldType]:
        fields = {
            name: dtype for name, dtype in self.fields_.items() if name not in ("time", "amount")
        }
        counted = self.by_order_ and "amount" in self.columns and "count" in self.stats
        return fields | ({"order": "category"} if counted else {})


def _finite(flat: FlatHistories, column: str) -> Floats:
    values = flat.numbers(column)
    if not np.isfinite(values).all() and np.isinf(values).any():
        raise ValueError(f"the field {column!r} holds infinite values; mend or drop them")
    return values


class _Windows:
    """Windows of the histories, packed one after the other: all are computed at once.

    Parameters
    ----------
    flat : FlatHistories
    windows : sequence of str, timedelta or None
    halved : bool
        Whether ``middles`` are needed.

    Attributes
    ----------
    places : ndarray
        The positions in the flat arrays of the transactions of the first window, customer after
        customer, then of the second, ...
    starts, middles, ends : ndarrays of shape (n_windows * n_customers,)
        Where in ``places`` each customer's window, and its later half, begin and end.
    """

    def __init__(
        self, flat: FlatHistories, windows: Sequence[str | dt.timedelta | None], halved: bool
    ) -> None:
        n_windows = len(windows)
        timestamps = np.empty((n_windows * (1 + halved), len(flat.as_of)), dtype=np.int64)
        openings = timestamps[:n_windows]
        for opening, window in zip(openings, windows, strict=True):
            if window is None:
                opening[:] = flat.as_of
                known = flat.ends > flat.starts
                opening[known] = flat.times[flat.starts[known]]
            else:
                opening[:] = flat.as_of - parse_duration(window, "each of windows")
        if halved:
            timestamps[n_windows:] = openings + (flat.as_of - openings) // 2
        found = first_at_or_after(flat.times, flat.starts, flat.ends, timestamps)
        first = found[:n_windows]
        lengths = flat.ends - first
        self.ends = np.cumsum(lengths)
        self.starts = self.ends - lengths.ravel()
        self.places = positions(first.ravel(), (first + lengths).ravel())
        if halved:
            self.middles = self.starts + (found[n_windows:] - first).ravel()


class _Packed:
    """The values of one column in all windows, those that are missing left out."""

    def __init__(self, windows: _Windows, values: Floats) -> None:
        self.windows = windows
        self.values = values[windows.places]
        self.starts, self.ends = windows.starts, windows.ends
        self.before: Ints | None = None
        missing = np.isnan(self.values)
        if missing.any():
            # How many values are left before each place.
            self.before = np.concatenate(([0], np.cumsum(~missing)))
            self.starts, self.ends = self.before[self.starts], self.before[self.ends]
            self.values = self.values[~missing]
        self.count = self.ends - self.starts
        self.segments = Segments(self.starts, self.ends)

    @cached_property
    def sum(self) -> Floats:
        return self.segments.sum(self.values)

    @cached_property
    def mean(self) -> Floats:
        return ratio(self.sum, self.count)

    @cached_property
    def halves(self) -> Segments:
        middles = self.windows.middles
        if self.before is not None:
            middles = self.before[middles]
        edges = np.stack((self.starts, middles, self.ends), axis=1)
        return Segments(edges[:, :2].ravel(), edges[:, 1:].ravel())


def _std(window: _Packed) -> Floats:
    squares = (window.values - np.repeat(window.mean, window.count)) ** 2
    return np.sqrt(ratio(window.segments.sum(squares), np.maximum(window.count - 1, 0)))


def _last(window: _Packed) -> Floats:
    last = np.full(len(window.count), np.nan)
    found = window.count > 0
    last[found] = window.values[window.ends[found] - 1]
    return last


def _credit_share(window: _Packed) -> Floats:
    return ratio(window.segments.sum((window.values < 0).astype(np.float64)), window.count)


def _trend(window: _Packed) -> Floats:
    earlier, later = window.halves.sum(np.abs(window.values)).reshape(-1, 2).T
    return ratio(later - earlier, later + earlier)


_STATS: dict[str, Callable[[_Packed], np.ndarray]] = {
    "sum": lambda window: window.sum,
    "count": lambda window: window.count,
    "mean": lambda window: window.mean,
    "std": _std,
    "min": lambda window: window.segments.min(window.values),
    "median": lambda window: window.segments.median(window.values),
    "max": lambda window: window.segments.max(window.values),
    "last": _last,
    "credit_share": _credit_share,
    "trend": _trend,
}
