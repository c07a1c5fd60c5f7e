"""Tables that are no logs: decisions beside a log, or applications alone."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rfmrisk.histories.columns import check_columns, parse_times
from rfmrisk.histories.options import RECOGNISED, OptionNeededError, ReadingOptions
from rfmrisk.histories.reading import UNREADABLE, as_frame, read_parquet, read_text
from rfmrisk.histories.roles import Formats
from rfmrisk.histories.sources import PARQUET, Limits, Source, is_parquet, open_sources
from rfmrisk.histories.text_columns import as_ids, as_typed, without_blanks


def read_frame(
    path: str | Path | Source,
    of: str,
    needed: Collection[str],
    *,
    ids: str | None = None,
    ids_are_text: bool = False,
    time: str | None = None,
    texts: Collection[str] = (),
    options: ReadingOptions = RECOGNISED,
    limits: Limits | None = None,
) -> pd.DataFrame:
    """Read a table from a file, as `read_transactions` reads a log.

    Parameters
    ----------
    path : str, Path or Source
        A file, or what came as one.
    of : str
        What it holds, for errors: "the decisions".
    needed : collection of str
        Columns that must be there.
    ids : str or None, default=None
        The column of the customers' ids.
    ids_are_text : bool, default=False
        Whether those ids are text, as those of the log are, whatever they look like.
    time : str or None, default=None
        A column of times.
    texts : collection of str, default=()
        Columns of a file of text that are text whatever their values look like: what a model has
        as categories.
    options : ReadingOptions
        How the log beside it is written. They count where the table can be read in two ways.
    limits : Limits or None, default=None
        How many rows a file of text may have, which are counted as they are read.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such file, it cannot be read, or a column is missing.
    """
    if not isinstance(path, Source) and not Path(path).exists():
        raise FileNotFoundError(f"there is no file of {of.removeprefix('the ')} {str(path)!r}")

    def read(options: ReadingOptions) -> pa.Table:
        if not isinstance(path, Source) and is_parquet(Path(path)):
            table = read_parquet(Path(path))
        else:
            table = _read_texts(path, needed, options, limits)
            for position, name in enumerate(table.column_names):
                column = table[name]
                if name == ids:
                    column = without_blanks(column)
                    column = column if ids_are_text else as_ids(column)
                elif name in texts:
                    column = _categories(column)
                elif name != time:
                    column = as_typed(column, name, options, Formats())
                table = table.set_column(position, name, column)
        if time is not None and time in table.column_names and len(table):
            parsed = parse_times(table[time], time, options)
            if not parsed.bad.any():  # bad ones are counted where the decisions are checked
                position = table.column_names.index(time)
                table = table.set_column(position, time, parsed.converted)
        return table

    try:
        table = read(RECOGNISED)
    except OptionNeededError:
        if not options.given:
            raise
        table = read(options)
    check_columns(table.column_names, list(needed), of=of)
    return as_frame(table)


def _read_texts(
    path: str | Path | Source,
    needed: Collection[str],
    options: ReadingOptions,
    limits: Limits | None,
) -> pa.Table:
    """Read files of text, every column as text."""
    tables = []
    try:
        for source in [path] if isinstance(path, Source) else open_sources(Path(path)):
            if source.suffix in PARQUET:
                raise ValueError(f"{source.name!r} is in Parquet and packed: give it unpacked")
            table, _, broken = read_text(
                source, lambda names: bool(needed) and {*needed} <= {*names}, options, limits
            )
            if broken.count:
                raise ValueError(f"{source.name!r}: {broken}. Mend them")
            tables.append(table)
    except UNREADABLE as error:
        name = path.name if isinstance(path, Source) else str(path)
        raise ValueError(f"{name!r} cannot be read: {error}") from error
    return pa.concat_tables(tables, promote_options="default")


def _categories(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text; where it is all true and false, as the booleans that it was in training."""
    text = without_blanks(text)
    lower = pc.utf8_lower(text)
    truths = pc.is_in(lower, value_set=pa.array(["true", "false", None]))
    return lower if pc.all(truths).as_py() else text
