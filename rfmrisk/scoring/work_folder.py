"""The folder beside the output in which the scores of a large log lie until they are whole."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rfmrisk.histories.whole_files import write_whole

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_MANIFEST = "manifest.json"
_OURS = {"log", "model", "options", "versions"}
_NAMES = re.compile(r"manifest\.json|(split|scores)-\d{5}\.(arrow|json)|\..*\.partial")


def work_folder(output: Path) -> Path:
    """Return the folder of an output.

    Examples
    --------
    >>> print(work_folder(Path("scores.csv")))
    .scores.csv.parts
    """
    return output.with_name(f".{output.name}.parts")


@contextmanager
def open_work(output: Path, manifest: str) -> Iterator[Path]:
    """Hold the work folder of an output alone; it is empty, or that of the same work.

    Parameters
    ----------
    output : Path
    manifest : str
        JSON of all that the parts depend on. Parts of other work are thrown away.

    Raises
    ------
    ValueError
        What has the folder's name is not of this package.
    RuntimeError
        Another process writes the output.
    """
    work = work_folder(output)
    if work.is_symlink() or (work.exists() and not _is_ours(work)):
        raise ValueError(
            f"{str(work)!r} is not the work of rfmrisk score, which would keep its parts there; "
            "move it away, or choose another output"
        )
    held = _hold(work, output)
    try:
        written = work / _MANIFEST
        if not written.exists() or written.read_text(encoding="utf-8") != manifest:
            for path in work.iterdir():
                path.unlink()
            write_whole(written, manifest)
        yield work
    finally:
        if held is not None:
            os.close(held)


def remove_work(work: Path) -> None:
    """Remove a work folder that is held."""
    shutil.rmtree(work)


def _hold(work: Path, output: Path) -> int | None:
    """Make the folder and lock it; return what holds the lock."""
    while True:
        work.mkdir(exist_ok=True)
        if fcntl is None:
            return None
        held = os.open(work, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            raise RuntimeError(
                f"another rfmrisk score writes {str(output)!r}; wait for it, or choose another "
                "output"
            ) from None
        # Who held it before may have been done, and have removed it.
        if work.exists() and os.path.samestat(os.fstat(held), work.stat()):
            return held
        os.close(held)


def _is_ours(work: Path) -> bool:
    if not work.is_dir():
        return False
    names = [path.name for path in work.iterdir()]
    if not all(map(_NAMES.fullmatch, names)):
        return False
    if _MANIFEST not in names:  # the machine was lost before it was written
        return all(name.startswith(".") for name in names)
    try:
        manifest = json.loads((work / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.keys() == _OURS
