"""Transaction logs on disk, read stretch by stretch: a stretch is some row groups of some files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import dataset, parquet

from rfmrisk.histories.reading import is_parquet, read_table

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

    def read(self, stretch: Any, rows: int) -> Iterator[pa.Table]:
        """Give a stretch as tables of about so many rows."""


def open_log(path: Path, customer: str, time: str, amount: str) -> LogFiles:
    """Open a Parquet file or folder, or read a CSV file."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    if is_parquet(path):
        return ParquetFiles(path)
    return LoadedFile(read_table(path, customer, time, amount))


def of_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column in another type; Arrow's own cast makes dictionaries of text alone."""
    if column.type == kind:
        return column
    if not pa.types.is_dictionary(kind):
        return column.cast(kind)
    encoded = column.cast(kind.value_type).dictionary_encode()
    indices = encoded.indices.cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary, ordered=kind.ordered)


class ParquetFiles:
    """A Parquet file, or a folder of them, of which a few row groups are in memory at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._readable():
            source = parquet.ParquetDataset(path)
            self._fragments = source.fragments
            self.n_rows = sum(fragment.metadata.num_rows for fragment in self._fragments)
        # Without the metadata that would make an index of some columns.
        self.schema = source.schema.remove_metadata()

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

    def read(self, stretch: list[tuple[int, int]], rows: int) -> Iterator[pa.Table]:
        """Give a stretch as tables of about so many rows, however large a row group is."""
        batches: list[pa.RecordBatch] = []
        n_rows = 0
        for batch in self._batches(stretch):
            batches.append(batch)
            n_rows += len(batch)
            if n_rows >= rows:
                yield pa.Table.from_batches(batches)
                batches, n_rows = [], 0
        yield pa.Table.from_batches(batches, self.schema)

    def _batches(self, stretch: list[tuple[int, int]]) -> Iterator[pa.RecordBatch]:
        for file in dict.fromkeys(file for file, _ in stretch):
            fragment = self._fragments[file]
            keys = dataset.get_partition_keys(fragment.partition_expression)
            row_groups = [row_group for owner, row_group in stretch if owner == file]
            with (
                self._readable(),
                # Through a small buffer: a row group may be as large as the file.
                parquet.ParquetFile(
                    fragment.path, filesystem=fragment.filesystem, buffer_size=2**20
                ) as source,
            ):
                for batch in source.iter_batches(_BATCH, row_groups=row_groups):
                    yield self._conformed(batch, keys)

    def _conformed(self, batch: pa.RecordBatch, keys: dict[str, Any]) -> pa.RecordBatch:
        """Give a batch the columns of the whole log, as a folder may have several schemas."""
        columns = []
        for field in self.schema:
            if field.name in batch.schema.names:
                column = batch.column(field.name)
            else:
                column = pa.repeat(pa.scalar(keys.get(field.name)), len(batch))
            columns.append(of_type(column, field.type))
        return pa.record_batch(columns, schema=self.schema)

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

    def read(self, stretch: int, rows: int) -> Iterator[pa.Table]:
        """Give a stretch as one table."""
        yield self._table.slice(stretch, rows)
