"""A progress bar where somebody watches and tqdm is installed."""

import sys
from collections.abc import Iterable
from typing import Any


def progress(steps: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
    """Return the steps, with a bar on stderr where that is a terminal and tqdm is there."""
    if sys.stderr is None or not sys.stderr.isatty():
        return steps
    try:
        from tqdm import tqdm  # noqa: PLC0415 (only in the extra train)
    except ImportError:
        return steps
    # A bar that would be gone within half a second is not shown.
    return tqdm(steps, desc=description, total=total, leave=False, delay=0.5)
