"""When a customer makes transactions: tenure, gaps, hours, weekdays, parts of the month."""

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from rfmrisk.aggregation.base import FieldType, HistoryAggregator
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.histories.parameters import Constraints
from rfmrisk.histories.segments import Floats, Ints, Segments, ratio
from rfmrisk.histories.timestamps import DAY

_HOUR = DAY // 24
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


class TemporalAggregator(HistoryAggregator):
    """Tenure, rhythm and calendar habits.

    Parameters
    ----------
    parts : sequence of str, default=("hour", "night", "weekend", "month_part")
        Which shares of the transactions to compute:

        - "hour": by quarter of the day (``hour_0_6_share``, ...);
        - "night": within the hours of ``night``;
        - "weekday": on each day of the week; "weekend": on Saturday and Sunday;
        - "month_part": on the days 1 to 10, 11 to 20 and from 21 on;
        - "month": in each month of the year.
    night : tuple of two ints, default=(22, 6)
        First hour of the night and first hour after it, in UTC.

    Attributes
    ----------
    by_order_ : bool
        Whether all is of orders, each at the time of its first line, as the log named them.
    feature_names_out_ : list of str
        ``tenure`` (days from the first transaction to ``as_of``), ``active_days`` (distinct
        UTC dates), ``gap_mean`` and ``gap_std`` (days between transactions, sample standard
        deviation), then the shares.

    Notes
    -----
    For an empty history ``active_days`` is 0 and all else is missing; the mean gap is missing
    below two transactions, its spread below three.

    Examples
    --------
    >>> from rfmrisk import TemporalAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=50, random_state=0))
    >>> list(TemporalAggregator(parts=("night", "weekend")).fit_transform(histories).columns)
    ['tenure', 'active_days', 'gap_mean', 'gap_std', 'night_share', 'weekend_share']
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "parts": ["array-like"],
        "night": ["array-like"],
    }

    def __init__(
        self,
        parts: Sequence[str] = ("hour", "night", "weekend", "month_part"),
        night: tuple[int, int] = (22, 6),
    ) -> None:
        self.parts = parts
        self.night = night

    def learn(self, flat: FlatHistories) -> None:
        if any(part not in _PARTS for part in self.parts):
            raise ValueError(f"parts must be a list of any of {list(_PARTS)}; got {self.parts!r}")
        if len(self.night) != 2 or not all(0 <= hour < 24 for hour in self.night):
            raise ValueError(f"night must be two hours from 0 to 23; got {self.night!r}")
        self.by_order_ = "order" in flat.field_names

    def compute(self, flat: FlatHistories, wanted: Collection[str] | None = None) -> dict[str, Any]:
        rhythm = _Rhythm(flat.by_order() if self.by_order_ else flat)
        features: dict[str, Any] = {
            name: getattr(rhythm, name) for name in _RHYTHM if wanted is None or name in wanted
        }
        for part in self.parts:
            names = _PARTS[part]
            if wanted is None or any(name in wanted for name in names):
                features |= dict(zip(names, self._shares(rhythm, part), strict=True))
        return features

    def needed_fields(self, wanted: Collection[str] | None = None) -> dict[str, FieldType]:
        return {"order": "category"} if self.by_order_ else {}

    def _shares(self, rhythm: "_Rhythm", part: str) -> Collection[Floats]:
        if part == "night":
            dusk, dawn = self.night
            at_night = (np.arange(24) - dusk) % 24 < (dawn - dusk) % 24
            return [rhythm.share(at_night[rhythm.hours])]
        if part == "weekend":
            return [rhythm.share(rhythm.weekdays >= 5)]
        kinds: dict[str, Callable[[], Ints]] = {
            "hour": lambda: rhythm.hours // 6,
            "weekday": lambda: rhythm.weekdays,
            "month_part": lambda: _calendar(rhythm.days, _month_part),
            "month": lambda: _calendar(rhythm.days, _month),
        }
        return rhythm.shares(kinds[part](), len(_PARTS[part]))


_RHYTHM = ("tenure", "active_days", "gap_mean", "gap_std")
_PARTS = {
    "hour": [f"hour_{hour}_{hour + 6}_share" for hour in (0, 6, 12, 18)],
    "night": ["night_share"],
    "weekday": [f"{day}_share" for day in _WEEKDAYS],
    "weekend": ["weekend_share"],
    "month_part": ["month_start_share", "month_middle_share", "month_end_share"],
    "month": [f"{month}_share" for month in _MONTHS],
}


class _Rhythm:
    """The times of the transactions in days, hours and gaps, and what they say of a customer."""

    def __init__(self, flat: FlatHistories) -> None:
        self.flat = flat
        self.counts = flat.ends - flat.starts
        self.known = np.flatnonzero(self.counts)

    @cached_property
    def days(self) -> Ints:
        """Days since 1970 of each transaction."""
        return self.flat.times // DAY

    @cached_property
    def hours(self) -> Ints:
        """Hour of the day of each transaction, 0 to 23."""
        return (self.flat.times - self.days * DAY) // _HOUR

    @cached_property
    def weekdays(self) -> Ints:
        """Day of the week of each transaction, Monday 0 to Sunday 6."""
        shifted = self.days + 3  # 1970-01-01 was a Thursday
        return shifted - shifted // 7 * 7  # much faster than %

    @cached_property
    def first(self) -> Ints:
        """Time of each customer's first transaction; 0 for none."""
        return self._of_known(self.flat.times[self.flat.starts[self.known]])

    @property
    def tenure(self) -> Floats:
        """Days from the first transaction to ``as_of``."""
        return np.where(self.counts, (self.flat.as_of - self.first) / DAY, np.nan)

    @property
    def active_days(self) -> Ints:
        """How many dates have a transaction."""
        new_day = np.ones(len(self.days), dtype=np.int64)
        new_day[1:] = self.days[1:] != self.days[:-1]
        new_day[self.flat.starts[self.known]] = 1
        return self.flat.segments.sum(new_day)

    @cached_property
    def gap_mean(self) -> Floats:
        """Mean of the days between transactions."""
        last = self._of_known(self.flat.times[self.flat.ends[self.known] - 1])
        return ratio((last - self.first) / DAY, np.maximum(self.counts - 1, 0))

    @property
    def gap_std(self) -> Floats:
        """Sample standard deviation of the days between transactions."""
        flat = self.flat
        # The gap before each transaction; that before a customer's first is never summed.
        gaps = np.diff(flat.times, prepend=0) / DAY
        squares = (gaps - np.repeat(self.gap_mean, self.counts)) ** 2
        squared = Segments(np.minimum(flat.starts + 1, flat.ends), flat.ends).sum(squares)
        return np.sqrt(ratio(squared, np.maximum(self.counts - 2, 0)))

    def share(self, inside: np.ndarray) -> Floats:
        """Return the share of each customer's transactions that are inside."""
        return ratio(self.flat.segments.sum(inside.astype(np.int64)), self.counts)

    def shares(self, part: Ints, n_parts: int) -> Floats:
        """Return the share of each part, a row each, in each customer's transactions."""
        n = len(self.counts)
        places = self.flat.customers * n_parts + part
        cells = np.bincount(places, minlength=n * n_parts).reshape(n, n_parts)
        return ratio(cells.T, self.counts)

    def _of_known(self, values: Ints) -> Ints:
        all_ = np.zeros_like(self.counts)
        all_[self.known] = values
        return all_


def _calendar(days: np.ndarray, of_day: Any) -> np.ndarray:
    """Look up a property of each day, computed once for each day between the first and last."""
    if not len(days):
        return days
    first = days.min()
    every_day = np.arange(first, days.max() + 1).astype("datetime64[D]")
    return of_day(every_day)[days - first]


def _month(days: np.ndarray) -> np.ndarray:
    return days.astype("datetime64[M]").astype(np.int64) % 12


def _month_part(days: np.ndarray) -> np.ndarray:
    day_of_month = (days - days.astype("datetime64[M]")).astype(np.int64)
    return np.minimum(day_of_month // 10, 2)
