"""What a log is like before a model is made of it: one page of figures, and what to mind."""

import re
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk.aggregation.category import CategoryAggregator
from rfmrisk.histories.flat import FlatHistories, flatten
from rfmrisk.histories.nesting import to_histories
from rfmrisk.histories.options import OptionNeededError, ReadingOptions
from rfmrisk.histories.reading import read_columns, read_transactions
from rfmrisk.histories.roles import Roles
from rfmrisk.histories.timestamps import DAY
from rfmrisk.proxy.outcome import absence_curve, suggest_outcome

_GUESSES = {
    "customer": r"cust|client|household|member|user|borrower|account|card",
    "time": r"time|date|when|day|moment",
    "amount": r"amount|amt|value|revenue|sales|paid|total|sum|price|spend",
}
_LINE_ITEMS = 0.5  # share of rows at a time that the customer has another row at


@dataclass(frozen=True)
class LogCheck:
    """What was found in a log.

    Attributes
    ----------
    understood : str
        How the file was read.
    roles : Roles
    command : str
        The options that read it, as a command.
    n_rows, n_customers : int
        That can be used.
    first, last, as_of : str
        The first and the last time, and the moment of decision that follows.
    columns : DataFrame
        Index ``column``; ``dtype``, ``missing`` (a share), ``distinct`` and ``role``.
    amounts : Series
        Quantiles of the amounts.
    n_duplicates : int
        Rows that repeat another one in all columns.
    share_same_time : float
        Share of the rows at a time at which their customer has another row.
    share_refunds : float
        Share of the rows with a negative amount.
    median_gap : float
        Median of the days between two days of a customer with transactions.
    returning : DataFrame
        As `absence_curve` returns it.
    outcome : str or None
        The outcome window that the rhythm suggests.
    newcomers : Series
        Customers by the month of their first transaction.
    remarks : list of str
        What to mind.

    Examples
    --------
    >>> import tempfile
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import check_log
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_transactions(n_customers=50, random_state=0).to_csv(f"{folder}/log.csv")
    ...     check = check_log(f"{folder}/log.csv")
    >>> check.columns.loc["ProductCategory", "role"]
    'category'
    """

    understood: str
    roles: Roles
    command: str
    n_rows: int
    n_customers: int
    first: str
    last: str
    as_of: str
    columns: pd.DataFrame
    amounts: pd.Series
    n_duplicates: int
    share_same_time: float
    share_refunds: float
    median_gap: float
    returning: pd.DataFrame
    outcome: str | None
    newcomers: pd.Series
    remarks: list[str]

    def __str__(self) -> str:
        """Show all on one page."""
        roles = ", ".join(f"{role} {name!r}" for role, name in self.roles.plain.items() if name)
        lines = [
            f"read         {self.understood}",
            f"roles        {roles}",
            f"rows         {self.n_rows:,} of {self.n_customers:,} customers, "
            f"{self.first} to {self.last}",
            f"as of        {self.as_of}",
            f"duplicates   {self.n_duplicates:,} rows repeat another one",
            f"same time    {self.share_same_time:.1%} of rows, with another of their customer",
            f"refunds      {self.share_refunds:.1%} of rows are negative",
            f"gaps         median {self.median_gap:.1f} days",
            f"outcome      {self.outcome or 'none can be suggested'}",
            *_titled("columns", self.columns.to_string(formatters={"missing": "{:.1%}".format})),
            *_titled("amounts", self.amounts.to_frame().T.to_string(index=False)),
            *_titled("away, of the active, in a window before the end", self.returning.to_string()),
            *_titled("newcomers by month", self.newcomers.to_string(header=False)),
        ]
        lines += ["", "to mind", *(f"  - {remark}" for remark in self.remarks)] * bool(self.remarks)
        return "\n".join([*lines, "", f"next         {self.command}"])


