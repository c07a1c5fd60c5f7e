"""Decisions whose outcomes are known, or are not known yet, beside the log that they are about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk.histories.columns import arrow_column, as_table, microseconds, parse_times
from rfmrisk.histories.nesting import check_within, to_histories
from rfmrisk.histories.options import OnBad, OptionNeededError
from rfmrisk.histories.roles import Roles, with_time
from rfmrisk.histories.timestamps import parse_duration, parse_timestamp

_CALLED = {"customer": "the customer", "time": "the time", "target": "the outcome"}


@dataclass(frozen=True)
class DecidedHistories:
    """Histories as of each decision, with the outcomes of the decisions.

    Attributes
    ----------
    histories : DataFrame of shape (n_decisions, n_columns)
        With the other columns of the decisions beside ``as_of``.
    outcomes : ndarray of shape (n_decisions,)
        1 is bad, 0 good, NaN not known yet.
    n_immature : int
        Decisions that were left out because their performance window is not over.
    """

    histories: pd.DataFrame
    outcomes: np.ndarray
    n_immature: int

    @property
    def n_unknown(self) -> int:
        """How many of the decisions have no outcome yet."""
        return int(np.isnan(self.outcomes).sum())


def decided_histories(
    log: pd.DataFrame,
    decisions: pd.DataFrame,
    *,
    target: str,
    roles: dict[str, Any],
    decision_customer: str | None = None,
    decision_time: str = "as_of",
    performance_window: str | None = None,
    as_of: Any = None,
    on_bad: OnBad = "raise",
    bad: str | None = None,
) -> DecidedHistories:
    """Return the histories as of each decision, with the outcomes of the decisions.

    Parameters
    ----------
    log : DataFrame
        As `read_transactions` gives it.
    decisions : DataFrame
        One row per decision: customer, time, outcome, and what was known at the decision.
    target : str
        The column of the outcome: 1 is bad, 0 good, empty not known yet.
    roles : dict
        The columns of the log, as `to_histories` takes them: ``customer``, ``time``, ``amount``
        and, where there are any, ``order`` and ``duplicates``.
    decision_customer : str or None, default=None
        The column of the customer; None is the log's own name for it.
    decision_time : str, default="as_of"
        The column of the time of the decision.
    performance_window : str or None, default=None
        How long an outcome takes, such as ``"90D"``: decisions younger than that are left out.
    as_of : datetime-like or None, default=None
        When the outcomes were looked up, for the performance window; None is the end of the
        log's last day.
    on_bad : {"raise", "drop"}, default="raise"
        Of invalid rows, as in `to_histories`.
    bad : str or None, default=None
        The value of a bad outcome, where outcomes are text.

    Returns
    -------
    DecidedHistories

    Raises
    ------
    ValueError
        A column is missing, an outcome is something else, a decision has two outcomes, or none
        is old enough or after the first transaction.

    Warns
    -----
    UserWarning
        As `to_histories`; or decisions are before the first transaction of the log, or after the
        day of its last one.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk.histories.decisions import decided_histories
    >>> roles = {"customer": "who", "time": "when", "amount": "paid"}
    >>> when = pd.to_datetime(["2020-01-01", "2020-02-01", "2020-06-01"])
    >>> log = pd.DataFrame({"who": ["a", "a", "b"], "when": when, "paid": [5.0, 7.0, 9.0]})
    >>> asked = pd.DataFrame({"who": ["a", "b"], "as_of": ["2020-03-01", "2020-05-30"]})
    >>> asked["late"] = [1, None]
    >>> decided = decided_histories(
    ...     log, asked, target="late", roles=roles, performance_window="60D"
    ... )
    >>> decided.outcomes, decided.n_immature
    (array([1.]), 1)
    """
    table = bind_decisions(
        decisions,
        roles["customer"],
        customer=decision_customer or roles["customer"],
        time=decision_time,
        target=target,
        bad=bad,
    )
    histories = to_histories(log, as_of=table, on_bad=on_bad, **roles)
    check_within(microseconds(arrow_column(histories["as_of"])), *_span(log, Roles(**roles)))
    n_immature = 0
    if performance_window is not None:
        if as_of is None:
            end = to_histories(log, on_bad=on_bad, **roles)["as_of"].max()
        else:
            end = pd.Timestamp(parse_timestamp(as_of, "as_of"), unit="us")
        length = pd.Timedelta(parse_duration(performance_window, "performance_window"), unit="us")
        mature = (histories["as_of"] <= end - length).to_numpy()
        n_immature = int((~mature).sum())
        if not mature.any():
            raise ValueError(
                f"none of the {len(mature):,} decisions is {performance_window} older than {end}; "
                "use a shorter performance window"
            )
        histories = histories[mature]
    outcomes = histories[target].to_numpy(np.float64)
    return DecidedHistories(histories.drop(columns=target), outcomes, n_immature)


def bind_decisions(
    decisions: pd.DataFrame,
    log_customer: str,
    *,
    customer: str,
    time: str,
    target: str | None = None,
    bad: str | None = None,
    called: Mapping[str, str] = _CALLED,
) -> pd.DataFrame:
    """Return decisions as `to_histories` takes them; with outcomes each once, as 0, 1 and NaN.

    Parameters
    ----------
    decisions : DataFrame
    log_customer : str
        The log's own name for the customer.
    customer, time : str
        Columns of the decisions.
    target : str or None, default=None
        The column of the outcome; None where none is known.
    bad : str or None, default=None
        The value of a bad outcome, where outcomes are text.
    called : mapping of str to str
        What an error calls the customer, the time and the target.

    Raises
    ------
    ValueError
        A column is missing, an outcome is something else, or a decision has two outcomes.
    """
    for what, name in (("customer", customer), ("time", time), ("target", target)):
        if name is not None and name not in decisions:
            raise ValueError(
                f"the decisions have no column {name!r} for {called[what]}; their columns are "
                f"{list(map(str, decisions.columns))}"
            )
    table = decisions.rename(columns={customer: log_customer, time: "as_of"})
    if not table.columns.is_unique:
        raise ValueError(
            f"the decisions have two columns for the customer or the time of the decision: "
            f"{list(map(str, decisions.columns))}, where {customer!r} and {time!r} were asked for"
        )
    if target is None:
        return table
    table[target] = parse_outcomes(table[target], target, bad)
    return _without_duplicates(table, [log_customer, "as_of"], target)


def _span(log: pd.DataFrame, roles: Roles) -> tuple[int, int]:
    """Return the first and the last time of a log."""
    parsed = parse_times(with_time(as_table(log), roles)[roles.time], roles.time)
    times = microseconds(parsed.converted.drop_null())
    return int(times.min()), int(times.max())


def decided_table(
    table: pd.DataFrame,
    target: str,
    *,
    bad: str | None = None,
    customer: str | None = None,
    time: str | None = None,
) -> DecidedHistories:
    """Return a plain table of applications without a log, and their outcomes.

    Parameters
    ----------
    table : DataFrame
        One row per application.
    target : str
        The column of the outcome: 1 is bad, 0 good, empty not known yet.
    bad : str or None, default=None
        The value of a bad outcome, where outcomes are text.
    customer, time : str or None, default=None
        The columns of the customer's id and of the time, where there are such.

    Returns
    -------
    DecidedHistories
        Its ``histories`` are the table, as `rfmrisk.training.train` takes it.

    Raises
    ------
    ValueError
        A column is missing, or an outcome is something else.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk.histories.decisions import decided_table
    >>> table = pd.DataFrame({"age": [31, 45], "paid": ["yes", "no"]})
    >>> decided_table(table, "paid", bad="no").outcomes
    array([0., 1.])
    """
    for name, what in ((target, "outcome"), (customer, "customer"), (time, "time")):
        if name is not None and name not in table:
            raise ValueError(
                f"the applications have no column {name!r} for the {what}; their columns are "
                f"{list(map(str, table.columns))}"
            )
    outcomes = parse_outcomes(table[target], target, bad).to_numpy(np.float64)
    table = table.drop(columns=target)
    if time is not None:
        table = table.rename(columns={time: "as_of"})
    if customer is not None:
        table = table.set_index(customer)
    return DecidedHistories(table, outcomes, 0)


def parse_outcomes(values: pd.Series, name: str, bad: str | None = None) -> pd.Series:
    """Return outcomes as 0, 1 and NaN.

    Parameters
    ----------
    values : Series
        Numbers, booleans or text; empty and missing are not known yet.
    name : str
        Of the column, for the error.
    bad : str or None, default=None
        The word for a bad outcome; the other word is good.

    Raises
    ------
    ValueError
        There are other values, or not two texts of which one is ``bad``.
    """
    found = values.astype(object).where(values.notna(), np.nan)
    found = found.map(lambda value: value.strip() if isinstance(value, str) else value)
    found = found.where(found != "", np.nan)
    if bad is not None:
        return _parse_words(found, name, bad)
    numbers = pd.to_numeric(found.astype(object), errors="coerce").astype(np.float64)
    other = found[found.notna() & ~numbers.isin((0.0, 1.0))]
    if len(other):
        texts = [str(word) for word in other.unique()[:5]]
        problem = (
            f"the outcomes in {name!r} must be 0 (good), 1 (bad) or empty (not known yet); got "
            f"also {texts} in {len(other):,} rows"
        )
        if found.nunique() != 2:
            raise ValueError(problem)
        raise OptionNeededError(problem, "If one of two is bad, say which by", bad=tuple(texts))
    return numbers


def _parse_words(found: pd.Series, name: str, bad: str) -> pd.Series:
    texts = found.map(str, na_action="ignore")
    known = texts.dropna().unique().tolist()
    if bad not in known or len(known) != 2:
        raise ValueError(
            f"the outcomes in {name!r} must be two texts, of which {bad!r} is bad, or empty (not "
            f"known yet); got {known[:5]}"
        )
    return (texts == bad).astype(np.float64).where(texts.notna())


def _without_duplicates(table: pd.DataFrame, key: list[str], target: str) -> pd.DataFrame:
    """Leave out decisions that are there twice; raise where their outcomes differ."""
    differ = table.groupby(key, sort=False)[target].transform("nunique") > 1
    if differ.any():
        first = table.loc[differ, key].iloc[0].tolist()
        raise ValueError(
            f"{int(table.loc[differ, key].drop_duplicates().shape[0]):,} decisions have two "
            f"different outcomes in {target!r}, such as that of customer {first[0]!r} at {first[1]}"
        )
    # Of two rows of one decision, the one with a known outcome is kept.
    ranked = table.sort_values(target, kind="stable", na_position="last")
    return table.loc[~ranked.duplicated(key).reindex(table.index)]
