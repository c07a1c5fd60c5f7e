"""Display objects of scikit-learn's shape: they draw what was computed elsewhere.

``from_estimator`` takes what a fitted estimator knows, ``plot`` draws it. matplotlib, of the extra
``train``, is imported when something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils._param_validation import StrOptions

from rfmrisk._showing import Display, axes, draw_path, literal, pyplot
from rfmrisk.histories.parameters import check_parameters
from rfmrisk.woe.bins import MISSING, TOTAL, UNSEEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["FrontierDisplay", "WOEDisplay"]

Kind = Literal["woe", "bad_rate", "period"]


class WOEDisplay(Display):
    """Bins of one or many features: how many customers, and how good they are.

    Bars are counts; the line is the WoE or the bad rate of each bin that has customers. Or a line
    for each bin is its bad rate from period to period: bins that hold do not cross. Make one with
    `from_estimator`.

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
        kind: Kind = "woe",
        ax: Any = None,
    ) -> WOEDisplay:
        """Draw features of a fitted encoder or scorecard.

        Parameters
        ----------
        estimator : WOEEncoder or Scorecard
            Fitted.
        features : str, int, sequence of them or None, default=None
            Names or positions of columns; None is every column, by falling information value.
        kind : {"woe", "bad_rate", "period"}, default="woe"
            What the line shows; "period" draws the bad rate of each bin over the periods of `fit`.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            Where to draw, one for each feature; None makes a figure.

        Returns
        -------
        WOEDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there is no such column, ``kind`` is unknown, there are no periods, or axes and
            features differ in number.
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

    def plot(self, ax: Any = None, *, kind: Kind = "woe") -> WOEDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of Axes or None, default=None
            Where to draw, one for each feature; None makes a figure.
        kind : {"woe", "bad_rate", "period"}, default="woe"
            What the line shows; "period" draws the bad rate of each bin over the periods of `fit`.

        Returns
        -------
        WOEDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If ``kind`` is unknown, there are no periods, or axes and features differ in number.
        ImportError
            If matplotlib is not installed.
        """
        kinds = StrOptions({"woe", "bad_rate", "period"})
        check_parameters("WOEDisplay.plot", kind=(kind, [kinds]))
        if kind == "period" and not all("reversals" in table for table in self.tables.values()):
            raise ValueError("kind='period' draws periods; fit had none: fit(X, y, period=...)")
        grid = self._make_axes() if ax is None else list(np.ravel(ax))
        if len(grid) != len(self.tables):
            raise ValueError(f"ax must hold {len(self.tables)} axes; got {len(grid)}.")
        for axis, (name, table) in zip(grid, self.tables.items(), strict=True):
            (_draw_over_time if kind == "period" else _draw)(axis, name, table, kind)
        self.axes_ = grid
        self.figure_ = grid[0].figure
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
        places = list(grid.ravel())
        for spare in places[n:]:
            spare.remove()
        return places[:n]


class FrontierDisplay(Display):
    """What the order of a feature's bins in every period costs in information value.

    Make one with `from_estimator`.

    Parameters
    ----------
    feature : str
        Its name.
    frontier : DataFrame
        As `WOEEncoder.frontier` returns it.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from rfmrisk.plotting import FrontierDisplay
    >>> from rfmrisk.woe import WOEEncoder
    >>> X = [[1.0], [2.0], [3.0], [4.0]] * 4
    >>> encoder = WOEEncoder().fit(X, [0, 1, 0, 1, 0, 0, 1, 1] * 2, period=[1] * 8 + [2] * 8)
    >>> FrontierDisplay.from_estimator(encoder, "x0").ax_.get_xlabel()
    'reversals'
    """

    def __init__(self, *, feature: str, frontier: pd.DataFrame) -> None:
        self.feature = feature
        self.frontier = frontier

    @classmethod
    def from_estimator(
        cls, estimator: Any, feature: str | int, *, ax: Any = None
    ) -> FrontierDisplay:
        """Draw the frontier of a feature of a fitted encoder or scorecard.

        Parameters
        ----------
        estimator : WOEEncoder or Scorecard
            Fitted with periods.
        feature : str or int
            Name or position of the column.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        FrontierDisplay
            Drawn.

        Raises
        ------
        ValueError
            As `WOEEncoder.frontier`.
        ImportError
            If matplotlib is not installed.
        """
        encoder = getattr(estimator, "encoder_", estimator)
        frontier = encoder.frontier(feature)
        name = feature if isinstance(feature, str) else encoder.column_names()[feature]
        return cls(feature=name, frontier=frontier).plot(ax)

    def plot(self, ax: Any = None) -> FrontierDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        FrontierDisplay
            Itself, with ``figure_`` and ``ax_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_, self.figure_ = axes(ax, self)
        prices = self.frontier["stability"].map("{:.2g}".format)
        values = self.frontier["information_value"]
        draw_path(self.ax_, self.frontier["reversals"], values, prices, color="#b3331c")
        self.ax_.set(
            xlabel="reversals",
            ylabel="information value",
            title=f"{literal(self.feature)}: the least stability of each",
        )
        return self


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


def _draw_over_time(ax: Any, name: str, table: pd.DataFrame, kind: str) -> None:
    rates = table.filter(regex="^bad_rate .").rename(columns=lambda c: c.removeprefix("bad_rate "))
    ordinary = table["count"].gt(0) & ~table["bin"].isin([UNSEEN, TOTAL])
    labels = _short(table["bin"][ordinary].tolist())
    for label, rate in zip(labels, rates[ordinary].to_numpy(), strict=True):
        style = {"linestyle": ":"} if label == MISSING else {}
        ax.plot(rate, marker="o", markersize=3, label=literal(label), **style)
    names = [literal(str(period)) for period in rates]
    ax.set_xticks(np.arange(len(names)), names, rotation=30, ha="right")
    ax.set_ylabel("bad rate")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.35 * (high - low))  # room for the legend
    ax.legend(fontsize="x-small", ncols=2, loc="upper center")
    n_reversals = int(table["reversals"].iloc[-1])
    ax.set_title(f"{literal(name)} ({n_reversals} reversal{'s' * (n_reversals != 1)})")


def _short(labels: list[str]) -> list[str]:
    """Shorten long labels, unless two would then look the same."""
    short = [label if len(label) <= 18 else label[:16] + "…" for label in labels]
    return [
        label if short.count(seen) > 1 else seen for label, seen in zip(labels, short, strict=True)
    ]
