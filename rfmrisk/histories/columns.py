"""What is accepted as a column: frames, ids, times and amounts, checked and converted."""

from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from rfmrisk.histories.amounts import NumberFormat, parse_number_text
from rfmrisk.histories.datetimes import Zones, parse_number_times, parse_text_times
from rfmrisk.histories.missing import missing_where
from rfmrisk.histories.options import RECOGNISED, ReadingOptions
from rfmrisk.histories.segments import Ints

_PLAIN = (
    np.dtype("float64"),
    *(np.dtype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")),
)

# What programs write for an id that is missing.
_MISSING_IDS = pa.array(
    [
        "",
        "NA",
        "N/A",
        "n/a",
        "#N/A",
        "NaN",
        "nan",
        "NULL",
        "Null",
        "null",
        "None",
        "<NA>",
        "NaT",
        "\\N",
    ],
    pa.large_string(),
)
_LONGEST_MISSING = 5

# The first second of year 1 and the one after year 9999, since 1970.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_800


class Parsed(NamedTuple):
    """A converted column, which of its rows are bad, and the column as it came."""

    converted: pa.ChunkedArray
    bad: np.ndarray
    raw: pa.ChunkedArray


def as_table(frame: Any) -> pa.Table:
    """Return any frame as a pyarrow table, without its index, columns not copied where possible."""
    if isinstance(frame, pd.DataFrame):
        check_columns([str(name) for name in frame.columns], [])
        return pa.table({str(name): arrow_column(column) for name, column in frame.items()})
    if not hasattr(frame, "__arrow_c_stream__") or isinstance(frame, pd.Series):
        raise TypeError(
            "a frame that speaks the Arrow C stream is needed (pandas, Polars, pyarrow, DuckDB); "
            f"got {type(frame).__name__}"
        )
    try:
        table = pa.table(frame)
    except pa.ArrowException as error:
        raise ValueError(f"the {type(frame).__name__} cannot be read: {error}") from error
    check_columns(table.column_names, [])
    dtypes = [(field.name, _without_views(field.type)) for field in table.schema]
    return table.cast(pa.schema(dtypes))


def check_columns(names: list[str], needed: list[str], of: str = "the log") -> None:
    """Raise where a needed column is missing or a name stands twice."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"duplicated column names {twice}: each column needs a name of its own")
    missing = [name for name in needed if name not in names]
    if missing:
        raise ValueError(f"column(s) {missing} not found in {of}; the columns are {names}")
    if len(set(needed)) < len(needed):
        raise ValueError(f"one column cannot have two roles; got {needed}")


def parse_ids(column: pa.ChunkedArray, name: str) -> Parsed:
    """Convert ids to 64-bit integers or text; missing ones count as bad."""
    ids = decoded(column)
    dtype = ids.type
    allowed = f"column {name!r} must hold ids that are integers, text, categories or UUIDs"
    if is_text(dtype):
        ids = _named(ids.cast(pa.large_string()))
    elif isinstance(dtype, pa.UuidType):
        text = [_uuid_text(chunk.storage) for chunk in ids.chunks]
        ids = pa.chunked_array(text, pa.large_string())
    elif is_number(dtype):
        # A missing value turns integers into floats in pandas.
        if types.is_floating(dtype):
            ids = missing_where(pc.is_nan(ids), ids)
        try:
            ids = ids.cast(pa.uint64() if types.is_uint64(dtype) else pa.int64())
        except pa.ArrowInvalid as error:
            raise ValueError(f"{allowed}; its type is {dtype}, and {error}") from error
    elif not types.is_null(dtype):
        raise ValueError(f"{allowed}; its type is {dtype}")
    return Parsed(ids, _missing(ids), column)


def _named(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return ids of text, those missing that are blank or spell a missing value."""
    lengths = pc.min_max(pc.binary_length(ids)).as_py()
    if lengths["min"] is not None and lengths["min"] <= _LONGEST_MISSING:
        ids = missing_where(pc.is_in(ids, value_set=_MISSING_IDS), ids)
    if pc.any(pc.starts_with(ids, " ")).as_py():
        ids = missing_where(pc.equal(pc.utf8_trim_whitespace(ids), ""), ids)
    return ids


def parse_times(column: pa.ChunkedArray, name: str, options: ReadingOptions = RECOGNISED) -> Parsed:
    """Convert times to naive UTC microseconds; missing and unreadable ones count as bad."""
    parsed, zones = read_times(column, name, options)
    zones.check(name)
    return parsed


def read_times(
    column: pa.ChunkedArray,
    name: str,
    options: ReadingOptions = RECOGNISED,
    written: str | None = None,
) -> tuple[Parsed, Zones]:
    """Convert times as `parse_times` does, and count the zones of text instead of judging them.

    ``written`` is how text or numbers are written, where the column is a part of one.
    """
    times = decoded(column)
    dtype = times.type
    zones = Zones()
    if is_text(dtype):
        times, zones = parse_text_times(times, name, options, written)
    elif is_number(dtype):
        times = parse_number_times(times, name, options, written)
    elif types.is_timestamp(dtype) and dtype.unit == "ns":
        times = pc.floor_temporal(times.cast(pa.timestamp("ns")), unit="microsecond")
    elif not (types.is_timestamp(dtype) or types.is_date(dtype) or types.is_null(dtype)):
        raise ValueError(
            f"column {name!r} must hold timestamps, dates or ISO-8601 text; its type is {dtype}"
        )
    times = _in_calendar(times)
    return Parsed(times, _missing(times), column), zones


def parse_amounts(
    column: pa.ChunkedArray,
    name: str,
    options: ReadingOptions = RECOGNISED,
    written: NumberFormat | None = None,
) -> Parsed:
    """Convert amounts to float64; missing, infinite and unreadable ones count as bad.

    ``written`` is how text is written, where the column is a part of one.
    """
    amounts = decoded(column)
    dtype = amounts.type
    if is_text(dtype):
        amounts = parse_number_text(amounts, name, options, written)
    elif not (is_number(dtype) or types.is_null(dtype)):
        raise ValueError(f"column {name!r} must hold numbers; its type is {dtype}")
    # Adding 0 turns -0.0 into 0.0: equal amounts are the same to the last bit.
    amounts = pc.add(amounts.cast(pa.float64(), safe=False), 0.0)
    return Parsed(amounts, ~np.isfinite(amounts.to_numpy()), column)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, not copied where it is one already."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if types.is_string(column.type) and column.nbytes >= 2**31:
        # Text beyond 2 GB needs wider offsets.
        column = column.cast(pa.large_string())
    return column.combine_chunks()


def is_number(dtype: pa.DataType) -> bool:
    """Whether values of this Arrow type can be summed."""
    return types.is_integer(dtype) or types.is_floating(dtype) or types.is_decimal(dtype)


def microseconds(times: pa.Array | pa.ChunkedArray) -> Ints:
    """Return timestamps in microseconds, none of them missing, as integers."""
    if isinstance(times, pa.ChunkedArray):
        return times.cast(pa.int64()).to_numpy()
    return times.view(pa.int64()).to_numpy()


def arrow_column(column: pd.Series) -> pa.ChunkedArray:
    """Return a pandas column in Arrow's form; objects must be of one type, and of one zone."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        utc = arrow_column(column.dt.tz_convert(None))
        return utc.cast(pa.timestamp(column.dtype.unit, column.dtype.tz))
    if column.dtype in _PLAIN:
        # Arrow looks for gaps five times slower than NumPy, and copies what has none all the same.
        values = column.to_numpy()
        if not np.isnan(values).any():
            dtype = pa.from_numpy_dtype(values.dtype)
            return pa.chunked_array([pa.array(values.view(np.int64)).view(dtype)])
    try:
        # Without its index: Arrow asks a Series for attributes, and pandas then hashes all labels.
        values = pa.array(column.reset_index(drop=True))
    except (pa.ArrowException, TypeError) as error:
        if (column.dropna().map(type) == UUID).all():  # which Arrow knows from version 24 on
            return pa.chunked_array([pa.array(column.map(str, na_action="ignore"), pa.string())])
        raise ValueError(
            f"column {str(column.name)!r} holds values of mixed or unknown types: {error}. "
            "Give it one type, or leave it out"
        ) from error
    if isinstance(values, pa.Array):
        values = pa.chunked_array([values])
    if column.dtype == object and types.is_timestamp(values.type):
        # Arrow takes objects with and without a zone for one and the same.
        timestamps = [timestamp for timestamp in column.dropna() if isinstance(timestamp, datetime)]
        zoned = sum(timestamp.tzinfo is not None for timestamp in timestamps)
        Zones(zoned, len(timestamps) - zoned).check(str(column.name))
    return values


def _missing(column: pa.ChunkedArray) -> np.ndarray:
    return column.is_null().to_numpy() if column.null_count else np.zeros(len(column), dtype=bool)


def _without_views(dtype: pa.DataType) -> pa.DataType:
    """Return the type without views, which Arrow cannot yet sort or take."""
    if types.is_string_view(dtype):
        return pa.large_string()
    if types.is_binary_view(dtype):
        return pa.large_binary()
    if types.is_dictionary(dtype):
        return pa.dictionary(dtype.index_type, _without_views(dtype.value_type), dtype.ordered)
    if types.is_list(dtype):
        return pa.list_(_without_views(dtype.value_type))
    if types.is_large_list(dtype):
        return pa.large_list(_without_views(dtype.value_type))
    if types.is_struct(dtype):
        return pa.struct([field.with_type(_without_views(field.type)) for field in dtype])
    return dtype


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values of a dictionary."""
    return column.cast(column.type.value_type) if types.is_dictionary(column.type) else column


def _in_calendar(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times in microseconds; those beyond the years 1 to 9999 become missing."""
    dtype = times.type
    if not types.is_timestamp(dtype):
        dtype = pa.timestamp("s" if types.is_date32(dtype) else "ms")
        try:
            times = times.cast(dtype)
        except pa.ArrowInvalid:
            days = times.cast(pa.int32()).cast(pa.int64())
            times = pc.multiply(days, 86_400).cast(dtype)
    counted = times.cast(pa.int64())
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[dtype.unit]
    if per_second < 10**9 and len(counted):
        spread = pc.min_max(counted).as_py()
        first, last = _FIRST_SECOND * per_second, _LAST_SECOND * per_second
        if spread["min"] is not None and (spread["min"] < first or spread["max"] >= last):
            outside = pc.or_(pc.less(counted, first), pc.greater_equal(counted, last))
            times = missing_where(outside, times)
    return times.cast(pa.timestamp(dtype.unit)).cast(pa.timestamp("us"))


def is_text(dtype: pa.DataType) -> bool:
    """Whether an Arrow type holds text."""
    return types.is_string(dtype) or types.is_large_string(dtype)


def _uuid_text(raw: pa.Array) -> pa.Array:
    """Write 16 bytes as "01234567-89ab-cdef-0123-456789abcdef"."""
    filled = pc.fill_null(raw, bytes(16))
    octets = np.frombuffer(filled.buffers()[1], np.uint8).reshape(-1, 16)
    octets = octets[filled.offset : filled.offset + len(filled)]
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.full((len(raw), 36), ord("-"), dtype=np.uint8)
    text[:, np.delete(np.arange(36), [8, 13, 18, 23])] = digits[
        np.stack((octets >> 4, octets & 15), axis=-1).reshape(-1, 32)
    ]
    written = pa.array(text.view("S36").ravel()).cast(pa.large_string())
    return missing_where(raw.is_null(), written)
