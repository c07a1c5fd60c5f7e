"""Display objects of scikit-learn's shape: they draw what was computed elsewhere.

``from_estimator`` takes what a fitted estimator knows, ``plot`` draws it. matplotlib, of the extra
``train``, is imported when something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rfmrisk._showing import Display, pyplot
from rfmrisk.woe.bins import MISSING, UNSEEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["WOEDisplay"]


class WOEDisplay(Display):
    """Bins of one or many features: how many customers, and how good they are.

    Bars are counts; the line is the WoE or the bad rate of each bin that has customers. Make one
    with `from_estimator`.

    Parameters
    ----------
    tables : dict of str to DataFrame
        The binning table of each feature, as `WOEEncoder.binning_table` returns it.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : list of matplotlib Axes
        The axes of each feature, in the order of ``tables``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from rfmrisk.plotting import WOEDisplay
    >>> from rfmrisk.woe import WOEEncoder
    >>> X = [[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]
    >>> encoder = WOEEncoder().fit(X, [0, 1, 0, 1, 0, 1])
    >>> display = WOEDisplay.from_estimator(encoder, kind="bad_rate")
    >>> [label.get_text() for label in display.axes_[0].get_xticklabels()]
    ['(-inf, 4)', '[4, inf)']
    """

    def __init__(self, *, tables: dict[str, pd.DataFrame]) -> None:
        self.tables = tables

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        features: str | int | Sequence[str | int] | None = None,
        *,
        kind: Literal["woe", "bad_rate"] = "woe",
        ax: Any = None,
    ) -> WOEDisplay:
        """Draw features of a fitted encoder or scorecard.

        Parameters
        ----------
        estimator : WOEEncoder or Scorecard
            Fitted.
        features : str, int, sequence of them or None, default=None
            Names or positions of columns; None is every column, by falling information value.
        kind : {"woe", "bad_rate"}, default="woe"
            What the line shows.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            Where to draw, one for each feature; None makes a figure.

        Returns
        -------
        WOEDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there is no such column, ``kind`` is unknown, or axes and features differ in number.
        ImportError
            If matplotlib is not installed.
        """
        encoder = getattr(estimator, "encoder_", estimator)
        names = encoder.column_names()
        if features is None:
            features = [int(j) for j in np.argsort(-encoder.information_value_, kind="stable")]
        elif isinstance(features, str | int):
            features = [features]
        tables = {
            feature if isinstance(feature, str) else names[feature]: encoder.binning_table(feature)
            for feature in features
        }
        return cls(tables=tables).plot(ax, kind=kind)

    def plot(self, ax: Any = None, *, kind: Literal["woe", "bad_rate"] = "woe") -> WOEDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of Axes or None, default=None
            Where to draw, one for each feature; None makes a figure.
        kind : {"woe", "bad_rate"}, default="woe"
            What the line shows.

        Returns
        -------
        WOEDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If ``kind`` is unknown, or axes and features differ in number.
        ImportError
            If matplotlib is not installed.
        """
        if kind not in ("woe", "bad_rate"):
            raise ValueError(f"kind must be 'woe' or 'bad_rate'; got {kind!r}.")
        axes = self._make_axes() if ax is None else list(np.ravel(ax))
        if len(axes) != len(self.tables):
            raise ValueError(f"ax must hold {len(self.tables)} axes; got {len(axes)}.")
        for axis, (name, table) in zip(axes, self.tables.items(), strict=True):
            _draw(axis, name, table, kind)
        self.axes_ = axes
        self.figure_ = axes[0].figure
        return self

    def _make_axes(self) -> list[Any]:
        n = len(self.tables)
        n_columns = min(n, 3)
        n_rows = -(-n // n_columns)
        _, grid = pyplot(self).subplots(
            n_rows,
            n_columns,
            figsize=(4.2 * n_columns, 3.2 * n_rows),
            squeeze=False,
            layout="constrained",
        )
        axes = list(grid.ravel())
        for spare in axes[n:]:
            spare.remove()
        return axes[:n]


def literal(text: str) -> str:
    """Return text as matplotlib draws it letter by letter: a dollar begins no formula."""
    return text.replace("$", r"\$")


def _draw(ax: Any, name: str, table: pd.DataFrame, kind: str) -> None:
    total = table.iloc[-1]
    bins = table.iloc[:-1]
    bins = bins[bins["count"] > 0]
    labels = [literal(label) for label in _short(bins["bin"].tolist())]
    place = np.arange(len(bins))
    ax.bar(place, bins["count"], color="#c9d3df")
    ax.set_xticks(place, labels, rotation=30, ha="right")
    ax.set_ylabel("customers")
    ax.set_title(f"{literal(name)} (IV {total['iv']:.3f})")
    line = ax.twinx()
    # Missing values have no place in the order of the bins: a point, not the line.
    ordered = ~bins["bin"].isin([MISSING, UNSEEN]).to_numpy()
    line.plot(place[ordered], bins[kind][ordered], color="#b3331c", marker="o")
    line.plot(place[~ordered], bins[kind][~ordered], color="#b3331c", marker="o", linestyle="")
    line.axhline(total[kind], color="#b3331c", linewidth=0.8, linestyle=":")
    line.set_ylabel("WoE (positive is safer)" if kind == "woe" else "bad rate")


def _short(labels: list[str]) -> list[str]:
    """Shorten long labels, unless two would then look the same."""
    short = [label if len(label) <= 18 else label[:16] + "…" for label in labels]
    return [
        label if short.count(seen) > 1 else seen for label, seen in zip(labels, short, strict=True)
    ]
