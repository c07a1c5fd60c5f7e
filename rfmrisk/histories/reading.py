"""Transaction logs as files, on disk or in memory: all that a file says of its rows is read here.

A file of text is read as text, every column of it, and the type of each column is decided over all
its rows; so neither the first block of a file nor its last row can change what the others are.
"""

import logging
import re
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from rfmrisk.histories.chunks import ParquetFiles
from rfmrisk.histories.columns import check_columns
from rfmrisk.histories.dialect import Dialect, as_utf8, find_dialect
from rfmrisk.histories.findings import bind_roles
from rfmrisk.histories.options import (
    AMOUNT,
    CUSTOMER,
    RECOGNISED,
    TIME,
    OnBad,
    OptionNeededError,
    ReadingOptions,
)
from rfmrisk.histories.roles import Formats, Roles, find_formats
from rfmrisk.histories.sources import (
    BROKEN,
    PARQUET,
    SPREADSHEET,
    Limits,
    Source,
    as_csv,
    is_parquet,
    open_sources,
)
from rfmrisk.histories.structure import BrokenLines, find_lines, mend_quotes
from rfmrisk.histories.text_columns import as_ids, as_plain, as_typed, without_blanks

_FILLED = re.compile(rb"\S")

logger = logging.getLogger(__name__)

# What is raised of a file that is broken or of another type.
UNREADABLE = (pa.ArrowException, OSError, OverflowError, UnicodeDecodeError, *BROKEN)


def read_transactions(
    path: str | Path,
    *,
    customer: str = CUSTOMER,
    time: str = TIME,
    amount: str = AMOUNT,
    on_bad: OnBad = "raise",
    separator: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    time_format: str | None = None,
    time_unit: str | None = None,
    text: Collection[str] = (),
) -> pd.DataFrame:
    """Read a transaction log from a file or a folder of files, with its times parsed.

    How a file is written is recognised: separator, header (below title rows, if any), quotes,
    encoding, decimal mark, thousands, currency, and the format of the times, each judged over
    all rows. Where two readings are possible (days that could be months, 1.234), an error asks
    for the option.

    Parameters
    ----------
    path : str or Path
        A file of type ``.csv``, ``.tsv``, ``.txt``, ``.parquet`` or ``.xlsx`` (its first sheet;
        with openpyxl), packed as ``.gz`` or ``.zip`` or not, or a folder of such files, whose
        columns are united. Folders called ``name=value`` give a column.
    customer, time, amount : str
        The columns that hold the customer's id, the time and the amount of a transaction. The
        time may be two columns, of the date and the time of day (``"date,clock"``), and the
        amount a product (``"quantity*price"``). The defaults are the names of the Xente log.
    on_bad : {"raise", "drop"}, default="raise"
        What to do with rows that have no id, no readable time or no finite amount, and with
        lines that cannot be divided into fields: too few or too many, a quote never closed.
    separator : str or None, default=None
        Between the fields of a line.
    decimal : {".", ","} or None, default=None
    thousands : {",", ".", " ", "'"} or None, default=None
    encoding : str or None, default=None
        As Python calls it. UTF-8, UTF-16 and cp1252 are recognised.
    time_format : str or None, default=None
        Of the times, such as ``"%d/%m/%Y"``; the time of day may go on after a date.
    time_unit : {"s", "ms", "us", "ns", "days", "excel"} or None, default=None
        Of times that are numbers: since 1970, or the days of a spreadsheet.
    text : collection of str, default=()
        Columns of a file of text that are text, whatever their values look like.

    Returns
    -------
    DataFrame of shape (n_transactions, n_columns)
        The log with its own column names; ``time`` is datetime64 in naive UTC. Its ``attrs``
        say under "understood" how the file was read, in one line. Columns of a file of text
        are whole numbers, numbers, booleans, times or text, whichever all values are; ids and
        codes stay text where a number would change them (``00017``). Whole numbers with gaps
        are pandas' ``Int64``.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is of another type or broken, a column is missing, rows cannot be used, or
        they can be read in two ways.

    Examples
    --------
    >>> import tempfile
    >>> from rfmrisk.datasets import make_transactions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_transactions(n_customers=10, random_state=0).to_csv(f"{folder}/log.csv")
    ...     log = read_transactions(f"{folder}/log.csv")
    >>> log["TransactionStartTime"].dtype
    dtype('<M8[us]')
    """
    roles = Roles(customer, time, amount)
    options = ReadingOptions(separator, decimal, thousands, encoding, time_format, time_unit)
    log = read_table(Path(path), roles, options, on_bad, text)
    usable, left_out = bind_roles(log.table, roles, on_bad, options, log.formats)
    frame = as_frame(usable)
    frame.attrs["understood"] = str(log)
    frame.attrs["left_out"] = [*log.left_out, *left_out]
    logger.info(log)
    return frame


