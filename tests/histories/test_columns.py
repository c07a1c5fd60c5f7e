"""Ids, times and amounts of every kind come through the door as they should, or not at all."""

import datetime as dt
import decimal
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rfmrisk import to_histories

ROLES = {"customer": "c", "time": "t", "amount": "a"}
NOON = pd.Timestamp("2024-05-01T12:00")
UTC, KAMPALA = dt.UTC, dt.timezone(dt.timedelta(hours=3))


def make(**columns):
    """Make a log of three transactions of two customers, with columns replaced or added."""
    log = {"c": ["x", "y", "x"], "t": [NOON] * 3, "a": [1.0, 2.0, 3.0]}
    return pd.DataFrame(log | columns)


def times_of(column):
    """Return the times that come out of the door, as datetimes."""
    histories = to_histories(make(t=column), **ROLES)
    return sorted(x["time"] for history in histories["history"] for x in history)


_UUIDS = [uuid.UUID(int=7), uuid.UUID(int=2**127), uuid.UUID(int=7)]


@pytest.mark.filterwarnings("ignore:1 ids in .* differ from others by spaces alone")
@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["x", "y", "x"], ["x", "y"]),
        (["x ", "x", "x "], ["x", "x "]),
        (["00017", "17", "00017"], ["00017", "17"]),
        ([17, 5, 17], [5, 17]),
        (np.array([17, 5, 17], dtype=np.int8), [5, 17]),
        (np.array([2**64 - 1, 5, 5], dtype=np.uint64), [5, 2**64 - 1]),
        ([17.0, 5.0, 17.0], [5, 17]),
        (pd.array([17, 5, 17], dtype="Int64"), [5, 17]),
        (pd.Series([17, 5, 17], dtype=object), [5, 17]),
        ([decimal.Decimal(17), decimal.Decimal(5), decimal.Decimal(17)], [5, 17]),
        (pd.Categorical(["x", "y", "x"], categories=["unused", "y", "x"]), ["x", "y"]),
        (pd.Categorical([17, 5, 17], categories=[99, 17, 5]), [5, 17]),
        (pd.Series(["x", "y", "x"], dtype=pd.ArrowDtype(pa.string())), ["x", "y"]),
        (_UUIDS, [str(_UUIDS[0]), str(_UUIDS[1])]),
    ],
)
def test_ids_are_integers_or_text(ids, expected):
    """Ids of each allowed kind become the sorted index, as integers or as text."""
    histories = to_histories(make(c=ids), **ROLES)
    assert histories.index.tolist() == expected
    assert histories["history"].map(len).sum() == 3


@pytest.mark.parametrize(
    "ids",
    [[1.5, 2.0, 3.0], [True, False, True], [NOON] * 3, [b"x", b"y", b"z"], [["x"], ["y"], ["z"]]],
)
def test_other_kinds_of_ids_are_refused(ids):
    """What is neither a number, nor text, nor a UUID is no id, and the error says what is."""
    with pytest.raises(ValueError, match="'c' must hold ids that are integers, text, categories"):
        to_histories(make(c=ids), **ROLES)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_every_unit(unit):
    """Timestamps of each of pandas' units are read."""
    assert times_of(make()["t"].astype(f"datetime64[{unit}]")) == [NOON] * 3


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01T12:00:00",
        "2024-05-01 12:00",
        "2024-05-01T12:00:00Z",
        "2024-05-01T12:00:00.000Z",
        "2024-05-01T12:00:00.000000000Z",
        "2024-05-01 15:00:00+03:00",
        "2024-05-01T15:00:00+0300",
        "2024-05-01T15:00:00 +03:00",
        "20240501T120000Z",
        " 2024-05-01T12:00 ",
    ],
)
def test_text_times(text):
    """ISO-8601 text is read in its several spellings, and zones are converted to UTC."""
    assert times_of([text] * 3) == [NOON] * 3
    assert times_of(pd.Categorical([text] * 3)) == [NOON] * 3


def test_spellings_may_differ_within_a_column():
    """Text times of several precisions, or with several offsets, may stand in one column."""
    spelled = ["2024-05-01", "2024-05-01 12:00", "2024-05-01T12:00:00.123456789"]
    assert times_of(spelled) == [NOON.normalize(), NOON, NOON + pd.Timedelta("123456us")]
    offsets = ["2024-05-01T12:00Z", "2024-05-01T15:00+03:00", "2024-05-01T07:00:00.0-05:00"]
    assert times_of(offsets) == [NOON] * 3


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([NOON.tz_localize("UTC")] * 3),
        pd.Series([NOON.tz_localize("UTC").tz_convert("Africa/Kampala")] * 3),
        pd.Series([NOON.tz_localize("UTC")] * 3).astype(pd.ArrowDtype(pa.timestamp("ns", "UTC"))),
        pd.Series([dt.datetime(2024, 5, 1, 12, tzinfo=UTC)] * 3, dtype=object),
        pd.Series(
            [dt.datetime(2024, 5, 1, 15, tzinfo=KAMPALA)]
            + [dt.datetime(2024, 5, 1, 12, tzinfo=UTC)] * 2,
            dtype=object,
        ),
    ],
)
def test_zoned_times_become_utc(column):
    """Times with a zone, or with several, are converted to naive UTC."""
    assert times_of(column) == [NOON] * 3


