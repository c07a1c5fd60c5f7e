"""What is shown: how displays print and where they draw, and how far long work is."""

import sys
from collections.abc import Iterable
from typing import Any


class Display:
    """A display of scikit-learn's shape: it holds what was computed, prints it, and draws it."""

    def __repr__(self) -> str:
        kept = {name: value for name, value in vars(self).items() if not name.endswith("_")}
        text = "\n".join(f"{name}:\n{value!r}" for name, value in kept.items())
        return f"{type(self).__name__}, drawn by plot(), of {text}"


def pyplot(display: Display) -> Any:
    """Return matplotlib's pyplot.

    Raises
    ------
    ImportError
        matplotlib, of the extra ``train``, is not installed.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__}.plot needs matplotlib: install it with python -m pip "
            "install 'rfmrisk[train]'"
        ) from error
    return plt


def axes(ax: Any, display: Display) -> tuple[Any, Any]:
    """Return the axes to draw on, new ones of pyplot where none are given, and their figure."""
    if ax is None:
        _, ax = pyplot(display).subplots(figsize=(7, 4), layout="constrained")
    return ax, ax.figure


def literal(text: str) -> str:
    """Return text as matplotlib draws it letter by letter: a dollar begins no formula."""
    return text.replace("$", r"\$")


def draw_path(
    ax: Any, x: Any, y: Any, texts: Iterable[str], *, rotation: float = 0, **style: Any
) -> None:
    """Draw a line through points, whose x are whole numbers, with a text above each."""
    ax.errorbar(x, y, fmt="o-", **style)
    text_style = {"rotation": rotation, "fontsize": 8, "ha": "left" if rotation else "center"}
    for *point, text in zip(x, y, texts, strict=True):
        ax.annotate(literal(text), point, (0, 6), textcoords="offset points", **text_style)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.margins(0.1)


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
