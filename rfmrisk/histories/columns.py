"""What the door accepts in a column: frames, ids, times and amounts, checked and converted."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from rfmrisk.histories.segments import Ints

_PLAIN = (
    np.dtype("float64"),
    *(np.dtype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")),
)

# The time of day with a zone after it: "...T02:18:49Z", "... 02:18:49.5+01:00".
_ZONED = r"\d[Tt ]\d.*([Zz]|[+-]\d{2}(:?\d{2})?)$"


class Parsed(NamedTuple):
    """A converted column, which of its rows are bad, and the column as it came."""

    converted: pa.ChunkedArray
    bad: np.ndarray
    raw: pa.ChunkedArray


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
    kinds = [(field.name, _without_views(field.type)) for field in table.schema]
    return table.cast(pa.schema(kinds))


def check_columns(names: list[str], needed: list[str], of: str = "the log") -> None:
    """Raise where a needed column is missing or a name stands twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"duplicated column names {twice}: each column needs a name of its own")
    missing = [name for name in needed if name not in names]
    if missing:
        raise ValueError(f"column(s) {missing} not found in {of}; the columns are {names}")
    if len(set(needed)) < len(needed):
        raise ValueError(f"one column cannot have two roles; got {needed}")


def parse_ids(column: pa.ChunkedArray, name: str) -> Parsed:
    """Convert ids to 64-bit integers or text; missing ones count as bad."""
    ids = _decoded(column)
    kind = ids.type
    allowed = f"column {name!r} must hold ids that are integers, text, categories or UUIDs"
    if is_text(kind):
        ids = ids.cast(pa.large_string())
    elif isinstance(kind, pa.UuidType):
        text = [_uuid_text(chunk.storage) for chunk in ids.chunks]
        ids = pa.chunked_array(text, pa.large_string())
    elif is_number(kind):
        # A missing value turns integers into floats in pandas.
        if types.is_floating(kind):
            ids = pc.if_else(pc.is_nan(ids), None, ids)
        try:
            ids = ids.cast(pa.uint64() if types.is_uint64(kind) else pa.int64())
        except pa.ArrowInvalid as error:
            raise ValueError(f"{allowed}; its type is {kind}, and {error}") from error
    elif not types.is_null(kind):
        raise ValueError(f"{allowed}; its type is {kind}")
    return Parsed(ids, _missing(ids), column)


def parse_times(column: pa.ChunkedArray, name: str) -> Parsed:
    """Convert times to naive UTC microseconds; missing and unreadable ones count as bad."""
    parsed, zones = read_times(column, name)
    zones.check(name)
    return parsed


def read_times(column: pa.ChunkedArray, name: str) -> tuple[Parsed, Zones]:
    """Convert times as `parse_times` does, and count the zones of text instead of judging them."""
    times = _decoded(column)
    kind = times.type
    zones = Zones()
    if is_text(kind):
        times, zones = _parse_text_times(times)
    elif types.is_timestamp(kind) and kind.unit == "ns":
        times = pc.floor_temporal(times.cast(pa.timestamp("ns")), unit="microsecond")
    elif not (types.is_timestamp(kind) or types.is_date(kind) or types.is_null(kind)):
        raise ValueError(
            f"column {name!r} must hold timestamps, dates or ISO-8601 text; its type is {kind}. "
            "Numbers need a unit: convert them first, as with pandas.to_datetime(..., unit='s')"
        )
    times = times.cast(pa.timestamp("us"))
    return Parsed(times, _missing(times), column), zones


def parse_amounts(column: pa.ChunkedArray, name: str) -> Parsed:
    """Convert amounts to float64; missing, infinite and unreadable ones count as bad."""
    amounts = _decoded(column)
    kind = amounts.type
    if is_text(kind):
        amounts = _parse_text_amounts(amounts)
    elif not (is_number(kind) or types.is_null(kind)):
        raise ValueError(f"column {name!r} must hold numbers; its type is {kind}")
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


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type can be summed."""
    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def microseconds(times: pa.Array | pa.ChunkedArray) -> Ints:
    """Return timestamps in microseconds, none of them missing, as integers."""
    if isinstance(times, pa.ChunkedArray):
        return times.cast(pa.int64()).to_numpy()
    return times.view(pa.int64()).to_numpy()


def arrow_column(column: pd.Series) -> pa.ChunkedArray:
    """Return a pandas column in Arrow's form; objects must be of one type, and of one zone."""
    if column.dtype in _PLAIN:
        # Arrow looks for gaps five times slower than NumPy, and copies what has none all the same.
        values = column.to_numpy()
        if not np.isnan(values).any():
            kind = pa.from_numpy_dtype(values.dtype)
            return pa.chunked_array([pa.array(values.view(np.int64)).view(kind)])
    try:
        # Without its index: Arrow asks a Series for attributes, and pandas then hashes all labels.
        values = pa.chunked_array(column.reset_index(drop=True))
    except (pa.ArrowException, TypeError) as error:
        if (column.dropna().map(type) == UUID).all():  # which Arrow knows from version 24 on
            return pa.chunked_array([pa.array(column.map(str, na_action="ignore"), pa.string())])
        raise ValueError(
            f"column {str(column.name)!r} holds values of mixed or unknown types: {error}. "
            "Give it one type, or leave it out"
        ) from error
    if column.dtype == object and types.is_timestamp(values.type):
        # Arrow takes objects with and without a zone for one and the same.
        moments = [moment for moment in column.dropna() if isinstance(moment, datetime)]
        zoned = sum(moment.tzinfo is not None for moment in moments)
        Zones(zoned, len(moments) - zoned).check(str(column.name))
    return values


def _missing(column: pa.ChunkedArray) -> np.ndarray:
    return column.is_null().to_numpy() if column.null_count else np.zeros(len(column), dtype=bool)


def _without_views(kind: pa.DataType) -> pa.DataType:
    """Return the type without views, which Arrow cannot yet sort or take."""
    if types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _without_views(kind.value_type), kind.ordered)
    if types.is_list(kind):
        return pa.list_(_without_views(kind.value_type))
    if types.is_large_list(kind):
        return pa.large_list(_without_views(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_without_views(field.type)) for field in kind])
    return kind


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if types.is_dictionary(column.type) else column


def _parse_text_times(text: pa.ChunkedArray) -> tuple[pa.ChunkedArray, Zones]:
    for zone in (None, "UTC"):
        try:
            times = text.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
        valid = len(times) - times.null_count
        return times, Zones(valid, 0) if zone else Zones(0, valid)
    text = pc.utf8_trim_whitespace(text)
    # pandas reads "now" and "today" too.
    dated = pc.if_else(pc.match_substring_regex(text, r"^\d{4}"), text, None)
    parsed = pd.to_datetime(dated.to_pandas(), format="ISO8601", errors="coerce", utc=True)
    naive = parsed.dt.tz_localize(None).dt.floor("us")
    times = pa.chunked_array([pa.array(naive, pa.timestamp("us"), from_pandas=True)])
    zoned = pc.match_substring_regex(text, _ZONED).filter(times.is_valid())
    n_zoned = pc.sum(zoned, min_count=0).as_py()
    return times, Zones(n_zoned, len(zoned) - n_zoned)


def _parse_text_amounts(text: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid:
        numbers = pd.to_numeric(text.to_pandas(), errors="coerce")
        return pa.chunked_array([pa.array(numbers, pa.float64(), from_pandas=True)])


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds text."""
    return types.is_string(kind) or types.is_large_string(kind)


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
    return pc.if_else(raw.is_valid(), written, None)
