"""What a proxy is worth in outcomes: its AUC beside that of a supervised model of more and more."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupShuffleSplit

from rfmrisk._showing import progress
from rfmrisk.histories.integers import check_integer
from rfmrisk.histories.matching import outcomes_of
from rfmrisk.histories.parameters import at_least, check_parameters
from rfmrisk.histories.segments import Ints
from rfmrisk.proxy.auc import interval
from rfmrisk.proxy.updating import OutcomeUpdatedClassifier

SIZES = (25, 50, 100, 200, 400, 800, 1_600, 3_200)
MODELS = ("proxy", "supervised", "updated")
HELD_OUT = 0.4
NEGLIGIBLE = 0.005
"""What the proxy may still add to the AUC when it counts as outgrown."""


@dataclass(frozen=True, repr=False)
class OutcomeCurve:
    """What `outcome_curve` found.

    Attributes
    ----------
    table : DataFrame
        Index ``n_outcomes``. For ``proxy``, ``supervised`` and ``updated`` the mean AUC over the
        draws, and under ``_low`` and ``_high`` the 2.5th and 97.5th percentiles. The proxy is
        the same model throughout: its AUC varies with the customers who are held out.
    n_outcomes, n_bad : int
        How many outcomes are known, and how many of them are bad.
    n_draws : int
    """

    table: pd.DataFrame
    n_outcomes: int
    n_bad: int
    n_draws: int

    @property
    def worth(self) -> float:
        """How many outcomes a supervised model needs to rank as well as the proxy.

        Interpolated on a logarithmic scale; 0 where the fewest do, infinite where the most do not.
        """
        return _reached(self.table["supervised"] - self.table["proxy"])

    @property
    def outgrown(self) -> float:
        """From how many outcomes on the proxy adds less than 0.005 to the supervised AUC."""
        return _reached(self.table["supervised"] + NEGLIGIBLE - self.table["updated"])

    @property
    def verdict(self) -> str:
        """What the proxy is worth, and when it will be outgrown, as text."""
        first, last = self.table.index[[0, -1]]
        ahead = self.table["proxy"].mean()
        if self.worth == 0:
            worth = f"the proxy is worth fewer than {first:,} outcomes"
        elif np.isinf(self.worth):
            worth = f"the proxy is worth more than the {last:,} outcomes that could be tried"
        else:
            worth = f"the proxy is worth as much as about {_rounded(self.worth)} outcomes"
        if np.isinf(self.outgrown):
            until = f"it is not outgrown at {last:,}"
        elif self.outgrown == 0:
            until = f"it adds nothing to {first:,} or more"
        else:
            until = f"it will be outgrown at about {_rounded(self.outgrown)}"
        return f"{worth} (AUC {ahead:.3f}), and {until}; {self.n_outcomes:,} are known"

    def __repr__(self) -> str:
        shown = pd.DataFrame(
            {
                name: [
                    f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
                    for _, row in self.table.iterrows()
                ]
                for name in MODELS
            },
            index=self.table.index,
        )
        return f"{self.verdict}\nROC-AUC over {self.n_draws} draws\n{shown.to_string()}"


def outcome_curve(
    proxy: Any,
    classifier: Any,
    histories: pd.DataFrame,
    y: Any,
    *,
    sizes: Sequence[int] = SIZES,
    n_draws: int = 20,
    random_state: int = 0,
) -> OutcomeCurve:
    """Draw more and more of the known outcomes, and compare three models on held-out customers.

    In each draw two fifths of the customers are held out; of the others so many outcomes are
    taken, for the supervised model and for the proxy updated by them.

    Parameters
    ----------
    proxy : estimator
        As in `OutcomeUpdatedClassifier`; fitted once to all histories, without an outcome.
    classifier : estimator
        From histories to a probability, fitted to the outcomes that were drawn.
    histories : DataFrame of shape (n_rows, n_columns)
        As made by `to_histories`.
    y : array-like of shape (n_rows,)
        1 is bad, 0 good, NaN not known yet.
    sizes : sequence of int, default=(25, 50, 100, 200, 400, 800, 1600, 3200)
        How many outcomes to draw; those of which there are not enough are left out.
    n_draws : int, default=20
    random_state : int, default=0
        Seeds the draws.

    Returns
    -------
    OutcomeCurve
        It prints as a sentence with a table; `OutcomeCurveDisplay` draws it.

    Raises
    ------
    ValueError
        Fewer outcomes are known than the smallest size needs, or a draw has none of one class.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from rfmrisk import ProxyTargetClassifier, RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import outcome_curve
    >>> log, defaults = make_transactions(n_customers=900, random_state=0, return_defaults=True)
    >>> histories = to_histories(log)
    >>> y = defaults.loc[histories.index]
    >>> model = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    >>> curve = outcome_curve(ProxyTargetClassifier(model), model, histories, y, n_draws=3)
    >>> curve.table.index.tolist()
    [25, 50, 100, 200, 400]
    >>> curve.verdict
    'the proxy is worth ...'
    """
    check_parameters(
        "outcome_curve",
        n_draws=(n_draws, [at_least(1)]),
        random_state=(random_state, [at_least(0)]),
    )
    for size in sizes:
        check_integer(size, "each of sizes", 1)
    y = outcomes_of(y, histories.index)
    rows = np.flatnonzero(~np.isnan(y))
    n_bad = int(np.nansum(y))
    room = int((1 - HELD_OUT) * len(rows))
    tried = sorted(size for size in sizes if size <= room)
    if not tried or not 0 < n_bad < len(rows):
        raise ValueError(
            f"the smallest of sizes, {min(sizes, default=0):,}, needs as many outcomes among "
            f"{1 - HELD_OUT:.0%} of those known, and both classes; {len(rows):,} are known, "
            f"{n_bad:,} of them bad"
        )
    known, bad = histories.iloc[rows], y[rows]
    fitted = FrozenEstimator(clone(proxy).fit(histories, None))
    of_proxy = fitted.predict_proba(known)[:, 1]
    splits = GroupShuffleSplit(n_draws, test_size=HELD_OUT, random_state=random_state)
    rng = np.random.default_rng(random_state)
    found = {size: np.full((n_draws, len(MODELS)), np.nan) for size in tried}
    draws = enumerate(splits.split(known, bad, known.index))
    for draw, (pool, held_out) in progress(draws, "draws of outcomes", n_draws):
        order = rng.permutation(pool)
        for size in tried:
            drawn = np.full(len(bad), np.nan)
            drawn[order[:size]] = bad[order[:size]]
            with warnings.catch_warnings():
                # Among so few, chance alone separates the classes.
                warnings.filterwarnings("ignore", "each bin of", UserWarning)
                updated = OutcomeUpdatedClassifier(fitted, classifier).fit(known, drawn)
            found[size][draw] = _aucs(updated, of_proxy, known, bad, held_out)
    columns = {}
    for place, name in enumerate(MODELS):
        columns[name] = [float(np.nanmean(found[size][:, place])) for size in tried]
        ends = [interval(found[size][:, place]) for size in tried]
        columns[f"{name}_low"], columns[f"{name}_high"] = map(list, zip(*ends, strict=True))
    table = pd.DataFrame(columns, index=pd.Index(tried, name="n_outcomes"))
    return OutcomeCurve(table, len(rows), n_bad, int(n_draws))


def _aucs(
    updated: OutcomeUpdatedClassifier,
    of_proxy: np.ndarray,
    known: pd.DataFrame,
    bad: np.ndarray,
    held_out: Ints,
) -> list[float]:
    """Return the AUC of the proxy, of the supervised model inside, and of both together."""
    test, y = known.iloc[held_out], bad[held_out]
    supervised = 0.5  # of too few outcomes for a model
    if updated.classifier_ is not None:
        supervised = roc_auc_score(y, updated.classifier_.predict_proba(test)[:, 1])
    both = roc_auc_score(y, updated.predict_proba(test)[:, 1])
    return [roc_auc_score(y, of_proxy[held_out]), supervised, both]


def _reached(gap: pd.Series) -> float:
    """Return where a gap that grows with the outcomes stays above 0 from, 0 or infinite."""
    below = np.flatnonzero(gap.to_numpy() < 0)
    if not len(below):
        return 0.0
    last = below[-1]
    if last == len(gap) - 1:
        return float("inf")
    sizes, gaps = np.log(gap.index.to_numpy(float)), gap.to_numpy()
    share = -gaps[last] / (gaps[last + 1] - gaps[last])
    return float(np.exp(sizes[last] + share * (sizes[last + 1] - sizes[last])))


def _rounded(number: float) -> str:
    """Return a number with one significant digit, two where it begins with a 1."""
    unit = 10 ** (len(str(int(number))) - (2 if str(int(number))[0] == "1" else 1))
    return f"{round(number / unit) * unit:,.0f}"
