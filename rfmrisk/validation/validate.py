"""A model against outcomes: ranking, calibration, stability, fairness and the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rfmrisk.histories.flat import flatten
from rfmrisk.histories.parameters import AUC, check_parameters
from rfmrisk.metrics import psi_reading
from rfmrisk.proxy import ProxyValidation, validate_proxy
from rfmrisk.validation.calibration_tables import (
    calibration_line,
    calibration_tests,
    rates_by,
    recalibrated,
)
from rfmrisk.validation.default_rates import (
    BrierDecomposition,
    brier_decomposition,
    probability_groups,
)
from rfmrisk.validation.discrimination import (
    AucFall,
    DeLong,
    auc_fall_test,
    delong_test,
    ranking_intervals,
)
from rfmrisk.validation.fairness import fairness_table, fairness_verdict
from rfmrisk.validation.outcomes import column_of, known_outcomes
from rfmrisk.validation.power import ALPHA, fall_power, power_note, shift_power
from rfmrisk.validation.shifts import (
    herfindahl_index,
    migration_matrix,
    psi_critical_value,
    psi_of_counts,
)
from rfmrisk.validation.watched import WatchedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rfmrisk.validation.targets import Floats

_THIN = 5  # transactions up to which a history is thin
_FEWEST = 2  # goods and bads that a segment needs for an AUC


@dataclass(frozen=True, repr=False)
class ValidationReport:
    """What `validate_model` found.

    Attributes
    ----------
    verdicts : dict of str to str
        As text: ranking, calibration, stability, and fairness and label where they were asked.
    n_rows, n_customers, n_bad, n_unknown : int
        Rows with a known outcome, their customers, the bads among them; rows without an outcome.
    ranking : DataFrame
        AUC, Gini and KS with 95 % intervals clustered by customer.
    fall : AucFall or None
        Against the AUC at training.
    against : DeLong or None
        Against the other model.
    segments : DataFrame
        AUC and bad rate of newcomers, of thin and of other histories, and of each value of the
        segments asked for.
    by_grade : DataFrame
        Expected and observed bad rates with Jeffreys' and the binomial test, and the power of the
        latter against a rate half as high again. None of it where no grades were given.
    by_tenth : DataFrame
        The same by tenths of the probability.
    tests : DataFrame
        Every test of the whole sample: statistic, p_value, power, and what the power means.
    brier : BrierDecomposition
    line : DataFrame
        Intercept and slope of the outcomes on the model's log-odds, with 95 % intervals.
    recalibration : DataFrame
        Mean probability, Brier score and log loss before and after a recalibration by that line.
    stability : DataFrame
        Population stability of score and features beside the critical value of chance.
    shifts : DataFrame
        Shares by bin of each feature, and the points that each moved the mean score.
    migration : DataFrame or None
        Of customers who are in the reference as well, between grades or bins of the score.
    concentration : float
        Herfindahl index of the grades, or of the bins of the score.
    fairness : DataFrame or None
        By group.
    label : ProxyValidation or None
        Of a model of a proxy.
    """

    verdicts: dict[str, str]
    n_rows: int
    n_customers: int
    n_bad: int
    n_unknown: int
    ranking: pd.DataFrame
    fall: AucFall | None
    against: DeLong | None
    segments: pd.DataFrame
    by_grade: pd.DataFrame
    by_tenth: pd.DataFrame
    tests: pd.DataFrame
    brier: BrierDecomposition
    line: pd.DataFrame
    recalibration: pd.DataFrame
    stability: pd.DataFrame
    shifts: pd.DataFrame
    migration: pd.DataFrame | None
    concentration: float
    fairness: pd.DataFrame | None
    label: ProxyValidation | None

    def __repr__(self) -> str:
        counted = (
            f"{self.n_rows:,} rows of {self.n_customers:,} customers, {self.n_bad:,} bad; "
            f"{self.n_unknown:,} without an outcome are left out"
        )
        said = [f"{question:<12}{text}" for question, text in self.verdicts.items()]
        return "\n".join([counted, *said])


def validate_model(
    model: Any,
    histories: pd.DataFrame,
    outcomes: Any,
    *,
    grades: Any = None,
    groups: Any = None,
    reference: pd.DataFrame | None = None,
    other: Any = None,
    initial_auc: float | None = None,
    segments: Sequence[str] = (),
    proxy: bool = False,
    fitted: bool = False,
    random_state: Any = 0,
) -> ValidationReport:
    """Hold a model against outcomes: every question of a validator, with the power of each test.

    Parameters
    ----------
    model : ScoringModel or fitted classifier
        What gives a probability of being bad of the rows.
    histories : DataFrame of shape (n, f)
        Histories as of each decision, or the table that a model of a table takes.
    outcomes : str, Series or array-like of shape (n,)
        1 is bad, 0 good, missing not known yet. A name is a column of the rows; a Series of
        another index is matched by customer.
    grades : str, Series, array-like of shape (n,) or None, default=None
        The grade of each row; None takes that of the model, where it has grades.
    groups : str, Series, array-like of shape (n,) or None, default=None
        The group of each row, to be treated alike. It need be no feature of the model.
    reference : DataFrame or None, default=None
        Rows like those of the training; None takes the shares that the model itself keeps.
    other : ScoringModel, fitted classifier, array-like of shape (n,) or None, default=None
        Another model, or its probabilities, to compare the ranking with.
    initial_auc : float or None, default=None
        The AUC when the model was developed, on outcomes of the same kind.
    segments : sequence of str, default=()
        Columns of the rows by whose values the ranking is looked at.
    proxy : bool, default=False
        Whether the model was trained on a proxy; its probability is then not held against the
        bad rate, and the label is validated by `rfmrisk.validate_proxy`.
    fitted : bool, default=False
        Whether these rows are those that the model was fitted on.
    random_state : int, RandomState instance or None, default=0
        Seed of the bootstraps.

    Returns
    -------
    ValidationReport
        It prints as its verdicts; `rfmrisk.validation.ValidationDisplay` draws it, and
        `rfmrisk.validation.write_validation` writes it.

    Raises
    ------
    ValueError
        Outcomes are other than 0, 1 and missing, or all of one class, or there are fewer than
        two of a class; or a column is not there, or of another length.
    TypeError
        model gives no probability.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from rfmrisk import Scorecard
    >>> from rfmrisk.validation import validate_model
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"income": rng.normal(size=2000), "age": rng.normal(size=2000)})
    >>> y = (rng.random(2000) < 1 / (1 + np.exp(2 + X["income"]))).astype(int)
    >>> card = Scorecard().fit(X[:1000], y[:1000])
    >>> report = validate_model(card, X[1000:], y[1000:])
    >>> report.verdicts["ranking"].split(":")[0]
    'ranks bads above goods'
    """
    check_parameters(
        "validate_model",
        initial_auc=(initial_auc, [AUC, None]),
        random_state=(random_state, ["random_state"]),
    )
    watched = WatchedModel(model, reference)
    y = known_outcomes(histories, outcomes)
    known = ~np.isnan(y)
    if not known.any():
        raise ValueError("no outcome is known: there is nothing to hold the model against")
    rows, bad = histories[known], y[known].astype(np.int64)
    answers = watched.answers(rows)
    probability = answers["probability"].to_numpy(dtype=np.float64)
    customers = rows.index if rows.index.has_duplicates else None

    ranking = ranking_intervals(bad, probability, customers=customers, random_state=random_state)
    auc_error = float(ranking["standard_error"]["auc"])
    fall = None
    if initial_auc is not None:
        fall = auc_fall_test(bad, probability, initial_auc, customers=customers)
    against = None
    if other is not None:
        rival = _probability_of(other, histories, known)
        against = delong_test(bad, probability, rival, customers=customers)

    tenth = probability_groups(probability, 10)
    grade = answers.get("grade")
    if grades is not None:
        grade = column_of(histories, grades, "grades")[known]
    label = validate_proxy(probability, bad, random_state=random_state) if proxy else None
    tests = calibration_tests(bad, probability, fitted=fitted)
    if fall is not None:
        power = fall_power(auc_error)
        line_of_fall: Any = [fall.statistic, fall.p_value, power, power_note(power)]
        tests.loc["fall of the AUC"] = line_of_fall
    by_tenth = rates_by(bad, probability, pd.Series(tenth + 1, name="tenth"))
    by_grade = rates_by(bad, probability, None if grade is None else grade.rename("grade"))
    line = calibration_line(bad, probability)

    stability, shifts = stability_tables(watched, rows, answers["score"].to_numpy())
    bins = _score_bin(watched, answers["score"])
    counted = pd.Series(bins) if grade is None else grade
    group = None if groups is None else column_of(histories, groups, "groups")[known]
    fairness = None if group is None else fairness_table(bad, answers, group)
    verdicts = {
        "ranking": _ranking_verdict(ranking, fall, against),
        "calibration": _calibration_verdict(
            tests, by_grade if len(by_grade) else by_tenth, line, proxy
        ),
        "stability": _stability_verdict(stability),
    }
    if fairness is not None:
        verdicts["fairness"] = fairness_verdict(fairness)
    if label is not None:
        verdicts["label"] = label.verdict
    return ValidationReport(
        verdicts=verdicts,
        n_rows=len(bad),
        n_customers=int(rows.index.nunique()),
        n_bad=int(bad.sum()),
        n_unknown=int((~known).sum()),
        ranking=ranking,
        fall=fall,
        against=against,
        segments=_segments(rows, bad, probability, segments),
        by_grade=by_grade,
        by_tenth=by_tenth,
        tests=tests,
        brier=brier_decomposition(bad, probability),
        line=line,
        recalibration=recalibrated(bad, probability, line),
        stability=stability,
        shifts=shifts,
        migration=None if reference is None else _migration(watched, reference, rows, bins, grades),
        concentration=herfindahl_index(counted.value_counts().to_numpy()),
        fairness=fairness,
        label=label,
    )


def stability_tables(
    watched: WatchedModel, rows: pd.DataFrame, score: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the stability of score and features, and the shares of each bin."""
    counts = watched.counts(watched.codes(rows))
    pairs = [("score", watched.score_expected, watched.score_counts(score))]
    pairs += [
        (each.name, each.expected, now)
        for each, now in zip(watched.characteristics, counts, strict=True)
    ]
    lines, moved = {}, []
    for name, expected, actual in pairs:
        n_bins = max(int(((expected > 0) | (actual > 0)).sum()), 2)
        n_expected, n_actual = max(int(expected.sum()), 1), int(actual.sum())
        psi = psi_of_counts(expected, actual)
        critical = psi_critical_value(n_expected, n_actual, n_bins)
        power = shift_power(n_expected, n_actual, n_bins)
        lines[name] = (psi, critical, psi > critical, psi_reading(psi), power)
    for each, now in zip(watched.characteristics, counts, strict=True):
        moved.append(shift_table(each.name, each.labels, each.expected, now, each.points))
    columns = ["psi", "critical_value", "beyond_chance", "reading", "power"]
    stability = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
    shifts = pd.concat(moved, ignore_index=True) if moved else pd.DataFrame(columns=SHIFT_COLUMNS)
    return stability.rename_axis("characteristic"), shifts