def test_dates_are_midnights():
    """Dates count as the midnight that begins them."""
    midnight = [NOON.normalize()] * 3
    assert times_of([dt.date(2024, 5, 1)] * 3) == midnight
    dates = pd.Series([dt.date(2024, 5, 1)] * 3, dtype=pd.ArrowDtype(pa.date32()))
    assert times_of(dates) == midnight


def test_nanoseconds_are_cut_to_the_microsecond_before():
    """Times are floored to microseconds, before 1970 too."""
    fine = pd.to_datetime(["1969-12-31T23:59:59.999999999"] * 3).astype("datetime64[ns]")
    assert times_of(fine) == [dt.datetime(1969, 12, 31, 23, 59, 59, 999999)] * 3


@pytest.mark.parametrize(
    "mixed",
    [
        ["2024-05-01T00:00Z", "2024-05-01T00:00", "2024-05-01T00:00Z"],
        ["2024-05-01T00:00Z", "2024-05-01", "2024-05-01T00:00Z"],
        pd.Series(
            [dt.datetime(2024, 5, 1, tzinfo=UTC), NOON, dt.datetime(2024, 5, 1, tzinfo=UTC)],
            dtype=object,
        ),
    ],
)
def test_a_mix_of_zoned_and_naive_times_is_an_error(mixed):
    """Times with and without a zone do not stand in one column; the error counts both."""
    with pytest.raises(ValueError, match="'t' mixes 2 times with a zone and 1 without"):
        to_histories(make(t=mixed), **ROLES)


@pytest.mark.parametrize(
    "junk", ["junk", "", "now", "today", "01/05/2024", "2024-02-30", "1714550000", None]
)
def test_unreadable_times_are_counted_and_shown(junk):
    """What is not written as the other times are is a bad row, never guessed at."""
    with pytest.raises(ValueError, match=r"1 of 3 rows .* 1 without a readable time .*\(row 1"):
        to_histories(make(t=["2024-05-01", junk, "2024-05-02"]), **ROLES)


@pytest.mark.parametrize(
    "column", [[1, 2, 3], pd.to_timedelta([1, 2, 3], unit="D"), [dt.time(1)] * 3]
)
def test_numbers_and_durations_are_no_times(column):
    """A number of unknown unit is refused, and the error says which option helps."""
    with pytest.raises(ValueError, match="'t' must hold timestamps, dates or ISO-8601 text"):
        to_histories(make(t=column), **ROLES)


@pytest.mark.parametrize(
    "amounts",
    [
        [1, 2, 3],
        ["1", "2.0", " 3e0 "],
        np.array([1, 2, 3], dtype=np.float16),
        pd.array([1, 2, 3], dtype="Int8"),
        [decimal.Decimal("1.00"), decimal.Decimal("2.00"), decimal.Decimal("3.00")],
        pd.Series([1, 2, 3], dtype=pd.ArrowDtype(pa.decimal128(10, 2))),
    ],
)
def test_amounts_become_floats(amounts):
    """Integers, decimals and numeric text are amounts."""
    histories = to_histories(make(a=amounts), **ROLES)
    assert [x["amount"] for x in histories.loc["x", "history"]] == [1.0, 3.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_amounts_that_are_not_finite_are_bad_rows(bad):
    """NaN and infinite amounts are counted and shown."""
    with pytest.raises(
        ValueError, match=r"1 of 3 rows .* 1 without a finite number in 'a' \(row 2"
    ):
        to_histories(make(a=[1, 2, bad]), **ROLES)


def test_unreadable_amounts_are_bad_rows():
    """A text that is no number is shown as it came."""
    with pytest.raises(ValueError, match=r"row 0: 'one', row 1: '2\.5\.1'"):
        to_histories(make(a=["one", "2.5.1", "3"]), **ROLES)


@pytest.mark.parametrize("column", [[True, False, True], [NOON] * 3])
def test_other_kinds_of_amounts_are_refused(column):
    """Booleans and times are no amounts."""
    with pytest.raises(ValueError, match="'a' must hold numbers; its type is"):
        to_histories(make(a=column), **ROLES)


def test_a_column_of_mixed_objects_names_itself():
    """A further column that Arrow cannot type is refused by name."""
    with pytest.raises(ValueError, match="'note' holds values of mixed or unknown types"):
        to_histories(make(note=pd.Series([1, "a", None], dtype=object)), **ROLES)