def check_log(
    path: str | Path,
    *,
    customer: str | None = None,
    time: str | None = None,
    amount: str | None = None,
    order: str | None = None,
    as_of: Any = None,
    **options: str,
) -> LogCheck:
    """Read a log and say what is there.

    Parameters
    ----------
    path : str or Path
        As in `read_transactions`.
    customer, time, amount : str or None, default=None
        The columns; None is guessed by their names.
    order : str or None, default=None
        As in `to_histories`.
    as_of : datetime-like or None, default=None
        As in `to_histories`.
    **options : str
        How the log is written, as in `read_transactions`.

    Returns
    -------
    LogCheck

    Raises
    ------
    FileNotFoundError, ValueError
        The log cannot be read, or a column cannot be guessed.

    Examples
    --------
    >>> import tempfile
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import check_log
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_transactions(n_customers=50, random_state=0).to_csv(f"{folder}/log.csv")
    ...     check = check_log(f"{folder}/log.csv")
    >>> check.n_customers
    50
    """
    reading = ReadingOptions(**options)
    names = read_columns(Path(path), reading)
    roles = Roles(
        customer or _guess("customer", names),
        time or _guess("time", names),
        amount or _guess("amount", names),
        order,
    )
    remarks: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log = read_transactions(
            path,
            customer=roles.customer,
            time=roles.time,
            amount=roles.amount,
            on_bad="drop",
            **reading.given,
        )
        try:
            histories = _nested(log, roles, as_of)
        except OptionNeededError as error:
            if "as_of" not in error.options:
                raise
            remarks.append(error.for_command_line)
            as_of = error.options["as_of"][0]
            histories = _nested(log, roles, as_of)
        outcome = _suggested(histories, remarks)
    remarks += [str(warning.message) for warning in caught]
    dropped = any("left out" in remark for remark in remarks)
    flat = flatten(histories)
    same_time = _share_same_time(flat)
    n_duplicates = _count_duplicates(log, roles)
    remarks += _remarks(n_duplicates, same_time, order)
    return LogCheck(
        understood=log.attrs["understood"],
        roles=roles,
        command=_command(path, roles, reading, as_of, dropped),
        n_rows=len(log),
        n_customers=log[roles.customer].nunique(),
        first=str(log[roles.time].min()),
        last=str(log[roles.time].max()),
        as_of=str(histories["as_of"].iloc[0]),
        columns=_columns(log, roles, histories),
        amounts=log[roles.amount].quantile([0, 0.01, 0.25, 0.5, 0.75, 0.99, 1]),
        n_duplicates=n_duplicates,
        share_same_time=same_time,
        share_refunds=float((log[roles.amount] < 0).mean()),
        median_gap=_median_gap(flat),
        returning=absence_curve(histories) if outcome else pd.DataFrame(),
        outcome=outcome,
        newcomers=_newcomers(flat),
        remarks=remarks,
    )


def remarks_of(log: pd.DataFrame, histories: pd.DataFrame, roles: Roles) -> list[str]:
    """Return what is to be minded of a log that is trained on.

    Parameters
    ----------
    log : DataFrame
        As `read_transactions` returns it.
    histories : DataFrame
        Made of it.
    roles : Roles
        The columns of the log.
    """
    same_time = _share_same_time(flatten(histories))
    n_duplicates = _count_duplicates(log, roles) if roles.duplicates == "keep" else 0
    return _remarks(n_duplicates, same_time, roles.order)


def _remarks(n_duplicates: int, same_time: float, order: str | None) -> list[str]:
    """Say that rows repeat others, and that they look like lines of orders."""
    remarks = []
    if n_duplicates:
        remarks.append(
            f"{n_duplicates:,} rows repeat another one in all columns: if they were delivered "
            "twice, leave them out by --duplicates drop"
        )
    if same_time >= _LINE_ITEMS and order is None:
        remarks.append(
            f"{same_time:.0%} of the rows are at a time at which their customer has another one: "
            "if they are lines of orders, name the column of the order by --order"
        )
    return remarks


