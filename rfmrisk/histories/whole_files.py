"""Files that are there whole or not at all, even where the machine is lost meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path, beside: Path | None = None) -> Iterator[Path]:
    """Give a path to write to, which is moved to ``path`` when all of it is on the disk.

    It lies in the folder ``beside``, of the same disk; by default that of ``path``.
    """
    partial = (beside or path.parent) / f".{path.name}.{os.getpid()}.partial"
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if os.name == "posix":  # so that the name outlives the machine as the content does
        _sync(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write text in UTF-8, or bytes."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def _sync(path: Path) -> None:
    # Windows syncs only what is open for writing, and no folder.
    file = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)