SHIFT_COLUMNS = ["feature", "bin", "expected", "actual", "points", "moved"]


def shift_table(
    name: str, labels: list[str], expected: Floats, actual: Any, points: Floats | None
) -> pd.DataFrame:
    """Return the shares of each bin, and the points by which its shift moved the mean score."""
    before, after = expected / expected.sum(), actual / actual.sum()
    value = np.full(len(labels), np.nan) if points is None else points
    # Against the mean of the reference, so that a bin that grew with its usual points moves none.
    mean = float(before @ np.nan_to_num(value))
    return pd.DataFrame(
        {
            "feature": name,
            "bin": labels,
            "expected": before,
            "actual": after,
            "points": value,
            "moved": (after - before) * (value - mean),
        }
    )


def _probability_of(other: Any, histories: pd.DataFrame, known: Any) -> Floats:
    if hasattr(other, "predict_proba"):
        return np.asarray(other.predict_proba(histories[known]))[:, 1]
    if hasattr(other, "score"):
        return other.score(histories[known], n_reasons=0)["probability"].to_numpy()
    return column_of(histories, other, "other")[known].to_numpy(dtype=np.float64)


def _segments(
    rows: pd.DataFrame, bad: Any, probability: Floats, names: Sequence[str]
) -> pd.DataFrame:
    chosen: list[tuple[str, Any]] = []
    if "history" in rows.columns:
        flat = flatten(rows)
        n = np.asarray(flat.ends - flat.starts)
        chosen += [
            ("no history", n == 0),
            (f"1 to {_THIN} transactions", (n > 0) & (n <= _THIN)),
            (f"over {_THIN} transactions", n > _THIN),
        ]
    for name in names:
        column = column_of(rows, name, "segments")
        chosen += [
            (f"{name} = {value}", (column == value).to_numpy())
            for value in column.dropna().unique()
        ]
    lines = {}
    for segment, inside in chosen:
        y, n_bad = bad[inside], int(bad[inside].sum())
        if not len(y):
            continue
        auc, low, high = np.nan, np.nan, np.nan
        if min(n_bad, len(y) - n_bad) >= _FEWEST:
            ids = rows.index[inside]
            found: Any = ranking_intervals(y, probability[inside], customers=ids, n_resamples=2)
            auc, low, high = found.loc["auc", ["value", "low", "high"]]
        expected = float(probability[inside].mean())
        lines[segment] = (len(y), n_bad, n_bad / len(y), expected, auc, low, high)
    columns = ["n", "n_bad", "observed", "expected", "auc", "auc_low", "auc_high"]
    table = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
    return table.rename_axis("segment")


