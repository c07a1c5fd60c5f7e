"""Displays of scikit-learn's shape for the label: its clusters, stability, leaks and validity.

Each takes what was computed; its ``from_...`` computes it and draws, and ``plot`` draws it.
matplotlib, of the extra ``train``, is imported when something is drawn.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from rfmrisk._showing import Display, axes
from rfmrisk.proxy.agreement import ProxyValidation, validate_proxy
from rfmrisk.proxy.backtest import RollingOrigin
from rfmrisk.proxy.leakage import TELLTALE, LeakageReport, leakage_report
from rfmrisk.proxy.outcome import CANDIDATES, absence_curve
from rfmrisk.proxy.stability import ACCEPTED, NUISANCES, LabelStability, label_stability
from rfmrisk.proxy.worth import OutcomeCurve, outcome_curve

_SAFE, _RISKY, _NEUTRAL = "#2a7f9e", "#c8553d", "#8a8f98"
_MOST_POINTS = 5_000


class ClusterDisplay(Display):
    """The clusters of a labeler in two of its columns.

    Parameters
    ----------
    points : DataFrame of shape (n_customers, 2)
        The two columns, in original units.
    clusters : ndarray of int of shape (n_customers,)
        The cluster of each customer.
    high_risk : int
        The cluster that is labelled.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from rfmrisk import ProxyLabeler, RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import ClusterDisplay
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> rfm = RFMAggregator().fit_transform(histories)
    >>> ClusterDisplay.from_estimator(ProxyLabeler().fit(rfm), rfm).ax_.get_xlabel()
    'recency'
    """

    def __init__(self, *, points: pd.DataFrame, clusters: np.ndarray, high_risk: int) -> None:
        self.points = points
        self.clusters = clusters
        self.high_risk = high_risk

    @classmethod
    def from_estimator(
        cls, labeler: Any, X: Any, columns: tuple[int, int] = (0, -1), *, ax: Any = None
    ) -> Self:
        """Draw the clusters of customers.

        Parameters
        ----------
        labeler : ProxyLabeler
            Fitted.
        X : {DataFrame, ndarray} of shape (n_customers, n_features)
        columns : tuple of two ints, default=(0, -1)
            Which of the labeler's columns to draw.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ClusterDisplay
            Drawn.
        """
        clusters = labeler.predict_cluster(X)
        names = labeler.get_feature_names_out()[:-2]
        table = pd.DataFrame(np.asarray(X, dtype=np.float64), columns=names)
        known = np.flatnonzero(clusters >= 0)
        points = table[[labeler.columns_[place] for place in columns]].iloc[known]
        high_risk = labeler.n_clusters_ - 1
        return cls(points=points, clusters=clusters[known], high_risk=high_risk).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw one dot per customer, of at most 5,000, on logarithmic axes.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        x, y = self.points.columns
        shades = np.linspace(0.25, 1, max(self.high_risk, 1))
        drawn = np.ones(len(self.points), dtype=bool)
        if len(drawn) > _MOST_POINTS:
            drawn[np.random.default_rng(0).permutation(len(drawn))[_MOST_POINTS:]] = False
        for cluster in range(self.high_risk + 1):
            of_cluster = self.clusters == cluster
            rows = of_cluster & drawn
            risky = cluster == self.high_risk
            self.ax_.scatter(
                self.points[x][rows],
                self.points[y][rows],
                s=9,
                alpha=0.5,
                color=_RISKY if risky else _mix(_SAFE, 1 - shades[cluster]),
                label=f"cluster {cluster}{', high-risk' if risky else ''} ({of_cluster.sum():,})",
            )
        self.ax_.set(xlabel=x, ylabel=y, title="Clusters of customers")
        for axis, name in ((self.ax_.set_xscale, x), (self.ax_.set_yscale, y)):
            axis("symlog", linthresh=float(self.points[name].abs().median()) or 1.0)
        self.ax_.legend(frameon=False, loc="best")
        return self


class StabilityDisplay(Display):
    """Labels that flip, for each perturbation: the mean, and a whisker to the worst.

    Parameters
    ----------
    stability : LabelStability
        As `label_stability` returns it.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from rfmrisk import ProxyLabeler, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import StabilityDisplay
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> display = StabilityDisplay.from_estimator(
    ...     ProxyLabeler(), histories, n_resamples=3, window="90D"
    ... )
    >>> len(display.ax_.get_yticklabels())
    9
    """

    def __init__(self, *, stability: LabelStability) -> None:
        self.stability = stability

    @classmethod
    def from_estimator(
        cls, labeler: Any, histories: pd.DataFrame, *, ax: Any = None, **options: Any
    ) -> Self:
        """Compute the stability of a labeler and draw it.

        Parameters
        ----------
        labeler : ProxyLabeler or Pipeline
        histories : DataFrame of shape (n_customers, 2)
        ax : matplotlib Axes or None, default=None
        **options
            Other parameters of `label_stability`.

        Returns
        -------
        StabilityDisplay
            Drawn.
        """
        return cls(stability=label_stability(labeler, histories, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw a bar per perturbation.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        table = self.stability.table.iloc[::-1]
        mean, worst = 100 * table["flips_mean"], 100 * table["flips_max"]
        # The later perturbations show a changed world, which a label may rightly follow.
        colors = [
            _NEUTRAL if name not in NUISANCES else _RISKY if share > 100 * ACCEPTED else _SAFE
            for name, share in mean.items()
        ]
        self.ax_.barh(table.index, mean, color=colors)
        self.ax_.hlines(table.index, mean, worst, color=_NEUTRAL)
        self.ax_.axvline(100 * ACCEPTED, color=_NEUTRAL, linestyle=":")
        self.ax_.set(xlabel="labels that flip, % (mean, and worst)", title="Stability of the label")
        return self


class ProxyValidationDisplay(Display):
    """Real bad rate by decile of the risk.

    Parameters
    ----------
    validation : ProxyValidation
        As `validate_proxy` returns it.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from rfmrisk.proxy import ProxyValidationDisplay
    >>> display = ProxyValidationDisplay.from_predictions(
    ...     range(100), [0] * 50 + [0, 1] * 25, n_resamples=50
    ... )
    >>> display.ax_.get_xlabel()
    'decile of the risk'
    """

    def __init__(self, *, validation: ProxyValidation) -> None:
        self.validation = validation

    @classmethod
    def from_predictions(cls, risk: Any, outcome: Any, *, ax: Any = None, **options: Any) -> Self:
        """Compare a risk with outcomes and draw it.

        Parameters
        ----------
        risk : Series or array-like of shape (n,)
        outcome : Series or array-like of shape (m,)
        ax : matplotlib Axes or None, default=None
        **options
            Other parameters of `validate_proxy`.

        Returns
        -------
        ProxyValidationDisplay
            Drawn.
        """
        return cls(validation=validate_proxy(risk, outcome, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw a bar per decile, and the bad rate of all as a line.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        table = self.validation.table
        overall = 100 * self.validation.n_bad / self.validation.n_customers
        rates = 100 * table["bad_rate"]
        self.ax_.bar(table.index, rates, color=[_RISKY if r > overall else _SAFE for r in rates])
        self.ax_.axhline(overall, color=_NEUTRAL, linestyle=":")
        self.ax_.set(
            xlabel="decile of the risk",
            ylabel="bad, %",
            xticks=range(1, 11),
            title=self.validation.verdict,
        )
        return self


class LeakageDisplay(Display):
    """AUC of the model, of the one-column baselines, and of the best features alone.

    Parameters
    ----------
    report : LeakageReport
        As `leakage_report` returns it.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from rfmrisk import ProxyTargetClassifier, RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import LeakageDisplay
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> model = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    >>> display = LeakageDisplay.from_estimator(
    ...     ProxyTargetClassifier(model), histories, n_resamples=20
    ... )
    >>> display.ax_.get_xlabel()
    'ROC-AUC against the label'
    """

    def __init__(self, *, report: LeakageReport) -> None:
        self.report = report

    @classmethod
    def from_estimator(
        cls, model: Any, histories: pd.DataFrame, y: Any = None, *, ax: Any = None, **options: Any
    ) -> Self:
        """Make the report of a model and draw it.

        Parameters
        ----------
        model : ProxyTargetClassifier, Pipeline or classifier
        histories : DataFrame of shape (n_rows, 2)
        y : Series, array-like of shape (n_rows,) or None, default=None
        ax : matplotlib Axes or None, default=None
        **options
            Other parameters of `leakage_report`.

        Returns
        -------
        LeakageDisplay
            Drawn.
        """
        return cls(report=leakage_report(model, histories, y, **options)).plot(ax=ax)

    def plot(self, ax: Any = None, *, n_features: int = 8) -> Self:
        """Draw a dot per model and feature, with intervals where there are some.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
        n_features : int, default=8
            How many of the best features to draw.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        table, features = self.report.table, self.report.features.head(n_features)
        names = [*table.index, *features.index][::-1]
        aucs = np.array([*table["auc"], *features])[::-1]
        colors = [_RISKY if auc >= TELLTALE else _SAFE for auc in aucs]
        places = np.arange(len(names))
        self.ax_.scatter(aucs, places, color=colors, zorder=2)
        self.ax_.hlines(places[-len(table) :][::-1], table["low"], table["high"], color=_NEUTRAL)
        self.ax_.axvline(TELLTALE, color=_RISKY, linestyle=":")
        self.ax_.set_yticks(places, names)
        self.ax_.set(xlabel="ROC-AUC against the label", title="Leakage check")
        return self