def _count_duplicates(log: pd.DataFrame, roles: Roles) -> int:
    """Return how many rows repeat another one; those of one customer and time are compared."""
    near = log[log.duplicated([roles.customer, roles.time, roles.amount], keep=False)]
    return int(near.duplicated().sum()) if _is_plain(near) else 0


def _nested(log: pd.DataFrame, roles: Roles, as_of: Any) -> pd.DataFrame:
    return to_histories(
        log,
        customer=roles.customer,
        time=roles.time,
        amount=roles.amount,
        order=roles.order,
        as_of=as_of,
    )


def _guess(role: str, names: list[str]) -> str:
    """Return the column of a role, by the names of all: those of the Xente log, then others."""
    usual = getattr(Roles("CustomerId", "TransactionStartTime", "Amount"), role)
    if usual in names:
        return usual
    found = [name for name in names if re.search(_GUESSES[role], name, re.IGNORECASE)]
    if role == "customer":
        found += [name for name in names if name.lower() == "id"]
    if not found:
        raise ValueError(
            f"the {role} cannot be guessed from the columns {names}: name it by --{role}"
        )
    return found[0]


def _command(
    path: str | Path, roles: Roles, reading: ReadingOptions, as_of: Any, dropped: bool
) -> str:
    flags = [f for role, name in roles.given.items() for f in (f"--{role}", name)]
    flags += reading.flags
    if as_of is not None:
        flags += ["--as-of", str(as_of)]
    if dropped:
        flags += ["--on-bad", "drop"]
    return shlex.join(["rfmrisk", "train", str(path), *flags])


def _suggested(histories: pd.DataFrame, remarks: list[str]) -> str | None:
    try:
        return suggest_outcome(histories)
    except ValueError as error:
        remarks.append(str(error))
        return None


def _columns(log: pd.DataFrame, roles: Roles, histories: pd.DataFrame) -> pd.DataFrame:
    """Say of each column what a model makes of it."""
    categories = CategoryAggregator().fit(histories).columns_
    bound = {name: role for role, name in roles.columns.items()}
    found = {}
    for name, column in log.items():
        values = column.dropna()
        distinct = values.nunique() if _is_plain(column.to_frame()) else np.nan
        if name in bound:
            role = bound[name]
        elif name in categories:
            role = "category"
        elif pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
            dated = pd.api.types.is_datetime64_any_dtype(column)
            role = "ignored: a date" if dated else f"ignored: {distinct:,.0f} distinct values"
        else:
            role = "number, where it is named"
        found[name] = (str(column.dtype), column.isna().mean(), distinct, role)
    table = pd.DataFrame.from_dict(
        found, orient="index", columns=["dtype", "missing", "distinct", "role"]
    )
    return table.rename_axis("column")


def _is_plain(log: pd.DataFrame) -> bool:
    """Whether no value is a list or a dictionary, which cannot be compared."""
    return not any(
        isinstance(column.dropna().iloc[0], list | dict | np.ndarray)
        for _, column in log.items()
        if column.dtype == object and column.notna().any()
    )


def _share_same_time(flat: FlatHistories) -> float:
    same = (flat.times[1:] == flat.times[:-1]) & (flat.customers[1:] == flat.customers[:-1])
    shared = np.zeros(len(flat.times), dtype=bool)
    shared[1:] |= same
    shared[:-1] |= same
    return float(shared.mean())


def _median_gap(flat: FlatHistories) -> float:
    days = flat.times // DAY
    gaps = np.diff(days)[flat.customers[1:] == flat.customers[:-1]]
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else np.nan


def _newcomers(flat: FlatHistories) -> pd.Series:
    first = flat.times[flat.starts[flat.ends > flat.starts]].astype("datetime64[us]")
    months = pd.Series(first.astype("datetime64[M]").astype(str), dtype="str")
    return months.value_counts().sort_index().rename_axis("month").rename("customers")


def _titled(title: str, table: str) -> list[str]:
    return ["", title, *(f"  {line}" for line in table.splitlines())]
