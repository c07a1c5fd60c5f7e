"""A model over time: period by period, with a traffic light whose rule stands beside it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions

from rfmrisk.histories.flat import flatten
from rfmrisk.histories.parameters import AUC, check_parameters
from rfmrisk.validation.default_rates import jeffreys_test
from rfmrisk.validation.discrimination import auc_fall_test
from rfmrisk.validation.outcomes import column_of, known_outcomes
from rfmrisk.validation.periods import PERIODS
from rfmrisk.validation.shifts import psi_critical_value, psi_of_counts
from rfmrisk.validation.validate import SHIFT_COLUMNS, shift_table
from rfmrisk.validation.watched import WatchedModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

WATCH, SHIFTED = 0.1, 0.25  # Siddiqi 2006, chapter 9
SURE, LIKELY = 0.01, 0.05  # p-values below which a finding is red, or amber

RULE = (
    f"Red: the PSI of the score is {SHIFTED} or more and beyond chance at {SURE:.0%}; or is "
    f"{WATCH} or more and beyond chance at {SURE:.0%} in two periods running; or there are more "
    f"bads than expected (Jeffreys), or the AUC has fallen, at {SURE:.0%}. Amber: the PSI of the "
    f"score is {WATCH} or more and beyond chance at {LIKELY:.0%}, that of a feature {SHIFTED} or "
    f"more and beyond chance at {SURE:.0%} over all features, or one of the tests of outcomes "
    f"fails at {LIKELY:.0%}. Green otherwise."
)


@dataclass(frozen=True, repr=False)
class MonitorReport:
    """What `monitor_model` found.

    Attributes
    ----------
    periods : DataFrame
        One row per period: ``n`` rows; ``newcomers``, the share without any history; the mean,
        the 10 %, 50 % and 90 % quantiles of the score; ``approved``, the share below the model's
        threshold; ``expected``, the mean probability; ``psi`` of the score and the
        critical values that chance exceeds in 1 of 20, and of 100; ``not_given``, the mean share of
        missing and unseen values; ``n_known``, ``n_bad``, ``observed``, ``expected_of_known``,
        ``jeffreys_p_value``, ``auc``, ``auc_error`` and ``fall_p_value`` of those whose outcome
        is known; ``light``, and the ``reason`` for it.
    characteristics : DataFrame
        ``period``, ``feature``, ``psi``, ``critical_value``, ``not_given`` and ``moved``, the
        points by which the feature's shift moved the mean score.
    shifts : DataFrame
        Shares and points moved by period, feature and bin.
    rule : str
        What makes a period red or amber.
    """

    periods: pd.DataFrame
    characteristics: pd.DataFrame
    shifts: pd.DataFrame
    rule: str = RULE

    @property
    def light(self) -> str:
        """The light of the latest period: "green", "amber" or "red"."""
        return str(self.periods["light"].iloc[-1])

    def __repr__(self) -> str:
        last = self.periods.iloc[-1]
        shown = self.periods[["n", "mean_score", "approved", "psi", "observed", "auc", "light"]]
        return (
            f"{self.light} in {self.periods.index[-1]}: {last['reason']}\n{shown.to_string()}\n"
            f"{self.rule}"
        )


def monitor_model(
    model: Any,
    histories_or_table: pd.DataFrame | Iterable[pd.DataFrame],
    by: Literal["day", "week", "month", "quarter", "year"] = "month",
    *,
    outcomes: Any = None,
    time: Any = None,
    reference: pd.DataFrame | None = None,
    initial_auc: float | None = None,
    proxy: bool = False,
) -> MonitorReport:
    """Watch a model period by period: volumes, scores, shifts, and outcomes where they are known.

    Parameters
    ----------
    model : ScoringModel or fitted classifier
        What gives a probability of being bad of the rows.
    histories_or_table : DataFrame, or iterable of DataFrame
        Histories as of each decision, or the table that a model of a table takes. An iterable,
        such as `rfmrisk.histories_in_parts` of a log larger than memory, is read once; of its
        rows only scores and counts are kept.
    by : {"day", "week", "month", "quarter", "year"}, default="month"
        Length of a period.
    outcomes : str, Series, array-like or None, default=None
        1 is bad, 0 good, missing not known yet, as in `validate_model`; of parts the name of a
        column, which is kept from the model. Bads belong to the period of their decision.
    time : str, array-like or None, default=None
        When each row was decided; None is the column ``as_of``.
    reference : DataFrame or None, default=None
        Rows to compare with; None takes the shares of the training that the model keeps.
    initial_auc : float or None, default=None
        The AUC when the model was developed, on outcomes of the same kind.
    proxy : bool, default=False
        Whether the model was trained on a proxy; its probability is then not held against the
        bad rate.

    Returns
    -------
    MonitorReport
        It prints as a table; `rfmrisk.validation.MonitorDisplay` draws it, and
        `rfmrisk.validation.write_monitor` writes it.

    Raises
    ------
    ValueError
        There are no rows, a time is missing, ``by`` is another, or outcomes are other than 0, 1
        and missing.
    TypeError
        model gives no probability.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from rfmrisk import Scorecard
    >>> from rfmrisk.validation import monitor_model
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"income": rng.normal(size=3000)})
    >>> y = rng.random(3000) < 1 / (1 + np.exp(2 + X["income"]))
    >>> card = Scorecard().fit(X, y)
    >>> when = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(3000) // 50, "D")
    >>> later = X - 1.5 * (when >= "2025-02-01")[:, None]
    >>> monitor_model(card, later, time=when).periods["light"].to_dict()
    {'2025-01': 'green', '2025-02': 'red', '2025-03': 'red'}
    """
    check_parameters(
        "monitor_model",
        by=(by, [StrOptions(set(PERIODS))]),
        initial_auc=(initial_auc, [AUC, None]),
    )
    parts: Iterable[Any] = histories_or_table
    if isinstance(histories_or_table, pd.DataFrame):
        if not len(histories_or_table):
            raise ValueError("there are no rows to watch")
        parts = [histories_or_table]
    watched = WatchedModel(model, _without(reference, outcomes))
    counts: dict[Any, list[NDArray]] = defaultdict(
        lambda: [np.zeros(len(c.labels), dtype=np.int64) for c in watched.characteristics]
    )
    kept = []
    for part in parts:
        rows = _read(watched, part, by, outcomes, time)
        codes = watched.codes(_without(part, outcomes))
        for period, number in rows.groupby("period").indices.items():
            added = watched.counts(codes[number])
            counts[period] = [a + b for a, b in zip(counts[period], added, strict=True)]
        kept.append(rows)
    if not kept:
        raise ValueError("there are no rows to watch")
    rows = pd.concat(kept, ignore_index=True).sort_values("period", kind="stable")
    characteristics, shifts = _shifts(watched, counts)
    lines = {
        period: _period(watched, group, None if proxy else LIKELY, initial_auc)
        for period, group in rows.groupby("period")
    }
    periods = pd.DataFrame.from_dict(lines, orient="index").rename_axis("period")
    given = characteristics.groupby("period")["not_given"].mean()
    periods.insert(
        list(periods.columns).index("n_known"), "not_given", given.reindex(periods.index)
    )
    return MonitorReport(_lit(periods, characteristics), characteristics, shifts)


def _read(
    watched: WatchedModel, part: pd.DataFrame, by: str, outcomes: Any, time: Any
) -> pd.DataFrame:
    """Return what is kept of each row."""
    timestamps = pd.to_datetime(column_of(part, "as_of" if time is None else time, "time"))
    if timestamps.isna().any():
        raise ValueError(f"time has {int(timestamps.isna().sum())} missing value(s)")
    newcomer = np.full(len(part), np.nan)
    if "history" in part.columns:
        flat = flatten(part)
        newcomer = np.asarray(flat.ends == flat.starts, dtype=np.float64)
    return watched.answers(_without(part, outcomes)).assign(
        period=pd.PeriodIndex(timestamps.to_numpy(), freq=PERIODS[by]).astype(str),
        y=np.nan if outcomes is None else known_outcomes(part, outcomes),
        newcomer=newcomer,
        customer=part.index,
    )


def _without(rows: pd.DataFrame | None, outcomes: Any) -> Any:
    """Return rows without their outcomes, which no model may see."""
    if rows is None or not isinstance(outcomes, str):
        return rows
    return rows.drop(columns=outcomes, errors="ignore")


def _period(
    watched: WatchedModel, rows: pd.DataFrame, tested: float | None, initial_auc: float | None
) -> dict[str, Any]:
    score = rows["score"].to_numpy(dtype=np.float64)
    expected, actual = watched.score_expected, watched.score_counts(score)
    low, median, high = np.quantile(score, [0.1, 0.5, 0.9])
    known = rows[rows["y"].notna()]
    bad, n_bad = known["y"].to_numpy(), int(known["y"].sum())
    line = {
        "n": len(rows),
        "newcomers": rows["newcomer"].mean(),
        "mean_score": score.mean(),
        "score_10": low,
        "score_50": median,
        "score_90": high,
        "approved": 1 - rows["is_high_risk"].mean(),
        "expected": rows["probability"].mean(),
        "psi": psi_of_counts(expected, actual),
        "critical_value": _critical(expected, actual, LIKELY),
        "critical_value_of_red": _critical(expected, actual, SURE),
        "n_known": len(known),
        "n_bad": n_bad,
        "observed": bad.mean() if len(known) else np.nan,
        "expected_of_known": known["probability"].mean(),
        "jeffreys_p_value": np.nan,
        "auc": np.nan,
        "auc_error": np.nan,
        "fall_p_value": np.nan,
    }
    if len(known) and tested is not None:
        rate = float(line["expected_of_known"])
        line["jeffreys_p_value"] = jeffreys_test(n_bad, len(known), rate).p_value
    if min(n_bad, len(known) - n_bad) >= 2:
        found = auc_fall_test(
            bad, known["probability"], initial_auc or 0.0, customers=known["customer"]
        )
        line["auc"], line["auc_error"] = found.auc, found.standard_error
        if initial_auc is not None:
            line["fall_p_value"] = found.p_value
    return line


def _critical(expected: NDArray, actual: NDArray, alpha: float) -> float:
    n_bins = max(int(((expected > 0) | (actual > 0)).sum()), 2)
    return psi_critical_value(max(int(expected.sum()), 1), int(actual.sum()), n_bins, alpha)


def _shifts(
    watched: WatchedModel, counts: dict[Any, list[NDArray]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    lines, tables = [], []
    alpha = SURE / max(len(watched.characteristics), 1)
    for period in sorted(counts):
        for each, actual in zip(watched.characteristics, counts[period], strict=True):
            table = shift_table(each.name, each.labels, each.expected, actual, each.points)
            table.insert(0, "period", period)
            tables.append(table)
            lines.append(
                {
                    "period": period,
                    "feature": each.name,
                    "psi": psi_of_counts(each.expected, actual),
                    "critical_value": _critical(each.expected, actual, alpha),
                    "not_given": actual[each.not_given].sum() / actual.sum(),
                    "moved": table["moved"].sum(min_count=1),
                }
            )
    columns = ["period", "feature", "psi", "critical_value", "not_given", "moved"]
    shifts = pd.concat(tables, ignore_index=True) if tables else None
    if shifts is None:
        shifts = pd.DataFrame(columns=["period", *SHIFT_COLUMNS])
    return pd.DataFrame(lines, columns=columns), shifts


def _lit(periods: pd.DataFrame, characteristics: pd.DataFrame) -> pd.DataFrame:
    """Give each period its light, by the rule, and the reason."""
    lights, reasons, watched_before = [], [], False
    for period, line in periods.iterrows():
        sure = line["psi"] > line["critical_value_of_red"]
        likely = line["psi"] > line["critical_value"]
        score = f"PSI of the score {line['psi']:.3f}"
        red, amber = [], []
        if line["psi"] >= SHIFTED and sure:
            red.append(score)
        elif line["psi"] >= WATCH and sure and watched_before:
            red.append(f"{score}, as in the period before")
        elif line["psi"] >= WATCH and likely:
            amber.append(score)
        watched_before = bool(line["psi"] >= WATCH and sure)
        for name, text in (
            ("jeffreys_p_value", "{observed:.1%} bad where {expected_of_known:.1%} was expected"),
            ("fall_p_value", "the AUC has fallen to {auc:.3f}"),
        ):
            said = f"{text.format(**line)} (p = {line[name]:.3f})"
            if line[name] < SURE:
                red.append(said)
            elif line[name] < LIKELY:
                amber.append(said)
        own = characteristics[characteristics["period"] == period]
        shifted = own[(own["psi"] >= SHIFTED) & (own["psi"] > own["critical_value"])]
        amber += [
            f"PSI of {each.feature} {each.psi:.3f}" for each in shifted.itertuples(index=False)
        ]
        lights.append("red" if red else "amber" if amber else "green")
        reasons.append("; ".join(red + amber) or "nothing beyond the rule")
    return periods.assign(light=lights, reason=reasons)