def _score_bin(watched: WatchedModel, score: pd.Series) -> Any:
    return np.searchsorted(watched.score_cuts, score.to_numpy(), side="right") + 1


def _migration(
    watched: WatchedModel, reference: pd.DataFrame, rows: pd.DataFrame, bins: Any, grades: Any
) -> pd.DataFrame | None:
    """Follow the customers who are in the reference as well, each once on either side."""
    if isinstance(grades, str) and grades in reference.columns:
        before = pd.Series(reference[grades].to_numpy(), index=reference.index)
        after = pd.Series(rows[grades].to_numpy(), index=rows.index)
    else:
        earlier = _score_bin(watched, watched.answers(reference)["score"])
        before = pd.Series(earlier, index=reference.index)
        after = pd.Series(bins, index=rows.index)
    before = before[~before.index.duplicated(keep="last")]
    after = after[~after.index.duplicated(keep="last")]
    both = before.index.intersection(after.index)
    if not len(both) or reference.index.name != rows.index.name or reference.index.name is None:
        return None
    return migration_matrix(before[both].to_numpy(), after[both].to_numpy())


def _ranking_verdict(ranking: pd.DataFrame, fall: AucFall | None, against: DeLong | None) -> str:
    found: Any = ranking.loc["auc"]
    auc, low, high = found["value"], found["low"], found["high"]
    measured = f"AUC {auc:.3f} [{low:.3f}, {high:.3f}]"
    if high < 0.5:
        said = f"ranks the wrong way round: {measured}"
    elif low <= 0.5:
        said = f"not proven better than chance: {measured}"
    else:
        said = f"ranks bads above goods: {measured}"
    if fall is not None:
        has = "has fallen" if fall.p_value < ALPHA else "is not proven to have fallen"
        said += f"; it {has} from {fall.initial_auc:.3f} (p = {fall.p_value:.3f})"
    if against is not None:
        if against.p_value >= ALPHA:
            than = "not proven different from"
        else:
            than = "better than" if against.difference > 0 else "worse than"
        said += (
            f"; {than} the other model (by {against.difference:+.3f}, p = {against.p_value:.3f})"
        )
    return said


