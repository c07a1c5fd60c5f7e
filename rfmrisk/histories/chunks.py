"""Transaction logs on disk, read stretch by stretch: a stretch is some row groups of some files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import parquet

from rfmrisk.histories.arrow_schemas import partition_keys, unite_schemas
from rfmrisk.histories.sources import log_files

_BATCH = 65_536


class LogFiles(Protocol):
    """A log on disk.

    Attributes
    ----------
    schema : pyarrow.Schema
        Its columns.
    n_rows : int
        How many transactions it has.
    """

    schema: pa.Schema
    n_rows: int

    def stretches(self, rows: int) -> list[Any]:
        """Divide the log into stretches of at least so many rows, the same in every run."""

    def read(self, stretch: Any, rows: int, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Give a stretch as tables of about so many rows; of all columns, or of some."""


def of_type(column: Any, dtype: pa.DataType) -> Any:
    """Return a column in another type; Arrow's own cast makes dictionaries of text alone."""
    if column.type == dtype:
        return column
    if not pa.types.is_dictionary(dtype):
        return column.cast(dtype)
    encoded = column.cast(dtype.value_type).dictionary_encode()
    indices = encoded.indices.cast(dtype.index_type)
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary, ordered=dtype.ordered)


def conformed(data: Any, schema: pa.Schema, keys: dict[str, Any]) -> Any:
    """Give a table or batch of one file the columns of the whole log.

    What its folder is called fills columns that it has not; others are missing in all rows.
    """
    columns = []
    for field in schema:
        if field.name in data.schema.names:
            column = data.column(field.name)
        else:
            column = pa.repeat(pa.scalar(keys.get(field.name), field.type), len(data))
        columns.append(of_type(column, field.type))
    return type(data).from_arrays(columns, schema=schema)


class ParquetFiles:
    """A Parquet file, or a folder of them, of which a few row groups are in memory at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        files = log_files(path)
        self._keys = partition_keys(files, path)
        with self._readable():
            # Folders called name=value are read here: Arrow would take "01" for 1.
            source = parquet.ParquetDataset([str(file) for file in files], partitioning=None)
            self._fragments = source.fragments
            self.n_rows = sum(fragment.metadata.num_rows for fragment in self._fragments)
            # Without the metadata that would make an index of some columns.
            schemas = [fragment.physical_schema.remove_metadata() for fragment in self._fragments]
        self.schema = unite_schemas(
            (str(file.relative_to(path)) if file != path else file.name, _with_keys(schema, keys))
            for file, schema, keys in zip(files, schemas, self._keys, strict=True)
        )

    def read_all(self) -> pa.Table:
        """Give the whole log."""
        with self._readable():
            tables = [
                conformed(fragment.to_table(), self.schema, keys)
                for fragment, keys in zip(self._fragments, self._keys, strict=True)
            ]
        return pa.concat_tables(tables)

    def stretches(self, rows: int) -> list[list[tuple[int, int]]]:
        """Divide the log: a stretch is a list of (file, row group)."""
        found: list[list[tuple[int, int]]] = []
        missing = 0
        for file, fragment in enumerate(self._fragments):
            for row_group in fragment.row_groups:
                if missing <= 0:
                    found.append([])
                    missing = rows
                found[-1].append((file, row_group.id))
                missing -= row_group.num_rows
        return found

    def read(
        self, stretch: list[tuple[int, int]], rows: int, columns: list[str] | None = None
    ) -> Iterator[pa.Table]:
        """Give a stretch as tables of about so many rows, however large a row group is."""
        schema = self.schema if columns is None else _selected(self.schema, columns)
        batches: list[pa.RecordBatch] = []
        n_rows = 0
        for batch in self._batches(stretch, schema):
            batches.append(batch)
            n_rows += len(batch)
            if n_rows >= rows:
                yield pa.Table.from_batches(batches)
                batches, n_rows = [], 0
        yield pa.Table.from_batches(batches, schema)

    def _batches(
        self, stretch: list[tuple[int, int]], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        for file in dict.fromkeys(file for file, _ in stretch):
            fragment = self._fragments[file]
            keys = self._keys[file]
            row_groups = [row_group for owner, row_group in stretch if owner == file]
            with (
                self._readable(),
                # Through a small buffer: a row group may be as large as the file.
                parquet.ParquetFile(
                    fragment.path, filesystem=fragment.filesystem, buffer_size=2**20
                ) as source,
            ):
                names = [n for n in source.schema_arrow.names if n in schema.names]
                for batch in source.iter_batches(_BATCH, row_groups=row_groups, columns=names):
                    yield conformed(batch, schema, keys)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{str(self._path)!r} cannot be read: {error}") from error


class LoadedFile:
    """A log that is in memory already."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.schema = table.schema
        self.n_rows = table.num_rows

    def stretches(self, rows: int) -> list[int]:
        """Divide the log: a stretch is its first row."""
        return list(range(0, self.n_rows, rows))

    def read(self, stretch: int, rows: int, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Give a stretch as one table."""
        table = self._table if columns is None else self._table.select(columns)
        yield table.slice(stretch, rows)


def _with_keys(schema: pa.Schema, keys: dict[str, Any]) -> pa.Schema:
    for name, value in keys.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.scalar(value).type))
    return schema


def _selected(schema: pa.Schema, columns: list[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in columns])
