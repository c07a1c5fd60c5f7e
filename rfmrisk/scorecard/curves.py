"""Displays of scikit-learn's shape for a scorecard: how it was selected, and what it decides.

Each takes what was computed; its ``from_...`` computes it and draws, and ``plot`` draws it.
matplotlib, of the extra ``train``, is imported when something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.utils._optional_dependencies import check_matplotlib_support

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

    from rfmrisk.scorecard.selection import StepwiseSelector

_LINE, _CHOSEN = "#2a7f9e", "#c8553d"


def _axes(ax: Any, display: Any) -> tuple[Any, Any]:
    """Return the axes to draw on, and their figure."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(7, 4), layout="constrained").subplots()
    return ax, ax.figure


class SelectionDisplay:
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
        self.ax_, self.figure_ = _axes(ax, self)
        path = self.path
        self.ax_.errorbar(
            path["size"], path["auc"], path["std_error"], fmt="o-", color=_LINE, capsize=3
        )
        chosen = path[path["selected"]]
        self.ax_.plot(chosen["size"], chosen["auc"], "o", ms=11, color=_CHOSEN, label="selected")
        for size, auc, name in zip(path["size"], path["auc"], path["added"], strict=True):
            self.ax_.annotate(
                name.replace("$", r"\$"), (size, auc), rotation=30, fontsize=7, va="bottom"
            )
        self.ax_.set(xlabel="characteristics", ylabel="AUC out of fold, one standard error")
        self.ax_.legend(loc="lower right")
        return self
