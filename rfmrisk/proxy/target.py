"""The proxy target: what was known at earlier cut-offs, and how customers behaved after each."""

import datetime as dt
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline

from rfmrisk.aggregation import RFMAggregator
from rfmrisk.histories.flat import flatten, nest
from rfmrisk.histories.nesting import rewind_rows
from rfmrisk.histories.parameters import at_least, check_parameters
from rfmrisk.histories.segments import Ints
from rfmrisk.histories.timestamps import DAY, parse_duration
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.proxy.outcome import other_outcome, suggest_outcome
from rfmrisk.proxy.rule import LabelRule, label_rule

OUTCOMES = ("30D", "60D", "90D")
N_CUTOFFS = 3

Outcome = str | dt.timedelta | None

_DEGENERATE = "the label is degenerate"
_BOUGHT = "bought in the outcome window"


@dataclass(frozen=True, eq=False)
class OutcomeWindow:
    """An outcome window after a cut-off, and what made its labels.

    Attributes
    ----------
    outcome : str, timedelta or None
        Its length; None where features and labels see the same histories.
    back : int
        Where it opens: as many of its lengths before ``as_of``. Features see what lies before.
    labeler : Pipeline
        Fitted on all who were known when it closed, from histories to labels.
    n_customers : int
        The customers who were known when it opened.
    high_risk_share : float
        The share of them that is labelled.
    absent_share : float
        The share of them without a transaction in it.
    rule : LabelRule or None
        The one threshold of one column that gives these labels, where there is one: K-Means then
        decides nothing.
    """

    outcome: Outcome
    back: int
    labeler: Pipeline
    n_customers: int
    high_risk_share: float
    absent_share: float
    rule: LabelRule | None

    @property
    def name(self) -> str:
        """Its length and where it opens, such as ``"30D from 60 days before as_of"``."""
        return _name(self.outcome, self.back)


@dataclass(frozen=True, eq=False)
class ProxyTarget:
    """Histories as known at one or more cut-offs, and the labels of what followed each.

    A sample is a customer, a cut-off and a length of the outcome window: its customer is
    ``customers[i]``, what was known then is ``past.iloc[samples[i]]``, and its label is ``y[i]``.
    A customer has several samples, and whatever divides them must keep those of one together.

    Attributes
    ----------
    past : DataFrame of shape (n_past, n_columns)
        One row per customer and cut-off, the histories as known then. Features are computed of
        these, once for each cut-off, and then repeated by ``samples``.
    rows : ndarray of int of shape (n_past,)
        Which row of today's histories each of ``past`` is.
    samples : ndarray of int of shape (n_samples,)
        Which row of ``past`` each sample is of; 0, 1, 2 and so on for a single window.
    y : ndarray of int of shape (n_samples,)
        1 is high-risk.
    windows : list of OutcomeWindow
        Of each, one after the other, are the samples.
    outcome : str, timedelta, None or list of these
        The lengths that were used: a list where several were asked for.
    left_out : list of str
        Windows that do not fit, each with the reason.
    """

    past: pd.DataFrame
    rows: Ints
    samples: Ints
    y: Ints
    windows: list[OutcomeWindow]
    outcome: Outcome | list[Outcome]
    left_out: list[str]

    @cached_property
    def customers(self) -> pd.Index:
        """The customer of each sample: the groups of whatever folds or divides the samples."""
        return self.past.index[self.samples]

    @property
    def labeler(self) -> Pipeline:
        """The labeler of the first window: the shortest length that ends at ``as_of``."""
        return self.windows[0].labeler

    @property
    def rules(self) -> list[str]:
        """What gives the labels of each window in which K-Means decides nothing, as text."""
        return [f"{window.name}: {window.rule.text}" for window in self.windows if window.rule]

    def per_customer(self) -> pd.DataFrame:
        """Return one row per customer, whose label is a share.

        Returns
        -------
        DataFrame of shape (n_customers, 3)
            Index ``customer``; ``n_windows``, the outcome windows before which the customer was
            known; ``n_high_risk``, those in which it was in the least engaged cluster; and
            ``high_risk_share``, their share.
        """
        found = pd.Series(self.y, index=self.customers).groupby(level=0, sort=True)
        counts = pd.DataFrame({"n_windows": found.size(), "n_high_risk": found.sum()})
        share = counts["n_high_risk"] / counts["n_windows"]
        return counts.assign(high_risk_share=share).rename_axis("customer")


