"""Draw a picture, or say that it could not be drawn."""

import warnings
from collections.abc import Callable
from pathlib import Path


def drawn(name: str, draw: Callable[[], Path]) -> Path | None:
    """Draw a picture; one that fails costs a warning, and never a training.

    Parameters
    ----------
    name : str
        For the warning.
    draw : callable
        Writes a picture and returns its path.

    Returns
    -------
    Path or None
    """
    try:
        return draw()
    except Exception as error:
        # Labels of any text and tables of any size come here, and matplotlib raises anything.
        warnings.warn(
            f"the picture {name!r} could not be drawn and is left out: "
            f"{type(error).__name__}: {error}",
            stacklevel=2,
        )
        return None