class AbsenceDisplay(Display):
    """Share of active customers who stay away, against the length of the outcome window.

    Parameters
    ----------
    curve : DataFrame
        As `absence_curve` returns it.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import AbsenceDisplay
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> AbsenceDisplay.from_histories(histories).ax_.get_xlabel()
    'outcome window'
    """

    def __init__(self, *, curve: pd.DataFrame) -> None:
        self.curve = curve

    @classmethod
    def from_histories(
        cls, histories: pd.DataFrame, windows: Sequence[str] = CANDIDATES, *, ax: Any = None
    ) -> Self:
        """Compute the curve and draw it.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
        windows : sequence of str
            As in `absence_curve`.
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        AbsenceDisplay
            Drawn.
        """
        return cls(curve=absence_curve(histories, windows)).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the curve, and the half below which a window is long enough.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        self.ax_.plot(self.curve.index, 100 * self.curve["share_absent"], "o-", color=_SAFE)
        self.ax_.axhline(50, color=_NEUTRAL, linestyle=":")
        self.ax_.set(
            xlabel="outcome window",
            ylabel="active customers who are absent, %",
            ylim=(0, 100),
            title="How long a window has to be",
        )
        return self


class RollingOriginDisplay(Display):
    """The training and test dates of a back-test, one line per split.

    Parameters
    ----------
    splits : RollingOrigin
        As `rolling_origin` returns it.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import RollingOriginDisplay, rolling_origin
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> RollingOriginDisplay(splits=rolling_origin(histories, n=3)).plot().ax_.get_ylabel()
    'split'
    """

    def __init__(self, *, splits: RollingOrigin) -> None:
        self.splits = splits

    def plot(self, ax: Any = None) -> Self:
        """Draw the dates of decision.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        table = self.splits.table
        for part, color in (("train", _SAFE), ("test", _RISKY)):
            start, end = table[f"{part}_from"], table[f"{part}_to"]
            self.ax_.hlines(table.index, start, end, color=color, linewidth=4, label=part)
            self.ax_.scatter(end, table.index, color=color)
        self.ax_.set(
            xlabel="date of decision",
            ylabel="split",
            yticks=table.index,
            title=f"Back-test, outcome window {self.splits.outcome}",
        )
        self.ax_.invert_yaxis()
        self.ax_.tick_params(axis="x", rotation=30)
        self.ax_.legend(frameon=False, loc="upper right")
        return self


class OutcomeCurveDisplay(Display):
    """AUC of the proxy, the supervised model and the updated proxy, over the number of outcomes.

    Parameters
    ----------
    curve : OutcomeCurve
        As `outcome_curve` returns it.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from rfmrisk import ProxyTargetClassifier, RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import OutcomeCurveDisplay
    >>> log, defaults = make_transactions(n_customers=600, random_state=0, return_defaults=True)
    >>> histories = to_histories(log)
    >>> model = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    >>> display = OutcomeCurveDisplay.from_estimators(
    ...     ProxyTargetClassifier(model),
    ...     model,
    ...     histories,
    ...     defaults.loc[histories.index],
    ...     sizes=(50, 200),
    ...     n_draws=2,
    ... )
    >>> display.ax_.get_xlabel()
    'outcomes'
    """

    def __init__(self, *, curve: OutcomeCurve) -> None:
        self.curve = curve

    @classmethod
    def from_estimators(
        cls,
        proxy: Any,
        classifier: Any,
        histories: pd.DataFrame,
        y: Any,
        *,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Compute the curve of a proxy and a supervised model and draw it.

        Parameters
        ----------
        proxy, classifier : estimators
        histories : DataFrame of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
        ax : matplotlib Axes or None, default=None
        **options
            Other parameters of `outcome_curve`.

        Returns
        -------
        OutcomeCurveDisplay
            Drawn.
        """
        return cls(curve=outcome_curve(proxy, classifier, histories, y, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw a line per model, and the interval of the draws as a band.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes(ax, self)
        table = self.curve.table
        for name, color in (("proxy", _NEUTRAL), ("supervised", _SAFE), ("updated", _RISKY)):
            self.ax_.plot(table.index, table[name], "o-", color=color, label=name)
            low, high = table[f"{name}_low"], table[f"{name}_high"]
            self.ax_.fill_between(table.index, low, high, color=color, alpha=0.12, linewidth=0)
        self.ax_.set_xscale("log")
        self.ax_.set_xticks(table.index, [f"{size:,}" for size in table.index])
        self.ax_.minorticks_off()
        self.ax_.set(
            xlabel="outcomes",
            ylabel="ROC-AUC on held-out customers",
            title="What the proxy is worth",
        )
        self.ax_.legend(frameon=False, loc="best")
        return self


def _mix(color: str, share: float) -> tuple[float, ...]:
    """Return the colour with a share of white in it."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return tuple(part + (1 - part) * share for part in parts)
