"""Times that are text or numbers: their format, judged over the whole column, and their value."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from rfmrisk.histories.missing import missing_unless, missing_where
from rfmrisk.histories.options import OptionNeededError, ReadingOptions
from rfmrisk.histories.timestamps import DAY

ISO, DAY_FIRST, MONTH_FIRST, COMPACT = "ISO 8601", "day first", "month first", "YYYYMMDD"

MICROSECONDS = pa.timestamp("us")

# The time of day with a zone after it: "...T02:18:49Z", "... 02:18:49.5+01:00".
_ZONED = r"\d[Tt ]\d.*([Zz]|[+-]\d{2}(:?\d{2})?)$"

# An offset of one digit of hours after the time of day: "...T02:18:49+5", "... 02:18 -5:30".
_SHORT_OFFSET = r"(:\d{2}(?:[.,]\d+)?\s*[+-])(\d)((?::?\d{2})?)$"

_WRITTEN = (
    r"^(?:[A-Za-z]{2,9},?\s+)?(?P<a>\d{1,4}|[A-Za-z]{3,9})\.?(?P<mark>[-/. ])\s*"
    r"(?P<b>\d{1,2}|[A-Za-z]{3,9})[-/., ]+(?P<c>\d{1,4})"
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]"
    r"(?P<fraction>\d{1,9}))?)?(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?)?"
    r"\s*(?P<zone>[Zz]|[+-]\d{2}(?::?\d{2})?)?$"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_SECOND = 1_000_000
_EXCEL_EPOCH = 25_569  # 1970-01-01 in the days of a spreadsheet


class _Unit(NamedTuple):
    """A unit of times that are numbers; none shares its range, 1990 to 2100, with another."""

    microseconds: float
    earliest: float
    latest: float


_FIRST, _LAST = 7_305 * 86_400, 47_482 * 86_400  # of 1990 and 2100, in seconds since 1970
_UNITS = {
    "s": _Unit(_SECOND, _FIRST, _LAST),
    "ms": _Unit(1e3, _FIRST * 1e3, _LAST * 1e3),
    "us": _Unit(1, _FIRST * 1e6, _LAST * 1e6),
    "ns": _Unit(1e-3, _FIRST * 1e9, _LAST * 1e9),
    "excel": _Unit(DAY, 7_305 + _EXCEL_EPOCH, 47_482 + _EXCEL_EPOCH),
    COMPACT: _Unit(np.nan, 19_000_101, 22_000_101),
}


class Zones(NamedTuple):
    """How many readable times have a zone, and how many have none."""

    with_: int = 0
    without: int = 0

    def check(self, name: str) -> None:
        """Raise where a column mixes the two."""
        if self.with_ and self.without:
            raise ValueError(
                f"column {name!r} mixes {self.with_:,} times with a zone and {self.without:,} "
                "without: give all of them a zone, or none"
            )


def parse_text_times(
    text: pa.ChunkedArray, name: str, options: ReadingOptions, written: str | None = None
) -> tuple[pa.ChunkedArray, Zones]:
    """Convert text to naive UTC microseconds; what cannot be read becomes missing.

    Parameters
    ----------
    text : pyarrow.ChunkedArray of text
    name : str
        The column, for errors.
    options : ReadingOptions
    written : str or None, default=None
        How the times are written, as `find_time_format` returns it; None finds it out.

    Raises
    ------
    OptionNeededError
        Day and month could change places.
    """
    if written in (None, ISO) and not (options.time_format or options.time_unit):
        for zone in (None, "UTC"):
            try:
                times = text.cast(pa.timestamp("us", zone))
            except pa.ArrowInvalid:
                continue
            valid = len(times) - times.null_count
            return times.cast(MICROSECONDS), Zones(valid, 0) if zone else Zones(0, valid)
    distinct = _cleaned(pc.unique(text))
    if written is None:
        written = find_time_format([text], name, options)
    times, zoned = _read(distinct, written, options)
    places = pc.index_in(text, value_set=pc.unique(text)).combine_chunks()
    n_zoned = int(np.count_nonzero(zoned[places.to_numpy()]))
    taken = times.take(places)
    return pa.chunked_array([taken]), Zones(n_zoned, len(taken) - taken.null_count - n_zoned)


def parse_number_times(
    numbers: pa.ChunkedArray, name: str, options: ReadingOptions, written: str | None = None
) -> pa.ChunkedArray:
    """Convert numbers to naive UTC microseconds; what cannot be read becomes missing.

    Parameters
    ----------
    numbers : pyarrow.ChunkedArray of numbers
    name : str
        The column, for errors.
    options : ReadingOptions
    written : str or None, default=None
        The unit, as `find_time_format` returns it; None finds it out.

    Raises
    ------
    OptionNeededError
        The numbers are of no unit that can be recognised.
    """
    if not len(numbers):
        return pa.chunked_array([], MICROSECONDS)
    written = written or find_time_format([numbers], name, options)
    if options.time_format:
        return parse_text_times(_digits(numbers), name, options, written)[0]
    return pa.chunked_array([_of_unit(_as_numpy(numbers), written)])


def find_time_format(chunks: Iterable[pa.ChunkedArray], name: str, options: ReadingOptions) -> str:
    """Find out how the times of a column, which may come in pieces, are written.

    Returns
    -------
    str
        `ISO`, `DAY_FIRST`, `MONTH_FIRST`, `COMPACT`, a unit of numbers, or the given format.
    """
    if options.time_format or options.time_unit:
        return options.time_format or str(options.time_unit)
    counts: Counter = Counter()
    differ = False
    n_numbers = 0
    for chunk in chunks:
        if _is_plain(chunk):
            counts[ISO] += len(chunk) - chunk.null_count
            continue
        counted = pc.value_counts(chunk.combine_chunks())
        values, times = counted.field("values"), counted.field("counts").to_numpy()
        if _is_text(values.type):
            values = _cleaned(values)
            read = {
                written: _read(values, written, options)[0]
                for written in (ISO, DAY_FIRST, MONTH_FIRST)
            }
            valid = {written: column.is_valid() for written, column in read.items()}
            two = pc.not_equal(read[DAY_FIRST], read[MONTH_FIRST])
            differ |= bool(pc.any(two).as_py())
            for written, rows in valid.items():
                counts[written] += int(times[rows.to_numpy(zero_copy_only=False)].sum())
            numbers = _number_or_nan(values)
        else:
            numbers = _as_numpy(pa.chunked_array([values]))
        n_numbers += int(times[np.isfinite(numbers)].sum())
        for written in _UNITS:
            counts[written] += int(times[_in_range(numbers, written)].sum())
    most = max(counts.values(), default=0)
    if n_numbers and not most:
        raise OptionNeededError(
            f"column {name!r} must hold timestamps, dates or ISO-8601 text, and its numbers are of "
            "no unit that can be recognised",
            "Say what they are by",
            column=name,
            time_unit=("s", "days", "excel"),
            time_format="%Y%m%d",
        )
    if differ and most and counts[DAY_FIRST] == counts[MONTH_FIRST] == most:
        raise OptionNeededError(
            f"in the times of column {name!r} day and month could change places",
            "Say which is first by",
            column=name,
            time_format=("%d/%m/%Y", "%m/%d/%Y"),
        )
    return max(counts, key=counts.__getitem__) if most else ISO


def _is_plain(text: pa.ChunkedArray) -> bool:
    """Whether all of it is ISO-8601 text of one form, which Arrow reads fastest."""
    if _is_text(text.type):
        for zone in (None, "UTC"):
            with suppress(pa.ArrowInvalid):
                text.cast(pa.timestamp("us", zone))
                return True
    return False


def _read(values: pa.Array, written: str, options: ReadingOptions) -> tuple[pa.Array, np.ndarray]:
    """Return the times of distinct texts, and which of them have a zone."""
    if written in _UNITS or written == "days":
        times = _of_unit(_number_or_nan(values), written)
        return times, np.zeros(len(values), dtype=bool)
    if options.time_format:
        return _formatted(values, options.time_format)
    if written == ISO:
        loose, _ = _split(values, written)
        # pandas reads "now" and "today" too.
        dated = missing_unless(r"^\d{4}", values)
        parsed = pd.to_datetime(dated.to_pandas(), format="ISO8601", errors="coerce", utc=True)
        times = pc.coalesce(_of_pandas(parsed), loose)
        zoned = pc.fill_null(pc.match_substring_regex(values, _ZONED), False)
        return times, zoned.to_numpy(zero_copy_only=False) & _valid(times)
    return _split(values, written)


def _formatted(values: pa.Array, form: str) -> tuple[pa.Array, np.ndarray]:
    zoned = "%z" in form or "%Z" in form
    texts = values.to_pandas().astype("str")
    # A format of the date alone serves times that go on after it, and the other way round.
    parsed = pd.to_datetime(texts, format=form, errors="coerce", utc=zoned)
    if not zoned and "%H" not in form and "%I" not in form and parsed.isna().any():
        date, clock = (
            texts.str.split(r"[T\s]+", n=1, expand=True, regex=True).reindex(columns=[0, 1]).items()
        )
        hours = pd.to_timedelta(
            clock[1].astype("str").str.replace(r"^(\d{1,2}:\d{2})$", r"\1:00", regex=True),
            errors="coerce",
        )
        later = pd.to_datetime(date[1], format=form, errors="coerce") + hours
        parsed = parsed.fillna(later)
    times = _of_pandas(parsed)
    return times, _valid(times) & zoned


def _split(values: pa.Array, written: str) -> tuple[pa.Array, np.ndarray]:
    """Read "15/11/2018 02:18", "Nov 15, 2018 2:18 PM" and the like, or "2018/1/5" as ISO 8601."""
    parts = pc.extract_regex(values, _WRITTEN)

    def number(name: str, missing: int = 0) -> np.ndarray:
        part = pc.struct_field(parts, name)
        digits = missing_unless(r"^\d+$", part)
        filled = pc.fill_null(digits.cast(pa.int64()), missing)
        return filled.to_numpy(zero_copy_only=False)

    def named_month(name: str) -> np.ndarray:
        letters = pc.utf8_slice_codeunits(pc.utf8_lower(pc.struct_field(parts, name)), 0, 3)
        month = pc.index_in(letters, value_set=pa.array(_MONTHS))
        return pc.fill_null(pc.add(month, 1), 0).to_numpy(zero_copy_only=False)

    known = parts.is_valid().to_numpy(zero_copy_only=False)
    a, b, c = (number(name) for name in "abc")
    month_a, month_b = named_month("a"), named_month("b")
    lengths = {
        name: pc.fill_null(pc.binary_length(pc.struct_field(parts, name)), 0).to_numpy(
            zero_copy_only=False
        )
        for name in "ac"
    }
    dotted = pc.fill_null(pc.equal(pc.struct_field(parts, "mark"), "."), False)
    year_first = (lengths["a"] == 4) & (month_a == 0)
    # Nobody writes the month first and dots after it.
    by_day = np.full(len(a), written == DAY_FIRST)
    by_day = (by_day | dotted.to_numpy(zero_copy_only=False) | (month_b > 0)) & (month_a == 0)
    day = np.where(by_day, a, b)
    month = np.where(by_day, np.where(month_b > 0, month_b, b), np.where(month_a > 0, month_a, a))
    day, month = np.where(year_first, c, day), np.where(year_first, b + month_b, month)
    year = np.where(year_first, a, c)
    two_digits = ~year_first & (lengths["c"] == 2)
    year = np.where(two_digits, year + np.where(year < 69, 2000, 1900), year)
    known &= year_first == (written == ISO)
    known &= np.where(year_first, lengths["c"] <= 2, np.isin(lengths["c"], (2, 4)))
    known &= (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    dates = months.astype("datetime64[D]") + (day - 1)
    known &= dates.astype("datetime64[M]") == months

    hour, minute, second = number("hour"), number("minute"), number("second")
    half = pc.fill_null(pc.utf8_lower(pc.struct_field(parts, "half")), "")
    afternoon = pc.equal(half, "p").to_numpy(zero_copy_only=False)
    halved = pc.not_equal(half, "").to_numpy(zero_copy_only=False)
    known &= np.where(halved, (hour >= 1) & (hour <= 12), hour < 24) & (minute < 60) & (second < 60)
    hour = np.where(halved, hour % 12 + 12 * afternoon, hour)
    fraction = pc.struct_field(parts, "fraction")
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(fraction, 6, "0"), 0, 6)
    padded = pc.if_else(pc.match_substring_regex(padded, r"^\d+$"), padded, "0")
    micros = pc.fill_null(padded.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    times = dates.astype("datetime64[us]").astype(np.int64)
    times = times + ((hour * 60 + minute) * 60 + second) * _SECOND + micros

    zone = pc.fill_null(pc.struct_field(parts, "zone"), "")
    zoned = pc.not_equal(zone, "").to_numpy(zero_copy_only=False) & known
    shift = pc.replace_substring(pc.utf8_rpad(pc.replace_substring(zone, ":", ""), 5, "0"), "+", "")
    shift = pc.if_else(pc.match_substring_regex(shift, r"^-?\d{4}"), shift, "0")
    offset = shift.cast(pa.int64()).to_numpy(zero_copy_only=False)
    offset = np.where(np.abs(offset) > 2400, np.sign(offset) * (np.abs(offset) // 10), offset)
    minutes = np.sign(offset) * (np.abs(offset) // 100 * 60 + np.abs(offset) % 100)
    times = times - minutes * 60 * _SECOND
    return pa.array(times, mask=~known).view(MICROSECONDS), zoned


def _of_unit(numbers: np.ndarray, written: str) -> pa.Array:
    """Return numbers of a unit as times; those beyond the years 1 to 9999 become missing."""
    if written == COMPACT:
        valid = _in_range(numbers, COMPACT)
        whole = np.where(valid, numbers, 0).astype(np.int64)
        months = ((whole // 10_000 - 1970) * 12 + whole // 100 % 100 - 1).astype("datetime64[M]")
        dates = months.astype("datetime64[D]") + (whole % 100 - 1)
        valid &= (dates.astype("datetime64[M]") == months) & (whole % 10_000 // 100 <= 12)
        times = dates.astype("datetime64[us]").astype(np.int64)
        return pa.array(times, mask=~valid).view(MICROSECONDS)
    unit = float(DAY) if written == "days" else _UNITS[written].microseconds
    counted = numbers - (_EXCEL_EPOCH if written == "excel" else 0)
    with np.errstate(over="ignore", invalid="ignore"):
        valid = np.abs(counted.astype(np.float64) * unit) < 2.5e17
    counted = np.where(valid, counted, 0)
    if counted.dtype.kind in "iu":
        times = counted // 1000 if unit < 1 else counted * int(unit)
    elif written == "excel":
        # A spreadsheet keeps days as floats: what is less than a millisecond is their error.
        times = np.rint(counted * unit / 1000) * 1000
    else:
        times = np.floor(counted * unit)
    return pa.array(times.astype(np.int64), mask=~valid).view(MICROSECONDS)


def _in_range(numbers: np.ndarray, written: str) -> np.ndarray:
    unit = _UNITS[written]
    inside = (numbers >= unit.earliest) & (numbers < unit.latest)
    if written == COMPACT:
        whole = np.where(inside, numbers, 0).astype(np.int64)
        inside &= (whole == numbers) & (whole % 100 >= 1) & (whole % 100 <= 31)
        inside &= (whole // 100 % 100 >= 1) & (whole // 100 % 100 <= 12)
    return inside


def _cleaned(values: pa.Array) -> pa.Array:
    """Return texts without spaces around them, UTC written as Z, and offsets with two digits."""
    values = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
    values = pc.replace_substring_regex(values, _SHORT_OFFSET, r"\10\2\3")
    return pc.replace_substring_regex(values, r"\s*(?:UTC|GMT)$", "Z")


def _number_or_nan(values: pa.Array) -> np.ndarray:
    """Return texts of digits as numbers, the others as NaN; integers where all are such."""
    digits = missing_unless(r"^\d{1,18}(\.0*)?$", values)
    whole = pc.replace_substring_regex(digits, r"\.0*$", "").cast(pa.int64())
    if not whole.null_count:
        return whole.to_numpy()
    numbers = missing_unless(r"^\d{1,18}([.]\d*)?$", values)
    numbers = numbers.cast(pa.float64())
    return numbers.to_numpy(zero_copy_only=False)


def _as_numpy(numbers: pa.ChunkedArray) -> np.ndarray:
    """Return numbers as integers where none is missing, and as floats otherwise."""
    if types.is_integer(numbers.type) and not numbers.null_count:
        return numbers.to_numpy()
    return numbers.cast(pa.float64(), safe=False).to_numpy()


def _digits(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whole numbers as text."""
    if types.is_floating(numbers.type):
        numbers = missing_where(pc.invert(pc.is_finite(numbers)), numbers)
        numbers = numbers.cast(pa.int64(), safe=False)
    return numbers.cast(pa.large_string())


def _of_pandas(parsed: pd.Series) -> pa.Array:
    naive = parsed.dt.tz_localize(None) if parsed.dt.tz is not None else parsed
    return pa.array(naive.dt.floor("us"), MICROSECONDS, from_pandas=True)


def _valid(times: pa.Array) -> np.ndarray:
    return times.is_valid().to_numpy(zero_copy_only=False)


def _is_text(dtype: pa.DataType) -> bool:
    return types.is_string(dtype) or types.is_large_string(dtype)
