"""When a customer makes transactions: tenure, gaps, hours, weekdays, parts of the month."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rfmrisk._moments import DAY
from rfmrisk._nested import FlatHistories
from rfmrisk._segments import Floats, ratio, segment_of, segment_sum
from rfmrisk.aggregation._base import HistoryAggregator, check_list

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

    def __init__(
        self,
        parts: Sequence[str] = ("hour", "night", "weekend", "month_part"),
        night: tuple[int, int] = (22, 6),
    ) -> None:
        self.parts = parts
        self.night = night

    def _learn(self, flat: FlatHistories) -> None:
        allowed = ["hour", "night", "weekday", "weekend", "month_part", "month"]
        check_list(self.parts, "parts")
        if any(part not in allowed for part in self.parts):
            raise ValueError(f"parts must be a list of any of {allowed}; got {self.parts!r}")
        if len(self.night) != 2 or not all(0 <= hour < 24 for hour in self.night):
            raise ValueError(f"night must be two hours from 0 to 23; got {self.night!r}")

    def _features(self, flat: FlatHistories) -> dict[str, Any]:
        features = _rhythm(flat)
        days = flat.times // DAY
        hours = (flat.times - days * DAY) // _HOUR
        weekdays = (days + 3) % 7  # 1970-01-01 was a Thursday
        shares = _Shares(flat)
        for part in self.parts:
            if part == "hour":
                names = [f"hour_{hour}_{hour + 6}_share" for hour in (0, 6, 12, 18)]
                features |= shares.by(hours // 6, names)
            elif part == "night":
                dusk, dawn = self.night
                at_night = (hours - dusk) % 24 < (dawn - dusk) % 24
                features |= shares.within(at_night, "night_share")
            elif part == "weekday":
                features |= shares.by(weekdays, [f"{day}_share" for day in _WEEKDAYS])
            elif part == "weekend":
                features |= shares.within(weekdays >= 5, "weekend_share")
            elif part == "month_part":
                names = ["month_start_share", "month_middle_share", "month_end_share"]
                features |= shares.by(_calendar(days, _month_part), names)
            else:
                features |= shares.by(_calendar(days, _month), [f"{m}_share" for m in _MONTHS])
        return features


class _Shares:
    """Shares of each customer's transactions that fall into the parts of a division."""

    def __init__(self, flat: FlatHistories) -> None:
        self.customers = segment_of(flat.starts, flat.ends)
        self.counts = flat.ends - flat.starts

    def by(self, part: np.ndarray, names: list[str]) -> dict[str, Floats]:
        k, n = len(names), len(self.counts)
        cells = np.bincount(self.customers * k + part, minlength=n * k).reshape(n, k)
        return {name: ratio(cells[:, j], self.counts) for j, name in enumerate(names)}

    def within(self, inside: np.ndarray, name: str) -> dict[str, Floats]:
        hits = np.bincount(self.customers[inside], minlength=len(self.counts))
        return {name: ratio(hits, self.counts)}


def _rhythm(flat: FlatHistories) -> dict[str, Any]:
    starts, ends, times = flat.starts, flat.ends, flat.times
    known = np.flatnonzero(ends > starts)
    first, last = np.zeros_like(starts), np.zeros_like(starts)
    first[known], last[known] = times[starts[known]], times[ends[known] - 1]
    tenure = np.full(len(starts), np.nan)
    tenure[known] = (flat.as_of[known] - first[known]) / DAY

    days = times // DAY
    new_day = np.ones(len(times), dtype=np.int64)
    new_day[1:] = days[1:] != days[:-1]
    new_day[starts[known]] = 1

    n_gaps = np.maximum(ends - starts - 1, 0)
    gap_mean = ratio((last - first) / DAY, n_gaps)
    # The gap before each transaction; that before a customer's first is never summed.
    gaps = np.diff(times, prepend=0) / DAY
    squares = (gaps - np.repeat(gap_mean, ends - starts)) ** 2
    squared = segment_sum(squares, np.minimum(starts + 1, ends), ends)
    return {
        "tenure": tenure,
        "active_days": segment_sum(new_day, starts, ends),
        "gap_mean": gap_mean,
        "gap_std": np.sqrt(ratio(squared, np.maximum(n_gaps - 1, 0))),
    }


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
