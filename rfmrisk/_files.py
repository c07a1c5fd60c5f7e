"""Transaction logs on disk."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from rfmrisk._columns import check_columns


def read_table(path: Path, customer: str, time: str, amount: str) -> pa.Table:
    """Read a CSV or Parquet file, or a folder of Parquet files."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    name = path.name.lower()
    try:
        if is_parquet(path):
            table = parquet.read_table(path)
        elif name.endswith((".csv", ".csv.gz")):
            table = _read_csv(path, customer, time, amount)
        else:
            raise ValueError(
                f"{str(path)!r} is of an unknown type: a log is a .csv, .csv.gz or .parquet file, "
                "or a folder of Parquet files"
            )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    # Without the metadata that would make an index of some columns.
    return table.replace_schema_metadata()


def is_parquet(path: Path) -> bool:
    """Whether a log is in Parquet: a folder always is."""
    return path.is_dir() or path.name.lower().endswith((".parquet", ".pq"))


def _read_csv(path: Path, customer: str, time: str, amount: str) -> pa.Table:
    # The roles are read as text: one unreadable value is then a bad row, not a broken file.
    options = csv.ConvertOptions(
        column_types=dict.fromkeys((customer, time, amount), pa.string()), strings_can_be_null=True
    )
    try:
        table = csv.read_csv(path, convert_options=options)
    except pa.ArrowInvalid:
        # Types are guessed from the first block: let it be the whole file.
        block = csv.ReadOptions(block_size=min(1 + 64 * path.stat().st_size, 2**31 - 1))
        table = csv.read_csv(path, read_options=block, convert_options=options)
    check_columns(table.column_names, [customer])
    return _integer_ids(table, customer)


def _integer_ids(table: pa.Table, customer: str) -> pa.Table:
    """Make numbers of ids where that changes none of them (as it would "00017")."""
    ids = table[customer]
    canonical = pc.match_substring_regex(ids, r"^(0|-?[1-9][0-9]{0,17})$")
    if ids.null_count == len(ids) or not pc.all(canonical, min_count=0).as_py():
        return table
    return table.set_column(table.column_names.index(customer), customer, ids.cast(pa.int64()))
