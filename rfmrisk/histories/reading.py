"""Transaction logs as files, on disk or in memory."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from rfmrisk.histories.columns import check_columns

# What pyarrow raises of a file that is broken or of another type.
UNREADABLE = (pa.ArrowException, OSError, OverflowError, UnicodeDecodeError)


def read_table(path: Path, customer: str, time: str, amount: str) -> pa.Table:
    """Read a CSV or Parquet file, or a folder of Parquet files."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    parquets = is_parquet(path)
    if not parquets and not path.name.lower().endswith((".csv", ".csv.gz")):
        raise ValueError(
            f"{str(path)!r} is of an unknown type: a log is a .csv, .csv.gz or .parquet file, "
            "or a folder of Parquet files"
        )
    try:
        if parquets:
            table = parquet.read_table(path)
        else:
            table = read_csv(path, (customer, time, amount))
            check_columns(table.column_names, [customer])
            table = integer_ids(table, customer)
    except UNREADABLE as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    # Without the metadata that would make an index of some columns.
    return table.replace_schema_metadata()


def is_parquet(path: Path) -> bool:
    """Whether a log is in Parquet: a folder always is."""
    return path.is_dir() or path.name.lower().endswith((".parquet", ".pq"))


def read_csv(source: Path | bytes, texts: Iterable[str]) -> pa.Table:
    """Read a CSV file, or the bytes of one.

    The columns of the roles are among ``texts``, which are read as text: one unreadable value is
    then a bad row, not a broken file. The types of the others are guessed.
    """
    options = csv.ConvertOptions(
        column_types=dict.fromkeys(texts, pa.string()), strings_can_be_null=True
    )
    try:
        return csv.read_csv(_opened(source), convert_options=options)
    except pa.ArrowInvalid:
        # Types are guessed from the first block: let it be the whole file.
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        block = csv.ReadOptions(block_size=min(1 + 64 * size, 2**31 - 1))
        return csv.read_csv(_opened(source), read_options=block, convert_options=options)


def integer_ids(table: pa.Table, customer: str) -> pa.Table:
    """Make numbers of a CSV's ids where that changes none of them (as it would "00017")."""
    ids = table[customer]
    canonical = pc.match_substring_regex(ids, r"^(0|-?[1-9][0-9]{0,17})$")
    if ids.null_count == len(ids) or not pc.all(canonical, min_count=0).as_py():
        return table
    return table.set_column(table.column_names.index(customer), customer, ids.cast(pa.int64()))


def _opened(source: Path | bytes) -> Path | pa.BufferReader:
    return pa.BufferReader(source) if isinstance(source, bytes) else source