def derive_target(
    histories: pd.DataFrame,
    *,
    outcome: Outcome | Sequence[Outcome] = OUTCOMES,
    n_cutoffs: int = N_CUTOFFS,
    labeler: Any = None,
    monetary: Literal["gross", "net"] = "gross",
) -> ProxyTarget:
    """Rewind the histories to several cut-offs and label the customers by what followed each.

    The windows of one length follow one another back from ``as_of``, at most ``n_cutoffs`` of
    them, each with at least as much of the log before it; only the last window of the shortest
    length needs no more than a customer who was known. Windows in which nobody bought, all have
    one label, or the label is degenerate (`ProxyLabeler`) are left out where there are others.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, n_columns)
        As made by `to_histories`.
    outcome : str, timedelta, "auto", None or sequence of durations, default=("30D", "60D", "90D")
        Length of the outcome window, or several, which are stacked; "auto" takes that of
        `suggest_outcome`; None labels by the same histories that the features see, for
        comparison only.
    n_cutoffs : int, default=3
        The most windows of each length.
    labeler : estimator or None, default=None
        A labeler of the RFM over the outcome window, `ProxyLabeler` by default; or a Pipeline
        from histories to labels, which then looks after its own windows.
    monetary : {"gross", "net"}, default="gross"
        Of the RFM that a labeler gets; see `RFMAggregator`.

    Returns
    -------
    ProxyTarget

    Raises
    ------
    ValueError
        A parameter is not allowed, or no window is left: no customer was known that long ago,
        none of them bought in the window, or all of them have the same label.

    Warns
    -----
    UserWarning
        The label is degenerate in every window; or, of a single window, all customers bought in it.

    Examples
    --------
    Features once per cut-off, repeated for the samples; folds, and a held-out part, of customers:

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from rfmrisk import WOEEncoder, customer_features, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy.target import derive_target
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> target = derive_target(histories, outcome=("30D", "60D"))
    >>> table = customer_features().fit_transform(target.past).iloc[target.samples]
    >>> model = make_pipeline(WOEEncoder(), LogisticRegression(max_iter=1_000))
    >>> folds = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    >>> cross_val_score(model, table, target.y, groups=target.customers, cv=folds).shape
    (3,)
    >>> list(target.per_customer().columns)
    ['n_windows', 'n_high_risk', 'high_risk_share']
    """
    several = isinstance(outcome, Sequence) and not isinstance(outcome, str)
    lengths = _checked(outcome, n_cutoffs)
    flatten(histories)
    if lengths == ["auto"]:
        lengths = [suggest_outcome(histories)]

    def make(outcome: Outcome) -> Pipeline:
        if isinstance(labeler, Pipeline):
            return clone(labeler)
        rfm = RFMAggregator(window=outcome, monetary=monetary)
        return make_pipeline(rfm, ProxyLabeler() if labeler is None else clone(labeler))

    views = _Views(histories)
    asked, left_out = _reached(histories, lengths, int(n_cutoffs))
    labelled, failed = _label_each(views, asked, make)
    used = [length for length in lengths if any(w.outcome == length for w, _ in labelled)]
    return _stacked(views, labelled, used if several else used[0], left_out + failed)


def label_again(histories: pd.DataFrame, windows: list[OutcomeWindow]) -> ProxyTarget:
    """Label other histories over the same windows, by the labelers as they were fitted.

    Windows before which none of these customers was known are left out.
    """
    views = _Views(histories)
    labelled, left_out = [], []
    for window in windows:
        try:
            _, _, present = views.around(window.outcome, window.back)
        except ValueError as error:
            left_out.append(f"{window.name}: {error}")
        else:
            y = window.labeler.predict(present)
            labelled.append((replace(window, n_customers=len(y)), y))
    if not labelled:
        raise ValueError(f"no outcome window fits these histories. {'; '.join(left_out)}")
    return _stacked(views, labelled, [window.outcome for window, _ in labelled], left_out)


