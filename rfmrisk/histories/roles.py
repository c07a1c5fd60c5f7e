"""The roles of a log's columns: bound, checked, and what is wrong with its rows counted.

A log may come in parts, and each part be looked at on its own: findings of parts add up to those
of the whole, so that the verdict, and the words of it, are the same.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa

from rfmrisk.histories.columns import (
    Zones,
    as_table,
    check_columns,
    microseconds,
    parse_amounts,
    parse_ids,
    read_times,
)

OnBad = Literal["raise", "drop"]

_SHOWN = 3
_NEVER = np.iinfo(np.int64)


@dataclass(frozen=True)
class BadRows:
    """How many rows of a column cannot be used, and the first few of them."""

    count: int
    first: list[tuple[int, str]]

    def after(self, n_rows: int) -> list[tuple[int, str]]:
        """Return the first few, where that many rows come before."""
        return [(row + n_rows, value) for row, value in self.first]


@dataclass(frozen=True)
class Findings:
    """What is to be said of the rows of a log, or of a part of it.

    Attributes
    ----------
    customer, time, amount : str
        The columns of the roles.
    n_rows, n_unusable : int
        How many rows there are, and how many of them lack something.
    bad : dict of BadRows
        By the column that something is wrong with.
    zones : Zones
        Of times that are text.
    first, last : int
        The first and the last time of a usable row, in microseconds; the ends of the integers
        the other way round where there is none.
    """

    customer: str
    time: str
    amount: str
    n_rows: int
    n_unusable: int
    bad: dict[str, BadRows]
    zones: Zones
    first: int
    last: int

    def __add__(self, later: "Findings") -> "Findings":
        """Return the findings of this part followed by a later one."""
        bad = {
            name: BadRows(
                rows.count + later.bad[name].count,
                (rows.first + later.bad[name].after(self.n_rows))[:_SHOWN],
            )
            for name, rows in self.bad.items()
        }
        return Findings(
            self.customer,
            self.time,
            self.amount,
            self.n_rows + later.n_rows,
            self.n_unusable + later.n_unusable,
            bad,
            Zones(self.zones.with_ + later.zones.with_, self.zones.without + later.zones.without),
            min(self.first, later.first),
            max(self.last, later.last),
        )

    def check(self, on_bad: OnBad, stacklevel: int = 2) -> None:
        """Raise where the log cannot be used, and warn of rows that are left out."""
        _check_filled(self.n_rows)
        self.zones.check(self.time)
        if not self.n_unusable:
            return
        needs = {
            self.customer: "an id",
            self.time: "a readable time (ISO-8601, such as 2018-11-15T02:18:49Z)",
            self.amount: "a finite number",
        }
        message = f"{self.n_unusable:,} of {self.n_rows:,} rows cannot be used: " + "; ".join(
            f"{rows.count:,} without {needs[name]} in {name!r} ({_shown(rows)})"
            for name, rows in self.bad.items()
            if rows.count
        )
        if on_bad == "raise":
            raise ValueError(f"{message}. Mend them, or leave them out with on_bad='drop'")
        if self.n_unusable == self.n_rows:
            raise ValueError(f"{message}. No row is left")
        warnings.warn(f"{message}. They are left out", UserWarning, stacklevel=stacklevel + 1)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Make findings of what `dataclasses.asdict` and JSON made of them."""
        bad = {
            name: BadRows(rows["count"], [(row, value) for row, value in rows["first"]])
            for name, rows in plain["bad"].items()
        }
        return cls(**(plain | {"bad": bad, "zones": Zones(*plain["zones"])}))


def bind_roles(table: pa.Table, customer: str, time: str, amount: str, on_bad: OnBad) -> pa.Table:
    """Check the roles' columns, convert them, and deal with bad rows."""
    check_on_bad(on_bad)
    check_columns(table.column_names, [customer, time, amount])
    _check_filled(table.num_rows)
    usable, findings = inspect(table, customer, time, amount)
    findings.check(on_bad, stacklevel=3)
    return usable


def check_schema(schema: pa.Schema, customer: str, time: str, amount: str) -> pa.Schema:
    """Raise what can be told before a row is read; return the schema with the roles converted."""
    table = as_table(schema.empty_table())
    check_columns(table.column_names, [customer, time, amount])
    further_columns(table.column_names, customer, time, amount)
    usable, _ = inspect(table, customer, time, amount)
    return usable.schema


def check_on_bad(on_bad: str) -> None:
    """Raise where ``on_bad`` is neither of the two."""
    if on_bad not in ("raise", "drop"):
        raise ValueError(f"on_bad must be 'raise' or 'drop'; got {on_bad!r}")


def further_columns(names: list[str], customer: str, time: str, amount: str) -> list[str]:
    """Return the columns without a role, which may not have the name of one."""
    extras = [name for name in names if name not in (customer, time, amount)]
    taken = [name for name in ("time", "amount") if name in extras]
    if taken:
        raise ValueError(
            f"the further column(s) {taken} have the name of a role: rename them, or bind them "
            "to it"
        )
    return extras


def inspect(table: pa.Table, customer: str, time: str, amount: str) -> tuple[pa.Table, Findings]:
    """Return the rows that can be used, their roles converted, and what was found."""
    ids = parse_ids(table[customer], customer)
    times, zones = read_times(table[time], time)
    amounts = parse_amounts(table[amount], amount)
    parsed = {customer: ids, time: times, amount: amounts}
    for name, column in parsed.items():
        table = table.set_column(table.column_names.index(name), name, column.converted)
    unusable = ids.bad | times.bad | amounts.bad
    bad = {}
    for name, column in parsed.items():
        rows = np.flatnonzero(column.bad)
        first = [(int(row), repr(column.raw[int(row)].as_py())) for row in rows[:_SHOWN]]
        bad[name] = BadRows(len(rows), first)
    usable = table.filter(pa.array(~unusable)) if unusable.any() else table
    moments = microseconds(usable[time])
    findings = Findings(
        customer,
        time,
        amount,
        n_rows=len(unusable),
        n_unusable=int(np.count_nonzero(unusable)),
        bad=bad,
        zones=zones,
        first=int(moments.min(initial=_NEVER.max)),
        last=int(moments.max(initial=_NEVER.min)),
    )
    return usable, findings


def _check_filled(n_rows: int) -> None:
    if not n_rows:
        raise ValueError("the log is empty: at least one transaction is needed")


def _shown(rows: BadRows) -> str:
    shown = [f"row {row}: {value}" for row, value in rows.first]
    return ", ".join(shown + ["..."] * (rows.count > _SHOWN))
