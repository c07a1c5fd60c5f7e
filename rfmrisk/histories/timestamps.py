"""Timestamps and durations as the estimators take them: text or datetimes in, microseconds out."""

import contextlib
import datetime as dt
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

DAY = 86_400_000_000  # microseconds


def parse_duration(duration: str | dt.timedelta, name: str) -> int:
    """Return a positive duration such as "30D" in microseconds."""
    allowed = f"{name} must be a positive duration such as '30D'; got {duration!r}"
    # Text without a unit would count nanoseconds.
    if not isinstance(duration, str | dt.timedelta) or str(duration).strip().isdecimal():
        raise ValueError(allowed)
    try:
        parsed = _microseconds(duration)
    except ValueError as error:
        raise ValueError(allowed) from error
    if parsed <= 0:
        raise ValueError(allowed)
    return parsed


@lru_cache(maxsize=256)
def _microseconds(duration: str | dt.timedelta) -> int:
    parsed = pd.Timedelta(duration)
    return 0 if parsed is pd.NaT else int(parsed // pd.Timedelta(microseconds=1))


def parse_timestamp(timestamp: Any, name: str) -> int:
    """Return a timestamp in microseconds since 1970, UTC."""
    parsed: Any = pd.NaT
    # Text begins with the year: pandas would take "now", and the month first in "01/05/2024".
    dated = timestamp.strip()[:4].isdigit() if isinstance(timestamp, str) else True
    if dated and isinstance(timestamp, str | dt.date | np.datetime64):
        with contextlib.suppress(ValueError):
            parsed = pd.Timestamp(timestamp)
    if parsed is pd.NaT:
        raise ValueError(
            f"{name} must be a timestamp such as '2024-05-01' or '2024-05-01T12:00:00Z', "
            f"or for to_histories a frame of decisions; got {timestamp!r}"
        )
    if parsed.tz is not None:
        parsed = parsed.tz_convert(None)
    return int(parsed.to_datetime64().astype("datetime64[us]").astype(np.int64))


def midnight_after(timestamp: int) -> int:
    """Return the midnight that ends the day of a timestamp, both in microseconds."""
    return (timestamp // DAY + 1) * DAY


def check_known(first: int, as_of: int) -> None:
    """Raise where the first transaction of a log is not before the timestamp of the decision."""
    if first >= as_of:
        raise ValueError(
            f"no transaction lies before as_of={iso(as_of)}: "
            f"the first of the log is at {iso(first)}"
        )


def iso(microseconds: int) -> str:
    """Return a timestamp as ISO-8601 text."""
    return pd.Timestamp(int(microseconds), unit="us").isoformat()
