"""Moments and durations as text and datetimes."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from rfmrisk.histories.timestamps import (
    DAY,
    check_known,
    iso,
    midnight_after,
    parse_duration,
    parse_timestamp,
)

HOUR = DAY // 24
MAY = 19_844 * DAY  # 2024-05-01


@pytest.mark.parametrize(
    ("duration", "microseconds"),
    [
        ("30D", 30 * DAY),
        (" 36h ", 36 * HOUR),
        ("1us", 1),
        ("1.5s", 1_500_000),
        (dt.timedelta(days=2, hours=3), 2 * DAY + 3 * HOUR),
        (pd.Timedelta("90min"), 3 * HOUR // 2),
    ],
)
def test_a_duration_is_a_number_of_microseconds(duration, microseconds):
    """Text with a unit and timedeltas are taken."""
    assert parse_duration(duration, "window") == microseconds


@pytest.mark.parametrize(
    "duration", ["30", " 30 ", "0D", "-1D", "999ns", "soon", "NaT", "", 30, 3.5, None]
)
def test_what_is_no_duration_is_refused(duration):
    """A number without a unit, nothing, and what is not ahead are named as they came."""
    with pytest.raises(ValueError, match=r"window must be a positive duration .* got") as told:
        parse_duration(duration, "window")
    assert str(told.value).endswith(repr(duration))


@pytest.mark.parametrize(
    ("moment", "microseconds"),
    [
        ("2024-05-01", MAY),
        ("2024-05-01T12:00:00Z", MAY + 12 * HOUR),
        ("2024-05-01T12:00:00.000001+02:00", MAY + 10 * HOUR + 1),
        ("1969-12-31T23:59:59", -1_000_000),
        (dt.date(2024, 5, 1), MAY),
        (dt.datetime(2024, 5, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), MAY),
        (np.datetime64("2024-05-01T01"), MAY + HOUR),
        (pd.Timestamp("2024-05-01 00:00:00.000000999"), MAY),
    ],
)
def test_a_moment_is_a_number_of_microseconds(moment, microseconds):
    """Text and datetimes, with a zone or in UTC, count from 1970."""
    assert parse_timestamp(moment, "as_of") == microseconds


@pytest.mark.parametrize("moment", ["now", "01/05/2024", "2024-13-01", "", 20240501, None, pd.NaT])
def test_what_is_no_moment_is_refused(moment):
    """Words, other orders of day and month, and numbers are named as they came."""
    with pytest.raises(ValueError, match=r"as_of must be a timestamp such as .* got") as told:
        parse_timestamp(moment, "as_of")
    assert str(told.value).endswith(repr(moment))


@pytest.mark.parametrize("within", [0, 1, DAY - 1])
@pytest.mark.parametrize("day", [-DAY, 0, MAY])
def test_a_day_ends_at_the_next_midnight(day, within):
    """A midnight itself begins its day, before 1970 as after it."""
    assert midnight_after(day + within) == day + DAY
    assert isinstance(midnight_after(day + within), int)


def test_a_log_that_begins_too_late_is_told_when():
    """The first transaction has to lie before the moment of decision."""
    check_known(MAY - 1, MAY)
    with pytest.raises(ValueError, match=r"before as_of=2024-05-01T00:00:00: .* 2024-05-01T00"):
        check_known(MAY, MAY)


def test_moments_are_shown_to_the_microsecond():
    """As ISO-8601 text without a zone."""
    assert iso(MAY + 1) == "2024-05-01T00:00:00.000001"