def _calibration_verdict(tests: Any, rates: pd.DataFrame, line: Any, proxy: bool) -> str:
    if proxy:
        return (
            "not judged: the probability is that of a proxy label, not of default; recalibrate it "
            "before it is used as one"
        )
    # Of many grades some fail by chance: Bonferroni's bound.
    under = int((rates["jeffreys_p_value"] < ALPHA / len(rates)).sum())
    lemeshow: Any = tests.loc["Hosmer-Lemeshow"]
    p_value, power = lemeshow["p_value"], lemeshow["power"]
    whole: Any = tests.loc["whole sample", "p_value"]
    slope, low, high = line.loc["slope", ["value", "low", "high"]]
    measured = f"Hosmer-Lemeshow p = {p_value:.3f}, slope {slope:.2f} [{low:.2f}, {high:.2f}]"
    if under or whole < ALPHA:
        return (
            f"understates the risk: {under} of {len(rates)} {rates.index.name}s have more bads "
            f"than expected (Jeffreys, Bonferroni), the whole sample p = {whole:.3f}; {measured}"
        )
    if high < 1:
        return f"too extreme, though not too low on the whole: {measured}"
    if p_value < ALPHA:
        return f"does not hold, without more bads than expected: {measured}"
    return f"not refuted: {measured}; at this size the test {power_note(power)}"


def _stability_verdict(stability: Any) -> str:
    beyond = stability[stability["beyond_chance"]]
    shifted = beyond.index[beyond["reading"] == "shifted"].tolist()
    watch = beyond.index[beyond["reading"] == "watch"].tolist()
    psi = f"PSI of the score {stability.loc['score', 'psi']:.3f}"
    if shifted:
        return f"shifted: {', '.join(map(str, shifted))}; {psi}"
    if watch:
        return f"to watch: {', '.join(map(str, watch))}; {psi}"
    return f"stable: {psi}, chance alone {stability.loc['score', 'critical_value']:.3f}"