@dataclass(frozen=True)
class LogTable:
    """A log as it was read.

    Attributes
    ----------
    table : pyarrow.Table
    dialect : Dialect or None
        Of the first file of text.
    left_out : list of str
        Which lines were left out, by file.
    formats : Formats
        How its times and amounts are written.
    """

    table: pa.Table
    dialect: Dialect | None = None
    left_out: list[str] = field(default_factory=list)
    formats: Formats = field(default_factory=Formats)

    def __str__(self) -> str:
        """Say in one line what was understood."""
        said = [f"{self.table.num_rows:,} rows"]
        if self.dialect:
            separator = {"\t": "tab"}.get(self.dialect.separator, f"'{self.dialect.separator}'")
            said.append(f"{separator} between fields")
        number = self.formats.amount
        if number and number.decimal == ",":
            said.append("decimal comma")
        if number and number.grouped:
            said.append(f"{number.thousands!r} between thousands")
        if self.dialect:
            said.append(self.dialect.encoding)
            if self.dialect.n_title_rows:
                said.append(f"{self.dialect.n_title_rows} title rows")
        if self.formats.time:
            said.append(f"times {self.formats.time}")
        return ", ".join(said)


def read_table(
    path: Path,
    roles: Roles,
    options: ReadingOptions = RECOGNISED,
    on_bad: OnBad = "raise",
    texts: Collection[str] = (),
) -> LogTable:
    """Read a log from a file or a folder of files.

    Parameters
    ----------
    path : Path
    roles : Roles
    options : ReadingOptions
    on_bad : {"raise", "drop"}
        Of lines that cannot be divided into fields.
    texts : collection of str
        Columns that are text whatever their values look like: what a model has as categories.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such file, it is of another type, or it is broken.
    """
    if path.exists() and is_parquet(path):
        table = read_parquet(path)
        roles.check(table.column_names)
        return LogTable(table, formats=find_formats(table, roles, options))
    try:
        sources = open_sources(path)
    except UNREADABLE as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    return read_sources(sources, roles, options, on_bad, texts)


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file, or a folder of them."""
    if path.is_dir():
        return ParquetFiles(path).read_all()
    try:
        # Without the metadata that would make an index of some columns.
        return parquet.read_table(path).replace_schema_metadata()
    except UNREADABLE as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error


def read_header(
    source: Source, is_header: Callable[[list[str]], bool], options: ReadingOptions = RECOGNISED
) -> list[str]:
    """Return the columns of a file of text; ``is_header`` knows the names of its header."""
    text, encoding = as_utf8(source.read(), options.encoding)
    return find_dialect(text, encoding, options.separator, is_header).names


def read_columns(path: Path, options: ReadingOptions = RECOGNISED) -> list[str]:
    """Return the columns of a log whose roles are not known yet."""
    try:
        if path.exists() and is_parquet(path):
            return list(ParquetFiles(path).schema.names)
        source = open_sources(path)[0]
        if source.suffix in SPREADSHEET:
            source = Source(source.name, ".csv", as_csv(source))
        text, encoding = as_utf8(source.read(), options.encoding)
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    return find_dialect(text, encoding, options.separator, lambda _: False).names


def read_sources(
    sources: Sequence[Source],
    roles: Roles,
    options: ReadingOptions = RECOGNISED,
    on_bad: OnBad = "raise",
    texts: Collection[str] = (),
    *,
    limits: Limits | None = None,
) -> LogTable:
    """Read a log from files of text, or spreadsheets, as `read_table` does."""
    parquets = [source.name for source in sources if source.suffix in PARQUET]
    if parquets:
        raise ValueError(
            f"{parquets[0]!r} is in Parquet and packed, or beside files of text: give Parquet "
            "files alone, and not packed"
        )
    tables = []
    dialect = None
    left_out = []
    for source in sources:
        try:
            table, dialect_of_one, lines = read_text(source, roles.found_in, options, limits)
        except UNREADABLE as error:
            raise ValueError(f"{source.name!r} cannot be read: {error}") from error
        dialect = dialect or dialect_of_one
        if lines.count:
            message = f"{source.name!r}: {lines}"
            if on_bad == "raise":
                raise OptionNeededError(message, "Mend them, or leave them out with", on_bad="drop")
            warnings.warn(f"{message}. They are left out", UserWarning, stacklevel=4)
            left_out.append(message)
        of = "the log" if len(sources) == 1 else repr(source.name)
        check_columns(table.column_names, roles.sources(table.column_names), of)
        tables.append(table)
    table = pa.concat_tables(tables, promote_options="default")
    return _typed(LogTable(table, dialect, left_out), roles, options, texts)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as pandas: whole numbers and booleans stay such where values are missing."""
    frame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        dtype = _WITH_GAPS.get(str(column.type)) if column.null_count else None
        if dtype is not None:
            frame[name] = dtype.__from_arrow__(column)
    return frame


