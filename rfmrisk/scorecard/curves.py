"""Displays of scikit-learn's shape for a scorecard: how it was selected, and what it decides.

Each takes what was computed; its ``from_...`` computes it and draws, and ``plot`` draws it.
matplotlib, of the extra ``train``, is imported when something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfmrisk._showing import Display, axes, draw_path
from rfmrisk.scorecard.cutoffs import cutoff_table, gains_table, swap_set

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd
    from numpy.typing import ArrayLike

    from rfmrisk.scorecard.selection import StepwiseSelector

_LINE, _CHOSEN, _BARS = "#2a7f9e", "#c8553d", "#c9d3df"


class SelectionDisplay(Display):
    """The out-of-fold AUC of a stepwise selection, by the number of characteristics.

    Parameters
    ----------
    path : DataFrame
        `StepwiseSelector.path_`.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rfmrisk import StepwiseSelector
    >>> from rfmrisk.scorecard import SelectionDisplay
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> y = X[:, 0] + X[:, 1] < -1
    >>> SelectionDisplay.from_estimator(StepwiseSelector().fit(X, y)).ax_.get_xlabel()
    'characteristics'
    """

    def __init__(self, *, path: pd.DataFrame) -> None:
        self.path = path

    @classmethod
    def from_estimator(cls, selector: StepwiseSelector, *, ax: Any = None) -> Self:
        """Draw the path of a fitted selector.

        Parameters
        ----------
        selector : StepwiseSelector
            Fitted.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        SelectionDisplay
            Drawn.
        """
        return cls(path=selector.path_).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the AUC of each size with its standard error, and what was added.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        path = self.path
        style = {"yerr": path["std_error"], "color": _LINE, "capsize": 3}
        draw_path(self.ax_, path["size"], path["auc"], path["added"], rotation=30, **style)
        chosen = path[path["selected"]]
        self.ax_.plot(chosen["size"], chosen["auc"], "o", ms=11, color=_CHOSEN, label="selected")
        self.ax_.set(xlabel="characteristics", ylabel="AUC out of fold, one standard error")
        self.ax_.legend(loc="lower right")
        return self


class GainsDisplay(Display):
    """The bad rate of each band of a score, and the share of all bads up to it.

    Parameters
    ----------
    table : DataFrame
        As `gains_table` returns it.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from rfmrisk.scorecard import GainsDisplay
    >>> display = GainsDisplay.from_scores([1, 0, 1, 0, 0, 0], [1, 2, 3, 4, 5, 6], n_bands=3)
    >>> display.ax_.get_ylabel()
    'bad rate'
    """

    def __init__(self, *, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_scores(
        cls, y: ArrayLike, score: ArrayLike, n_bands: int = 10, *, ax: Any = None
    ) -> Self:
        """Compute the table and draw it.

        Parameters
        ----------
        y : array-like of shape (n,)
            0 is good, 1 is bad.
        score : array-like of shape (n,)
            Higher is safer.
        n_bands : int, default=10
            Number of bands.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        GainsDisplay
            Drawn.
        """
        return cls(table=gains_table(y, score, n_bands)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw bars of the bad rates, and a line of the bads found so far.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        table = self.table
        self.ax_.bar(table.index, table["bad_rate"], color=_BARS)
        ends = zip(table["score_min"], table["score_max"], strict=True)
        labels = [f"{low:g} to {high:g}" for low, high in ends]
        self.ax_.set_xticks(table.index, labels, rotation=30, ha="right")
        self.ax_.set(xlabel="score", ylabel="bad rate")
        found = self.ax_.twinx()
        found.plot(table.index, table["cum_bads"], "o-", color=_LINE)
        found.set(ylabel="share of all bads up to here", ylim=(0, 1.05))
        return self


class CutoffDisplay(Display):
    """What each cut-off accepts, and earns.

    Parameters
    ----------
    table : DataFrame
        As `cutoff_table` returns it.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from rfmrisk.scorecard import CutoffDisplay
    >>> y, score = [1, 0, 1, 0, 0, 0], [1, 2, 3, 4, 5, 6]
    >>> CutoffDisplay.from_scores(y, score, profit_good=1, loss_bad=2).ax_.get_xlabel()
    'cut-off'
    """

    def __init__(self, *, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_scores(
        cls,
        y: ArrayLike,
        score: ArrayLike,
        *,
        profit_good: ArrayLike | None = None,
        loss_bad: ArrayLike | None = None,
        ax: Any = None,
    ) -> Self:
        """Compute the table and draw it.

        Parameters
        ----------
        y : array-like of shape (n,)
            0 is good, 1 is bad.
        score : array-like of shape (n,)
            Higher is safer.
        profit_good, loss_bad : float, array-like of shape (n,) or None, default=None
            As `cutoff_table` takes them.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CutoffDisplay
            Drawn.
        """
        table = cutoff_table(y, score, profit_good=profit_good, loss_bad=loss_bad)
        return cls(table=table).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw approvals and bad rates, and the profit with its band where there is one.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        table = self.table
        self.ax_.plot(table.index, table["approved"], color=_LINE, label="approved")
        self.ax_.plot(table.index, table["bad_rate"], color=_CHOSEN, label="bad rate of accepted")
        self.ax_.set(xlabel="cut-off", ylabel="share", ylim=(0, 1.05))
        self.ax_.legend(loc="upper right")
        if "profit" in table:
            profit = self.ax_.twinx()
            profit.fill_between(
                table.index, table["profit_low"], table["profit_high"], color=_BARS, alpha=0.5
            )
            profit.plot(table.index, table["profit"], "--", color="black")
            profit.set_ylabel("profit (dashed)")
        return self


class SwapSetDisplay(Display):
    """Who changes sides between two scores, and how bad they are.

    Parameters
    ----------
    table : DataFrame
        As `swap_set` returns it.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from rfmrisk.scorecard import SwapSetDisplay
    >>> display = SwapSetDisplay.from_scores([0, 1, 0], [5, 6, 7], [7, 5, 8], cutoff=6)
    >>> display.ax_.get_ylabel()
    'customers'
    """

    def __init__(self, *, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_scores(
        cls,
        y: ArrayLike,
        champion: ArrayLike,
        challenger: ArrayLike,
        cutoff: Any,
        *,
        ax: Any = None,
    ) -> Self:
        """Compute the table and draw it.

        Parameters
        ----------
        y : array-like of shape (n,)
            0 is good, 1 is bad, NaN not known.
        champion, challenger : array-like of shape (n,)
            The two scores of each customer.
        cutoff : float or pair of float
            From which score on customers are accepted.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        SwapSetDisplay
            Drawn.
        """
        return cls(table=swap_set(y, champion, challenger, cutoff)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw a bar for each side, with its bad rate.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        bars = self.ax_.bar(self.table.index, self.table["n"], color=_BARS)
        rates = self.table["bad_rate"]
        labels = ["" if rate != rate else f"{rate:.1%} bad" for rate in rates]  # noqa: PLR0124
        self.ax_.bar_label(bars, labels)
        self.ax_.set_ylabel("customers")
        return self
