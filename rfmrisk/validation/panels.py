"""Displays of scikit-learn's shape: a validation, and a model over time.

Each draws what was computed elsewhere. matplotlib, of the extra ``train``, is imported when
something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rfmrisk._showing import Display

if TYPE_CHECKING:
    from rfmrisk.validation.monitoring import MonitorReport
    from rfmrisk.validation.validate import ValidationReport

_LIGHTS = {"green": "#2e7d32", "amber": "#f0b429", "red": "#c62828"}
_LINE, _OTHER = "#2a7f9e", "#8a8f98"


class ValidationDisplay(Display):
    """Expected against observed bad rates by tenth, and the shift of score and features.

    Parameters
    ----------
    report : ValidationReport
        As `validate_model` returns it.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
    """

    def __init__(self, *, report: ValidationReport) -> None:
        self.report = report

    def plot(self) -> Self:
        """Draw both.

        Returns
        -------
        self
        """
        from matplotlib.figure import Figure

        self.figure_ = Figure(figsize=(10, 4), layout="constrained")
        left, right = self.axes_ = list(self.figure_.subplots(1, 2))
        rates = self.report.by_tenth
        most = float(rates[["expected", "observed"]].to_numpy().max())
        left.plot([0, most], [0, most], "--", color=_OTHER)
        left.plot(rates["expected"], rates["observed"], "o-", color=_LINE)
        left.set(xlabel="expected bad rate", ylabel="observed bad rate", title="by tenth")
        found = self.report.stability.sort_values("psi").tail(15)
        right.barh(list(map(str, found.index)), found["psi"], color=_LINE)
        right.plot(found["critical_value"], np.arange(len(found)), "|", color="black", ms=12)
        right.set(xlabel="population stability index (mark: chance)", title="stability")
        return self


class MonitorDisplay(Display):
    """Small multiples over time: rows, score, approvals, stability, bad rates, AUC.

    Parameters
    ----------
    report : MonitorReport
        As `monitor_model` returns it.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes
    """

    def __init__(self, *, report: MonitorReport) -> None:
        self.report = report

    def plot(self) -> Self:
        """Draw them.

        Returns
        -------
        self
        """
        from matplotlib.figure import Figure

        table = self.report.periods
        self.figure_ = Figure(figsize=(11, 6), layout="constrained")
        self.axes_ = list(self.figure_.subplots(2, 3, sharex=True).ravel())
        at = np.arange(len(table))
        rows, score, approved, psi, rates, auc = self.axes_
        rows.bar(at, table["n"], color=[_LIGHTS[light] for light in table["light"]])
        rows.set_title("rows, in the colour of the light")
        score.fill_between(at, table["score_10"], table["score_90"], color=_LINE, alpha=0.2)
        score.plot(at, table["score_50"], color=_LINE)
        score.set_title("score: median, 10 % to 90 %")
        approved.plot(at, table["approved"], color=_LINE)
        approved.set_title("share approved")
        psi.plot(at, table["psi"], color=_LINE)
        psi.plot(at, table["critical_value"], ":", color=_OTHER)
        psi.set_title("PSI of the score (dotted: chance)")
        rates.plot(at, table["observed"], "o-", color=_LINE)
        rates.plot(at, table["expected_of_known"], "--", color=_OTHER)
        rates.set_title("bad rate (dashed: expected)")
        auc.errorbar(at, table["auc"], 1.96 * table["auc_error"], fmt="o", color=_LINE)
        auc.set_title("AUC, 95 % intervals")
        step = -(-len(at) // 6)
        for ax in self.axes_[3:]:
            ax.set_xticks(at[::step], table.index[::step], rotation=45, ha="right")
        return self


def picture(display: Any) -> bytes:
    """Return a display, drawn, as PNG."""
    from io import BytesIO

    buffer = BytesIO()
    display.plot().figure_.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