_WITH_GAPS: dict[str, Any] = {
    "bool": pd.BooleanDtype(),
    **{
        f"{kind}{bits}": getattr(pd, f"{name}{bits}Dtype")()
        for kind, name in (("int", "Int"), ("uint", "UInt"))
        for bits in (8, 16, 32, 64)
    },
}


def read_text(
    source: Source,
    is_header: Callable[[list[str]], bool],
    options: ReadingOptions,
    limits: Limits | None = None,
) -> tuple[pa.Table, Dialect, BrokenLines]:
    """Read a file of text, every column as text; ``is_header`` knows the names of its header."""
    separator, encoding = options.separator, options.encoding
    content = source.read()
    if source.suffix in SPREADSHEET:
        content, separator, encoding = as_csv(source), ",", "utf-8"
    text, encoding = as_utf8(content, encoding)
    if not _FILLED.search(text):
        raise ValueError(f"{source.name!r} cannot be read: it is empty")
    dialect = find_dialect(text, encoding, separator, is_header)
    check_columns([name for name in dialect.names if name], [], of=f"{source.name!r}")
    # A name for each column that has none, so that Arrow has as many as there are fields.
    names = [name or f"\0{place}" for place, name in enumerate(dialect.names)]
    body, multiline, broken = mend_quotes(text, dialect)
    dtypes = dict.fromkeys(names, pa.string())
    if not _FILLED.search(body):
        return pa.schema(dtypes).empty_table(), dialect, broken
    uneven: list[tuple[str, int, int]] = []

    def leave_out(row: csv.InvalidRow) -> str:
        uneven.append((row.text, row.expected_columns, row.actual_columns))
        return "skip" if limits is None or len(uneven) <= limits.rows else "error"

    quoted = text.find(dialect.quote.encode(), dialect.begin) >= 0
    parse = csv.ParseOptions(
        delimiter=dialect.separator,
        quote_char=dialect.quote if quoted else False,
        newlines_in_values=multiline,
        invalid_row_handler=leave_out,
    )
    convert = csv.ConvertOptions(column_types=dtypes, strings_can_be_null=False, check_utf8=False)
    for block in (2**22, min(len(body) + 1, 2**31 - 1)):
        uneven.clear()
        read = csv.ReadOptions(column_names=names, block_size=block)
        try:
            if limits is None:
                table = csv.read_csv(pa.BufferReader(body), read, parse, convert)
            else:
                table = _counted(csv.open_csv(pa.BufferReader(body), read, parse, convert), limits)
            break
        except pa.ArrowInvalid as error:
            # A row may be longer than a block.
            if "straddling" not in str(error) or block > len(body):
                raise
    if uneven:
        broken += find_lines(text, uneven, dialect)
    return _named(table, dialect.names), dialect, broken


def _counted(batches: csv.CSVStreamingReader, limits: Limits) -> pa.Table:
    """Read rows while there are no more than there may be."""
    read, n_rows = [], 0
    for batch in batches:
        n_rows += len(batch)
        limits.check_rows(n_rows)
        read.append(batch)
    return pa.Table.from_batches(read, batches.schema)


def _named(table: pa.Table, names: list[str]) -> pa.Table:
    """Name the columns as the header does; those without a name and a value are left out."""
    columns = {}
    for name, column in zip(names, table.columns, strict=True):
        if not name and (name in columns or not pc.max(pc.binary_length(column)).as_py()):
            continue
        columns[name] = column
    return pa.table(columns)


def _typed(
    log: LogTable, roles: Roles, options: ReadingOptions, texts: Collection[str]
) -> LogTable:
    """Give each column its type, by all its values."""
    table = log.table
    sources = roles.sources(table.column_names)
    dates = roles.dates(table.column_names)
    for name in sources:
        column = without_blanks(table[name])
        if name == roles.customer:
            column = as_ids(column)
        elif not options.given and (name not in dates or len(dates) == 1):
            column = as_plain(column, times=name in dates)
        table = table.set_column(table.column_names.index(name), name, column)
    formats = find_formats(table, roles, options)
    for place, name in enumerate(table.column_names):
        if name in texts and name not in sources:
            table = table.set_column(place, name, without_blanks(table[name]))
        elif name not in sources:
            table = table.set_column(place, name, as_typed(table[name], name, options, formats))
    return LogTable(table, log.dialect, log.left_out, formats)
