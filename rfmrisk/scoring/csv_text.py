"""Scores as CSV: each customer stays one line for every reader, and no text is a formula."""

from pathlib import Path
from typing import Any, Protocol

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class TextFile(Protocol):
    """What text is written to."""

    def write(self, text: str, /) -> Any:
        """Take some text."""


class _Lines:
    """Ends lines by a line feed alone.

    Python quotes a carriage return only where it is a part of the end of a line, and readers take
    one that is not quoted for that end.
    """

    def __init__(self, file: TextFile) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line.removesuffix("\r\n") + "\n")


def write_table(table: pd.DataFrame | pd.Series, file: TextFile, *, header: bool = True) -> None:
    """Write a table with its index."""
    texts: Any = _Lines(file)
    table.to_csv(texts, header=header, lineterminator="\r\n")


def write_csv(table: pd.DataFrame | pd.Series, path: Path) -> None:
    """Write a table with its index into a file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        write_table(table, file)


def defused(value: Any) -> Any:
    """Return a value that a spreadsheet shows and does not compute: an apostrophe goes before it.

    Examples
    --------
    >>> [defused(value) for value in ("=1+1", "Ada", -5)]
    ["'=1+1", 'Ada', -5]
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def defused_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table, of whose index and columns the texts are defused."""
    table = table.rename(index=defused)
    texts = [name for name, dtype in table.dtypes.items() if pd.api.types.is_string_dtype(dtype)]
    return table.assign(**{str(name): table[name].map(defused) for name in texts})
