"""The files of a log: one, or those of a folder, packed or not."""

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

TEXT = (".csv", ".tsv", ".txt")
PARQUET = (".parquet", ".pq")
SPREADSHEET = (".xlsx",)
_PACKED = (".gz", ".zip")

ALLOWED = (
    f"a log is a file of type {', '.join((*TEXT, *PARQUET, *SPREADSHEET))}, packed as .gz or .zip "
    "or not, or a folder of such files"
)

# What the standard library raises of a packed file that is broken.
BROKEN = (EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Limits:
    """How much a file of somebody else may hold.

    Attributes
    ----------
    rows : int
    n_bytes : int
        Of the columns that are needed, unpacked.
    """

    rows: int
    n_bytes: int

    def check_rows(self, n_rows: int) -> None:
        """Raise where there are more rows than there may be."""
        if n_rows > self.rows:
            raise BeyondLimitError(f"rows may be at most {self.rows:,} in a file")

    def check_bytes(self, n_bytes: int) -> None:
        """Raise where columns unpack to more bytes than they may."""
        if n_bytes > self.n_bytes:
            raise BeyondLimitError(
                f"the columns that are needed may unpack to at most {self.n_bytes:,} bytes"
            )


class BeyondLimitError(ValueError):
    """A file holds more than its limits allow."""


@dataclass(frozen=True)
class Source:
    """A file of a log.

    Attributes
    ----------
    name : str
        Its name, for messages: the path within the folder.
    suffix : str
        ``.csv``, ``.tsv``, ``.txt``, ``.parquet``, ``.pq`` or ``.xlsx``.
    content : Path or bytes
    """

    name: str
    suffix: str
    content: Path | bytes

    def read(self) -> bytes:
        """Return its bytes."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


def log_files(path: Path) -> list[Path]:
    """Return the files of a log, sorted; hidden ones are none of it."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    if not path.is_dir():
        return [path]
    found = (file for file in path.rglob("*") if file.is_file())
    visible = [f for f in found if not any(p[0] in "._" for p in f.relative_to(path).parts)]
    if not visible:
        raise ValueError(f"the folder {str(path)!r} holds no file of a log: {ALLOWED}")
    return sorted(visible)


def is_parquet(path: Path) -> bool:
    """Whether a log is in Parquet: a file, or a folder of nothing else."""
    return all(_suffix(file) in PARQUET for file in log_files(path))


def open_sources(path: Path) -> list[Source]:
    """Return the files of a log, unpacked."""
    sources = []
    for file in log_files(path):
        name = str(file.relative_to(path)) if path.is_dir() else str(path)
        suffix = _suffix(file)
        if suffix == ".gz":
            inner = Path(file.stem)
            content = gzip.decompress(file.read_bytes())
            sources.append(_source(name, _suffix(inner) or ".csv", content))
        elif suffix == ".zip":
            sources += _members(name, file)
        else:
            sources.append(_source(name, suffix, file))
    return sources


def as_csv(source: Source) -> bytes:
    """Return the first sheet of a spreadsheet as the text that its cells show, comma-separated."""
    import csv
    from datetime import datetime, time

    try:
        from openpyxl import load_workbook
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{source.name!r} is read with openpyxl: python -m pip install openpyxl",
            name="openpyxl",
        ) from error
    book = load_workbook(io.BytesIO(source.read()), read_only=True, data_only=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in book.worksheets[0].iter_rows(values_only=True):
        if any(cell is not None for cell in row):
            writer.writerow(
                cell.isoformat() if isinstance(cell, datetime | time) else cell for cell in row
            )
    return text.getvalue().encode()


def _source(name: str, suffix: str, content: Path | bytes) -> Source:
    if suffix not in (*TEXT, *PARQUET, *SPREADSHEET):
        raise ValueError(f"{name!r} is of an unknown type: {ALLOWED}")
    return Source(name, suffix, content)


def _members(name: str, file: Path) -> list[Source]:
    with zipfile.ZipFile(file) as packed:
        members = [m for m in packed.namelist() if not m.endswith("/")]
        members = [m for m in members if not any(p[0] in "._" for p in Path(m).parts)]
        if not members:
            raise ValueError(f"{name!r} holds no file")
        return [
            _source(f"{name}/{member}", _suffix(Path(member)), packed.read(member))
            for member in sorted(members)
        ]


def _suffix(path: Path) -> str:
    return path.suffix.lower()