def without_history(histories: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows have no transaction: a state of its own."""
    flat = flatten(histories)
    return flat.ends == flat.starts


_Labelled = tuple[OutcomeWindow, Ints]
_Make = Callable[[Outcome], Pipeline]


class _Views:
    """The histories as known at earlier times, each rewound once."""

    def __init__(self, histories: pd.DataFrame) -> None:
        self.histories = histories
        self._rewound = {0: (histories, np.arange(len(histories)))}

    def at(self, outcome: Outcome, back: int) -> tuple[pd.DataFrame, Ints]:
        """Return the histories so many windows earlier, and which rows of today's they are."""
        period = _microseconds(outcome, back)
        if period not in self._rewound:
            earlier = outcome if back == 1 else dt.timedelta(microseconds=period)
            self._rewound[period] = rewind_rows(self.histories, earlier)  # type: ignore[arg-type]
        return self._rewound[period]

    def around(
        self, outcome: Outcome, back: int
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Return the views at a window's opening and closing, and that at its closing again.

        The last is of those alone who were known when it opened.
        """
        past, rows = self.at(outcome, back)
        known, known_rows = self.at(outcome, back - 1)
        return past, known, known.iloc[np.searchsorted(known_rows, rows)]


def _name(outcome: Outcome, back: int) -> str:
    if outcome is None:
        return "the whole history"
    return f"{outcome} from {_microseconds(outcome, back) / DAY:g} days before as_of"


def _microseconds(outcome: Outcome, back: int) -> int:
    return 0 if outcome is None else back * parse_duration(outcome, "outcome")


def _checked(outcome: Any, n_cutoffs: Any) -> list[Any]:
    """Return the lengths, the shortest first; raise where one, or the number, is not allowed."""
    check_parameters("derive_target", n_cutoffs=(n_cutoffs, [at_least(1)]))
    if outcome is None or outcome == "auto":
        return [outcome]
    one = isinstance(outcome, str) or not isinstance(outcome, Sequence)
    lengths = [outcome] if one else list(outcome)
    if not lengths:
        raise ValueError("outcome must be a duration such as '30D', or several; got none")
    sizes = [parse_duration(length, "outcome") for length in lengths]
    if len(set(sizes)) < len(sizes):
        raise ValueError(f"the durations of outcome must differ; got {lengths}")
    return [lengths[place] for place in np.argsort(sizes)]


def _reached(
    histories: pd.DataFrame, lengths: list[Any], n_cutoffs: int
) -> tuple[list[tuple[Outcome, int]], list[str]]:
    """Return the windows with as much of the log before them, and the lengths that have none."""
    reached: list[tuple[Outcome, int]] = [(lengths[0], 1)]
    if lengths == [None]:
        return reached, []
    flat, left_out = flatten(histories), []
    # Days are counted whole: the log does not begin at midnight.
    span = int(flat.as_of.max() - flat.times.min() // DAY * DAY) if len(flat.times) else 0
    for length in lengths:
        size = parse_duration(length, "outcome")
        n_fit = min(span // size - 1, n_cutoffs)
        reached += [(length, back) for back in range(1, n_fit + 1) if (length, back) != reached[0]]
        if n_fit < 1 and length != lengths[0]:
            left_out.append(f"{length}: the log, of {span / DAY:.0f} days, is shorter than two")
    return reached, left_out


def _label_each(
    views: _Views, asked: list[tuple[Outcome, int]], make: _Make
) -> tuple[list[_Labelled], list[str]]:
    """Label over each window; return also those that separate customers badly, and why.

    Degenerate labels are left out unless all are.
    """
    several = len(asked) > 1
    sound: list[_Labelled] = []
    degenerate: list[_Labelled] = []
    left_out: list[str] = []
    flaws: list[str] = []
    for window in asked:
        with warnings.catch_warnings():
            # Left out, or said below.
            said = f"{_DEGENERATE}|all .* {_BOUGHT}" if several else _DEGENERATE
            warnings.filterwarnings("ignore", said, UserWarning)
            try:
                found = _label(views, *window, make)
            except ValueError as error:
                if not several:
                    raise
                left_out.append(f"{_name(*window)}: {error}")
                continue
        flaw = " and ".join(getattr(found[0].labeler[-1], "degenerate_", []))
        if flaw:
            degenerate.append(found)
            flaws.append(f"{_name(*window)}: {flaw}")
        else:
            sound.append(found)
    if sound:
        return sound, left_out + [f"{flaw} ({_DEGENERATE})" for flaw in flaws]
    if not degenerate:
        raise ValueError(f"no outcome window can be labelled. {'; '.join(left_out)}")
    outcomes = [window.outcome for window, _ in degenerate]
    warnings.warn(
        f"{_DEGENERATE}: {'; '.join(flaws)}. Use another labeler or outcome"
        f"{other_outcome(views.histories, outcomes)}",
        UserWarning,
        stacklevel=3,
    )
    return degenerate, left_out


def _label(views: _Views, outcome: Outcome, back: int, make: _Make) -> _Labelled:
    """Fit a labeler on all who were known when a window closed; label those known before it."""
    pipeline = make(outcome)
    past, known, present = views.around(outcome, back)
    absent = 0.0 if outcome is None else _share_absent(views, past, present, outcome)
    pipeline.fit(known)
    table = pipeline[:-1].transform(present) if len(pipeline) > 1 else present
    y = np.asarray(pipeline[-1].predict(table))
    if len(np.unique(y)) < 2:
        raise ValueError(
            f"all {len(y):,} customers known {outcome} earlier have the label {y[0]}: the "
            "outcome window must separate them; try another outcome"
        )
    window = OutcomeWindow(
        outcome, back, pipeline, len(y), float(np.mean(y)), absent, label_rule(table, y)
    )
    return window, y


def _stacked(
    views: _Views, labelled: list[_Labelled], outcome: Any, left_out: list[str]
) -> ProxyTarget:
    """Put the samples of all windows one after the other, over one view for each cut-off."""
    windows = [window for window, _ in labelled]
    cutoffs = [_microseconds(window.outcome, window.back) for window in windows]
    found = {
        cutoff: views.at(window.outcome, window.back)
        for cutoff, window in zip(cutoffs, windows, strict=True)
    }
    sizes = [len(rows) for _, rows in found.values()]
    begins = dict(zip(found, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    pasts = [past for past, _ in found.values()]
    return ProxyTarget(
        past=_joined(pasts),
        rows=np.concatenate([rows for _, rows in found.values()]),
        samples=np.concatenate(
            [
                begins[cutoff] + np.arange(window.n_customers)
                for cutoff, window in zip(cutoffs, windows, strict=True)
            ]
        ),
        y=np.concatenate([y for _, y in labelled]),
        windows=windows,
        outcome=outcome,
        left_out=left_out,
    )


def _joined(pasts: list[pd.DataFrame]) -> pd.DataFrame:
    """Put views one under the other, with their transactions in one piece."""
    if len(pasts) == 1:
        return pasts[0]
    joined = pd.concat(pasts)
    flat = flatten(joined)
    return joined.assign(history=nest(flat.transactions, flat.starts, flat.ends))


def _share_absent(
    views: _Views, past: pd.DataFrame, present: pd.DataFrame, outcome: Outcome
) -> float:
    """Return the share of the customers who did not buy in a window; all is an error."""
    before, after = flatten(past), flatten(present)
    bought = (after.ends - after.starts) > (before.ends - before.starts)
    if not bought.any():
        raise ValueError(
            f"none of the {len(bought):,} customers known {outcome} earlier bought in the outcome "
            "window: a label would repeat what was known before it. Take a longer outcome"
            f"{other_outcome(views.histories, [outcome])}"
        )
    if bought.all():
        warnings.warn(
            f"all {len(bought):,} customers known {outcome} earlier {_BOUGHT}: "
            "nobody stayed away, and the label says only who bought least. A shorter outcome "
            f"says more{other_outcome(views.histories, [outcome])}",
            UserWarning,
            stacklevel=5,
        )
    return float(np.mean(~bought))
