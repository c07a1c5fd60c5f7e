"""What the door accepts in a column: frames, ids, times and amounts, checked and converted."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# A time of day followed by a zone: "...T02:18:49Z", "... 02:18:49.5+01:00".
_ZONED = r"\d[Tt ]\d.*([Zz]|[+-]\d{2}(:?\d{2})?)$"


class Parsed(NamedTuple):
    """A converted column, which of its rows are bad, and the column as it came."""

    values: pa.ChunkedArray
    bad: np.ndarray
    raw: pa.ChunkedArray


def as_table(frame: Any) -> pa.Table:
    """Return any frame as a pyarrow table, without its index, columns not copied where possible."""
    if isinstance(frame, pa.Table):
        return frame
    if not hasattr(frame, "__arrow_c_stream__"):
        raise TypeError(
            "a frame that speaks the Arrow C stream is needed (pandas, Polars, pyarrow, DuckDB); "
            f"got {type(frame).__name__}"
        )
    if not isinstance(frame, pd.DataFrame):
        return pa.table(frame)
    check_columns([str(name) for name in frame.columns], [])
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError) as error:
        raise ValueError(
            f"a column holds values of mixed or unknown types: {error}; give it one type, "
            "or leave it out of the log"
        ) from error


def check_columns(
    names: list[str], needed: list[str], renamed: frozenset[str] | set[str] = frozenset()
) -> None:
    """Raise where a needed column is missing or a name stands twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"duplicated column names {twice}: each column needs a name of its own")
    missing = [name for name in needed if name not in names]
    if missing:
        raise ValueError(f"column(s) {missing} not found; the columns are {names}")
    if len(set(needed)) < len(needed):
        raise ValueError(f"one column cannot have two roles; got {needed}")
    taken = sorted(renamed.intersection(names).difference(needed))
    if taken:
        raise ValueError(
            f"the further column(s) {taken} have the name of a role: rename them, or bind them "
            "to it"
        )


def encode_ids(column: pa.Array | pa.ChunkedArray, name: str) -> tuple[np.ndarray, pa.Array]:
    """Return the rank of each value among the sorted distinct values, and these values."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
        encoded = column.dictionary_encode(null_encoding="encode")
        text = [
            None if raw is None else _uuid_text(raw, name) for raw in encoded.dictionary.to_pylist()
        ]
        encoded = pa.DictionaryArray.from_arrays(encoded.indices, pa.array(text, pa.string()))
    else:
        encoded = column.dictionary_encode(null_encoding="encode")
    by_value = pc.array_sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(by_value), dtype=np.int64)
    rank[by_value] = np.arange(len(by_value))
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(pa.array(by_value))


def parse_times(column: pa.Array | pa.ChunkedArray, name: str) -> Parsed:
    """Convert times to naive UTC microseconds; unreadable ones become null and count as bad."""
    raw = pa.chunked_array([column]) if isinstance(column, pa.Array) else column
    if pa.types.is_dictionary(raw.type):
        raw = raw.cast(raw.type.value_type)
    kind = raw.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        values = raw.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        values = values.cast(pa.timestamp("us"))
    elif _is_text(kind):
        values = _parse_text_times(raw, name)
    elif pa.types.is_null(kind):
        values = raw.cast(pa.timestamp("us"))
    else:
        raise ValueError(
            f"column {name!r} must hold timestamps, dates or ISO-8601 text; its type is {kind}. "
            "Numbers need a unit: convert them first, as with pandas.to_datetime(..., unit='s')"
        )
    return Parsed(values, values.is_null().to_numpy(), raw)


def _parse_text_times(text: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    if pa.types.is_string_view(text.type):
        text = text.cast(pa.large_string())
    for zone in (None, "UTC"):
        try:
            return text.cast(pa.timestamp("us", zone)).cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            continue
    parsed = pd.to_datetime(text.to_pandas(), format="ISO8601", errors="coerce", utc=True)
    values = pa.chunked_array(
        [pa.array(parsed, pa.timestamp("us", "UTC"), from_pandas=True, safe=False)]
    )
    readable = values.is_valid()
    zoned = pc.fill_null(pc.match_substring_regex(text, _ZONED), fill_value=False)
    n_zoned = pc.sum(pc.and_(zoned, readable)).as_py() or 0
    n_naive = pc.sum(pc.and_(pc.invert(zoned), readable)).as_py() or 0
    if n_zoned and n_naive:
        raise ValueError(
            f"column {name!r} mixes {n_zoned:,} times with a zone and {n_naive:,} without: "
            "give all of them a zone, or none"
        )
    return values.cast(pa.timestamp("us"))


def parse_amounts(column: pa.ChunkedArray, name: str) -> Parsed:
    """Convert amounts to float64; missing, infinite and unreadable ones count as bad."""
    kind = column.type
    if _is_text(kind):
        numbers = pd.to_numeric(column.to_pandas(), errors="coerce")
        values = pa.chunked_array([pa.array(numbers, pa.float64(), from_pandas=True)])
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = column.cast(pa.float64(), safe=False)
    elif pa.types.is_null(kind):
        values = column.cast(pa.float64())
    else:
        raise ValueError(f"column {name!r} must hold numbers; its type is {kind}")
    finite = pc.fill_null(pc.is_finite(values), fill_value=False)
    return Parsed(values, ~finite.to_numpy(), column)


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _uuid_text(raw: bytes, name: str) -> str:
    import uuid

    if len(raw) != 16:
        raise ValueError(f"ids in {name!r} must be integers, text, categories or UUIDs")
    return str(uuid.UUID(bytes=raw))
