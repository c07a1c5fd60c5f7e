"""Where a log ends: the day of its last transaction, unless nobody can mean that one."""

import time
from typing import Any

import numpy as np

from rfmrisk.histories.options import OptionNeededError
from rfmrisk.histories.segments import Ints
from rfmrisk.histories.timestamps import DAY, iso

_AHEAD = 2  # days that the clocks of the log's machine and of ours may differ by
_SHORTEST_GAP = 60  # days; a shorter pause before the end is none to speak of
_TIMES_AS_LONG = 4
_FEWEST_DAYS = 10
_MOST_STRAY = 0.01


def days_of(times: Ints) -> dict[int, int]:
    """Return how many of the times, in microseconds, each day since 1970 has."""
    if not len(times):
        return {}
    days = times // DAY
    first, last = int(days.min()), int(days.max())
    if last - first <= 20 * len(days) + 100_000:
        counts = np.bincount(days - first)
        found = np.flatnonzero(counts)
        return dict(zip((found + first).tolist(), counts[found].tolist(), strict=True))
    found, counts = np.unique(days, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def end_of_log(counts: dict[int, int], time_column: str) -> int:
    """Return the midnight that ends the last day, in microseconds.

    Parameters
    ----------
    counts : dict of int to int
        How many transactions each day has, as `days_of` returns them.
    time_column : str
        For the error.

    Raises
    ------
    OptionNeededError
        The last day lies in the future, or the few days at the end lie beyond a gap that is
        longer than the log's rhythm explains: the last gap is at least 60 days and four times
        as long as every other one.
    """
    days = np.array(sorted(counts))
    rows = np.array([counts[day] for day in days.tolist()])
    today = int(time.time() // 86_400)
    last = int(days[-1])
    gaps = np.diff(days)
    reason = None
    n_stray = 0
    if last > today + _AHEAD:
        n_stray = int(rows[days > today + _AHEAD].sum())
        reason = "in the future"
    elif len(days) > _FEWEST_DAYS:
        widest = len(gaps) - 1 - int(gaps[::-1].argmax())
        stray = int(rows[widest + 1 :].sum())
        others = np.delete(gaps, widest)
        if (
            stray <= max(1, _MOST_STRAY * rows.sum())
            and gaps[widest] >= _SHORTEST_GAP
            and gaps[widest] >= _TIMES_AS_LONG * others.max()
        ):
            n_stray, reason = stray, f"{gaps[widest]:,} days after the one before"
    if reason is None:
        return (last + 1) * DAY
    before = days[np.cumsum(rows) <= rows.sum() - n_stray]
    end = int(before[-1]) + 1 if len(before) else today + 1
    lines = "1 transaction lies" if n_stray == 1 else f"{n_stray:,} transactions lie"
    raise OptionNeededError(
        f"the last day of the log, {_day(last)}, is not where it ends: {lines} {reason} "
        f"(column {time_column!r})",
        "Mend the log, or say when it ends by",
        as_of=_day(end),
    )


def _day(day: Any) -> str:
    return iso(int(day) * DAY)[:10]
