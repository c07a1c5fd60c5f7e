"""Logs larger than memory: read once, split by customer, and given as histories part by part.

A log is split into files in a work folder. Each holds what one stretch of the log gives to every
partition, so that a partition is a few batches of each file, and a file that is there is whole:
a run that was interrupted goes on behind the last of them.
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rfmrisk.histories.chunks import LoadedFile, LogFiles, ParquetFiles, of_type
from rfmrisk.histories.columns import as_table, microseconds, parse_ids, whole
from rfmrisk.histories.ending import end_of_log
from rfmrisk.histories.findings import Findings, check_on_bad, check_schema, inspect
from rfmrisk.histories.integers import check_integer
from rfmrisk.histories.nesting import (
    Decisions,
    histories_at,
    histories_of_decisions,
    read_decisions,
)
from rfmrisk.histories.options import (
    AMOUNT,
    CUSTOMER,
    RECOGNISED,
    ROWS_PER_PART,
    TIME,
    Duplicates,
    OnBad,
    ReadingOptions,
)
from rfmrisk.histories.reading import read_table
from rfmrisk.histories.roles import Roles, find_formats_of
from rfmrisk.histories.segments import Ints, group
from rfmrisk.histories.sources import is_parquet
from rfmrisk.histories.timestamps import DAY, check_known, parse_timestamp
from rfmrisk.histories.whole_files import whole_file, write_whole

Watch = Callable[[Iterable[Any], str, int], Iterable[Any]]


def histories_in_parts(
    path: str | Path,
    *,
    customer: str = CUSTOMER,
    time: str = TIME,
    amount: str = AMOUNT,
    order: str | None = None,
    duplicates: Duplicates = "keep",
    as_of: Any = None,
    on_bad: OnBad = "raise",
    separator: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    time_format: str | None = None,
    time_unit: str | None = None,
    rows_per_part: int = ROWS_PER_PART,
    folder: str | Path | None = None,
) -> Iterator[pd.DataFrame]:
    """Nest a log that is larger than memory, one partition of its customers after another.

    All transactions of a customer are in one part, and each part is what `to_histories` gives
    for its customers, to the last bit; only one is in memory at a time.

    Parameters
    ----------
    path : str or Path
        A Parquet file or a folder of them. A CSV file is taken too, but read at once.
    customer, time, amount, order, duplicates : str
        As in `to_histories`.
    as_of : datetime-like, DataFrame or None, default=None
        The timestamp of the decision; None is the midnight that ends the last day of the log. A
        frame holds decisions, as in `to_histories`; it is in memory as a whole.
    on_bad : {"raise", "drop"}, default="raise"
        As in `to_histories`. Invalid rows are counted in the whole log, before the first part.
    separator, decimal, thousands, encoding, time_format, time_unit : str or None, default=None
        How the log is written, as in `read_transactions`.
    rows_per_part : int, default=1_000_000
        About how many transactions a part holds. A customer is never divided, so one with more
        makes a larger part.
    folder : str, Path or None, default=None
        Where the split log, about as large as the Parquet file, lies meanwhile; it is removed at
        the end. None is the system's folder for temporary files.

    Yields
    ------
    DataFrame of shape (n_customers_of_the_part, 2)
        As `to_histories` returns, its customers sorted by id, or its decisions in the order
        given. The parts together have each customer or decision once; which part a customer is
        in depends on the id and the number of parts.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_transactions` and `to_histories`. What is wrong with the columns' types is
        raised at once, what is wrong with rows before the first part.

    Examples
    --------
    >>> import tempfile
    >>> from rfmrisk import RFMAggregator, histories_in_parts
    >>> from rfmrisk.datasets import make_transactions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_transactions(n_customers=100, random_state=0).to_parquet(f"{folder}/log.parquet")
    ...     parts = histories_in_parts(f"{folder}/log.parquet", rows_per_part=2_000)
    ...     features = [RFMAggregator().fit_transform(part) for part in parts]
    >>> sum(len(part) for part in features)
    100
    """
    roles = Roles(customer, time, amount, order, duplicates)
    options = ReadingOptions(separator, decimal, thousands, encoding, time_format, time_unit)
    log = PartitionedLog(path, roles, as_of, on_bad, rows_per_part, options=options)
    return log.parts(folder)


@dataclass(frozen=True)
class SplitLog:
    """A log that lies in pieces, each with batches of every partition in turn.

    Attributes
    ----------
    pieces : list of Path
    n_parts : int
    roles : Roles
    timestamp : int or Decisions
        The timestamp of the decision, in microseconds, or the decisions.
    stored, schema : pyarrow.Schema
        Of the pieces, and of the log that they were made of.
    span : (int, int)
        The first time of the whole log, and its last day, in microseconds.
    """

    pieces: list[Path]
    n_parts: int
    roles: Roles
    timestamp: int | Decisions
    stored: pa.Schema
    schema: pa.Schema
    span: tuple[int, int]

    def part(self, number: int) -> pd.DataFrame | None:
        """Return the histories of one partition, None where it has no customer."""
        batches = []
        for piece in self.pieces:
            with pa.memory_map(str(piece)) as source:
                reader = pa.ipc.open_file(source)
                found = range(number, reader.num_record_batches, self.n_parts)
                batches += [reader.get_batch(place) for place in found]
        table = pa.Table.from_batches(batches, self.stored)
        columns = zip(table.columns, self.schema.types, strict=True)
        restored = [of_type(whole(column), dtype) for column, dtype in columns]
        log = pa.table(restored, schema=self.schema)
        if isinstance(self.timestamp, int):
            return histories_at(log, self.roles, self.timestamp) if len(log) else None
        asked = self.timestamp.take(self.positions(number))
        return histories_of_decisions(log, self.roles, asked) if len(asked) else None

    def customers(self) -> pa.Array:
        """Return the ids of all customers."""
        name = self.roles.customer
        options = pa.ipc.IpcReadOptions(included_fields=[self.stored.get_field_index(name)])
        ids = pa.array([], self.schema.field(name).type)
        for piece in self.pieces:
            with pa.memory_map(str(piece)) as source:
                found = whole(pa.ipc.open_file(source, options=options).read_all()[name])
                ids = pc.unique(pa.concat_arrays([ids, of_type(found, ids.type)]))
        return ids

    def positions(self, number: int) -> Ints:
        """Return the positions, in the frame that was given, of the decisions of a partition."""
        if isinstance(self.timestamp, int):
            raise TypeError("one timestamp for all decisions has no positions")
        return np.flatnonzero(_part_of(self.timestamp.customers, self.n_parts) == number)


class PartitionedLog:
    """A log on disk and how it is to be split by customer.

    Parameters
    ----------
    path : str or Path
    roles : Roles
    as_of, on_bad, rows_per_part
        As in `histories_in_parts`.
    options : ReadingOptions
    texts : collection of str
        As in `read_table`.

    Attributes
    ----------
    formats : Formats
        How times and amounts are written.
    n_parts : int
        How many partitions of customers there are.
    """

    def __init__(
        self,
        path: str | Path,
        roles: Roles,
        as_of: Any,
        on_bad: OnBad,
        rows_per_part: int = ROWS_PER_PART,
        *,
        options: ReadingOptions = RECOGNISED,
        texts: Collection[str] = (),
    ) -> None:
        check_on_bad(on_bad)
        check_integer(rows_per_part, "rows_per_part", 1)
        self.roles, self.on_bad, self.rows_per_part = roles, on_bad, rows_per_part
        self._options = options
        self._files: LogFiles
        if is_parquet(Path(path)):
            self._files = ParquetFiles(Path(path))
            roles.check(self._files.schema.names)
            self.formats = find_formats_of(self._columns, self._files.schema, roles, options)
        else:
            log = read_table(Path(path), roles, options, on_bad, texts)
            self._files, self.formats = LoadedFile(log.table), log.formats
        self.schema = check_schema(self._files.schema, roles)
        self.as_of: int | Decisions | None
        if hasattr(as_of, "__arrow_c_stream__"):
            self.decide(as_of)
        else:
            self.as_of = None if as_of is None else parse_timestamp(as_of, "as_of")
        # Batches of one file may not differ in their dictionaries.
        self._stored = pa.schema([field.with_type(_plain(field.type)) for field in self.schema])
        self.n_parts = max(1, -(-self._files.n_rows // rows_per_part))

    def _columns(self, names: list[str]) -> Iterator[pa.Table]:
        """Give some columns of the whole log, table after table."""
        for stretch in self._files.stretches(self.rows_per_part):
            yield from self._files.read(stretch, self.rows_per_part, names)

    def parts(self, folder: str | Path | None = None) -> Iterator[pd.DataFrame]:
        """Give the histories of each partition; the split log lies in a folder meanwhile."""
        with TemporaryDirectory(prefix="rfmrisk-", dir=folder) as place:
            split = self.split(Path(place))
            for number in range(self.n_parts):
                histories = split.part(number)
                if histories is not None:
                    yield histories

    def decide(self, decisions: Any) -> None:
        """Take the timestamps of the decisions from a frame of decisions."""
        self.as_of = read_decisions(decisions, self.roles.customer, self._some_ids())

    def _some_ids(self) -> pa.ChunkedArray:
        """Return the ids of the first few rows."""
        name = self.roles.customer
        for table in self._columns([name]):
            ids = parse_ids(as_table(table.slice(0, 10))[name], name).converted.drop_null()
            return ids.cast(self.schema.field(name).type)
        return pa.chunked_array([], self.schema.field(name).type)

    def split(self, folder: Path, watch: Watch = lambda steps, *_: steps) -> SplitLog:
        """Split what is not split yet, and judge the rows.

        Parameters
        ----------
        folder : Path
            The work folder. What an earlier run of the same log and options has left there is
            used.
        watch : callable
            Wraps the steps in a progress bar: ``watch(steps, description, total)``.

        Returns
        -------
        SplitLog

        Raises
        ------
        ValueError
            Rows are bad, zones are mixed, the log is empty or no transaction is old enough.
        """
        stretches = self._files.stretches(self.rows_per_part)
        pieces = [folder / f"split-{number:05}.arrow" for number in range(len(stretches))]
        found = []
        steps = zip(stretches, pieces, strict=True)
        for stretch, piece in watch(steps, "splitting the log", len(stretches)):
            report = piece.with_suffix(".json")
            if not (report.exists() and is_table(piece)):
                findings = self._split(self._files.read(stretch, self.rows_per_part), piece)
                write_whole(report, json.dumps(dataclasses.asdict(findings)))
            found.append(Findings.from_plain(json.loads(report.read_text(encoding="utf-8"))))
        if not found:
            raise ValueError("the log is empty: at least one transaction is needed")
        findings = reduce(add, found)
        timestamp = self._judge(findings)
        span = (findings.first, max(findings.days) * DAY)
        split = SplitLog(
            pieces, self.n_parts, self.roles, timestamp, self._stored, self.schema, span
        )
        if isinstance(timestamp, Decisions):
            timestamp.warn_of_strangers(split.customers())
        return split

    def _split(self, tables: Iterator[pa.Table], piece: Path) -> Findings:
        """Write the batches of each partition, and return what was found in these rows."""
        found = []
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with (
            whole_file(piece) as partial,
            pa.ipc.new_file(str(partial), self._stored, options=options) as writer,
        ):
            for table in tables:
                usable, findings = inspect(
                    as_table(table), self.roles, self._options, self.formats, days=True
                )
                found.append(findings)
                if self.as_of is not None:
                    last = self.as_of if isinstance(self.as_of, int) else self.as_of.as_of.max()
                    usable = usable.filter(pa.array(microseconds(usable[self.roles.time]) < last))
                ids = whole(usable[self.roles.customer])
                order, offsets = group(_part_of(ids, self.n_parts), self.n_parts)
                taken = usable.cast(self._stored).take(pa.array(order)).combine_chunks()
                for start, end in pairwise(offsets):
                    writer.write_batch(_as_batch(taken.slice(start, end - start), self._stored))
        return reduce(add, found)

    def _judge(self, findings: Findings) -> int | Decisions:
        """Raise where the rows cannot be used; return the timestamp, or the decisions."""
        findings.check(self.on_bad, stacklevel=3)
        if self.as_of is None:
            return end_of_log(findings.days, self.roles.time)
        if isinstance(self.as_of, int):
            check_known(findings.first, self.as_of)
        return self.as_of


def _part_of(ids: pa.Array, n_parts: int) -> np.ndarray:
    """Return the partition of each customer: a hash of the id, the same everywhere."""
    if pa.types.is_large_string(ids.type):
        distinct = ids.dictionary_encode()
        names = distinct.dictionary.to_numpy(zero_copy_only=False)
        hashes = pd.util.hash_array(names, categorize=False)[distinct.indices.to_numpy()]
    else:
        hashes = pd.util.hash_array(ids.to_numpy(zero_copy_only=False))
    return (hashes % n_parts).astype(np.int64)


def is_table(path: Path) -> bool:
    """Return whether a file holds a whole Arrow table; one that was cut off does not."""
    try:
        with pa.memory_map(str(path)) as source:
            pa.ipc.open_file(source)
    except (OSError, pa.ArrowInvalid):
        return False
    return True


def _as_batch(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema)


def _plain(dtype: pa.DataType) -> pa.DataType:
    """Return the type with values in the place of dictionaries."""
    if pa.types.is_dictionary(dtype):
        return _plain(dtype.value_type)
    if pa.types.is_list(dtype):
        return pa.list_(_plain(dtype.value_type))
    if pa.types.is_large_list(dtype):
        return pa.large_list(_plain(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(_plain(field.type)) for field in dtype])
    return dtype
