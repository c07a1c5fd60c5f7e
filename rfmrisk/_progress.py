"""A progress bar where somebody watches and rich is installed."""

import sys
from collections.abc import Iterable
from typing import Any


def progress(steps: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
    """Return the steps, with a bar on stderr where that is a terminal and rich is there."""
    if sys.stderr is None or not sys.stderr.isatty():
        return steps
    try:
        from rich.console import Console
        from rich.progress import track
    except ImportError:
        return steps
    return track(steps, description, total=total, console=Console(stderr=True), transient=True)
