"""Read a Parquet file of somebody else within limits.

How much it unpacks to stands in the heads of its pages, before any is unpacked.

The footer of a file says how many rows and bytes there are, and may say anything: Arrow allocates
what the head of a page claims, and a page of 16 kB can hold gigabytes of zeros.

Source: Apache Parquet format, *Data Pages* and *parquet.thrift* (PageHeader), in the compact
protocol of Apache Thrift.
"""

from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet, types

from rfmrisk.histories.columns import is_text
from rfmrisk.histories.sources import Limits

_DELTA_BYTE_ARRAY = 7
_V1, _DICTIONARY, _V2 = 5, 7, 8  # fields of a PageHeader
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = (
    0, 1, 2, 3, 7, 8, 9, 10, 11, 12,
)  # fmt: skip
_DEEPEST = 8


def read_bounded(data: bytes, columns: list[str], limits: Limits) -> pa.Table:
    """Read columns, none of them nested, that unpack to no more than they may.

    Raises
    ------
    BeyondLimitError
        There are more rows or bytes than there may be.
    pyarrow.ArrowException, OSError
        The file is broken, or written so that a few bytes make texts of any length.
    """
    file = parquet.ParquetFile(pa.BufferReader(data))
    schema = pa.schema([file.schema_arrow.field(name).remove_metadata() for name in columns])
    texts = [field.name for field in schema if is_text(field.type)]
    limits.check_rows(file.metadata.num_rows)
    limits.check_bytes(unpacked_bytes(data, file.metadata, columns))
    # Texts as they are stored: one of a dictionary is there once, until it is known how often.
    file = parquet.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
    table = file.read(columns=columns, use_threads=False).select(columns)
    written = 0
    for name in texts:
        if types.is_dictionary(table[name].type):
            for chunk in table[name].chunks:
                lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
                written += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    limits.check_bytes(written)
    return table.cast(schema)


def unpacked_bytes(data: bytes, metadata: Any, columns: Collection[str]) -> int:
    """Return how many bytes the pages of some columns unpack to.

    Parameters
    ----------
    data : bytes
        The file.
    metadata : pyarrow.parquet.FileMetaData
    columns : collection of str
        Names of columns that are no lists and no structs.

    Raises
    ------
    pyarrow.ArrowInvalid
        A page is not where the footer says, has other rows, or is written so that a few bytes make
        texts of any length.
    """
    total = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number in range(metadata.num_columns):
            chunk = row_group.column(number)
            if chunk.path_in_schema not in columns:
                continue
            begins = [chunk.data_page_offset]
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                begins.append(chunk.dictionary_page_offset)
            n_rows = 0
            at, end = min(begins), min(begins) + chunk.total_compressed_size
            if not 0 <= at <= end <= len(data):
                raise pa.ArrowInvalid("a column lies outside of the file")
            while at < end:
                page, at = _Thrift(data, at).struct()
                unpacked, packed = page.get(2), page.get(3)
                if not isinstance(unpacked, int) or not isinstance(packed, int) or packed < 0:
                    raise pa.ArrowInvalid("a page has no head")
                of_data = page.get(_V1) or page.get(_V2) or {}
                if of_data.get(2 if _V1 in page else 4) == _DELTA_BYTE_ARRAY:
                    raise pa.ArrowInvalid("texts are written as DELTA_BYTE_ARRAY")
                n_rows += of_data.get(1, 0)
                total += max(unpacked, 0)
                at += packed
            if n_rows != row_group.num_rows:
                raise pa.ArrowInvalid("the pages have other rows than the footer says")
    return total


class _Thrift:
    """Reads values of Thrift's compact protocol."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def struct(self, depth: int = 0) -> tuple[dict[int, Any], int]:
        """Return a struct's fields by number, and where it ends."""
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            step, kind = head >> 4, head & 15
            number = number + step if step else _zigzag(self._varint())
            fields[number] = self._value(kind, depth + 1)
        return fields, self._at

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise pa.ArrowInvalid("the head of a page is nested too deeply")
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _STRUCT:
            return self.struct(depth)[0]
        if kind in (_LIST, _SET):
            head = self._byte()
            size = self._varint() if head >> 4 == 15 else head >> 4
            self._skip(0 if size <= len(self._data) else -1)
            return [self._value(head & 15, depth + 1) for _ in range(size)]
        if kind in (_BINARY, _DOUBLE, _BYTE):
            return self._skip({_DOUBLE: 8, _BYTE: 1}.get(kind) or self._varint())
        if kind == _MAP or kind > _STRUCT:
            raise pa.ArrowInvalid("the head of a page cannot be read")
        return _zigzag(self._varint())

    def _byte(self) -> int:
        self._skip(1)
        return self._data[self._at - 1]

    def _skip(self, size: int) -> None:
        if not 0 <= size <= len(self._data) - self._at:
            raise pa.ArrowInvalid("the head of a page is cut off")
        self._at += size

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise pa.ArrowInvalid("a number in the head of a page has no end")


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
