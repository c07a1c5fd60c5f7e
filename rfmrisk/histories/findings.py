"""What is wrong with the rows of a log: its roles' columns are converted, and findings counted.

A log may come in parts, and each part be looked at on its own: findings of parts add up to those
of the whole, so that the verdict and its message are the same.
"""

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rfmrisk.histories.columns import (
    Parsed,
    as_table,
    microseconds,
    parse_amounts,
    parse_ids,
    read_times,
)
from rfmrisk.histories.datetimes import Zones
from rfmrisk.histories.ending import days_of
from rfmrisk.histories.options import RECOGNISED, OnBad, OptionNeededError, ReadingOptions
from rfmrisk.histories.roles import Formats, Roles, find_formats, with_time

_SHOWN = 3
_NEVER = np.iinfo(np.int64).max


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
    first : int
        The first time of a usable row, in microseconds; the largest integer where there is none.
    days : dict of int to int
        How many usable rows each day since 1970 has.
    """

    customer: str
    time: str
    amount: str
    n_rows: int
    n_unusable: int
    bad: dict[str, BadRows]
    zones: Zones
    first: int
    days: dict[int, int]

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
            dict(Counter(self.days) + Counter(later.days)),
        )

    def check(self, on_bad: OnBad, stacklevel: int = 2) -> list[str]:
        """Raise where the log cannot be used; warn of rows that are left out, and return that."""
        _check_filled(self.n_rows)
        self.zones.check(self.time)
        if not self.n_unusable:
            return []
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
            raise OptionNeededError(message, "Mend them, or leave them out with", on_bad="drop")
        if self.n_unusable == self.n_rows:
            raise ValueError(f"{message}. No row is left")
        warnings.warn(f"{message}. They are left out", UserWarning, stacklevel=stacklevel + 1)
        return [message]

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Make findings of what `dataclasses.asdict` and JSON made of them."""
        bad = {
            name: BadRows(rows["count"], [(row, value) for row, value in rows["first"]])
            for name, rows in plain["bad"].items()
        }
        days = {int(day): n for day, n in plain["days"].items()}
        return cls(**(plain | {"bad": bad, "zones": Zones(*plain["zones"]), "days": days}))


def bind_roles(
    table: pa.Table,
    roles: Roles,
    on_bad: OnBad,
    options: ReadingOptions = RECOGNISED,
    formats: Formats | None = None,
) -> tuple[pa.Table, list[str]]:
    """Check the roles' columns and convert them; return usable rows, and what is left out."""
    check_on_bad(on_bad)
    roles.check(table.column_names)
    _check_filled(table.num_rows)
    formats = formats or find_formats(table, roles, options)
    usable, findings = inspect(table, roles, options, formats)
    return usable, findings.check(on_bad, stacklevel=3)


def check_schema(schema: pa.Schema, roles: Roles) -> pa.Schema:
    """Raise what is wrong before a row is read; return the schema with the roles converted."""
    table = as_table(schema.empty_table())
    roles.check(table.column_names)
    usable, _ = inspect(table, roles)
    return usable.schema


def check_on_bad(on_bad: str) -> None:
    """Raise where ``on_bad`` is neither of the two."""
    if on_bad not in ("raise", "drop"):
        raise ValueError(f"on_bad must be 'raise' or 'drop'; got {on_bad!r}")


def inspect(
    table: pa.Table,
    roles: Roles,
    options: ReadingOptions = RECOGNISED,
    formats: Formats = Formats(),  # noqa: B008 (it is frozen)
    *,
    days: bool = False,
) -> tuple[pa.Table, Findings]:
    """Return the rows that can be used, their roles converted, and what was found.

    Their days are counted where that is asked for.
    """
    table = with_time(table, roles)
    ids = parse_ids(table[roles.customer], roles.customer)
    times, zones = read_times(table[roles.time], roles.time, options, formats.time)
    amounts = read_amounts(table, roles, options, formats)
    parsed = {roles.customer: ids, roles.time: times, roles.amount: amounts}
    unusable = ids.bad | times.bad | amounts.bad
    bad = {}
    for name, column in parsed.items():
        if name in table.column_names:
            place = table.column_names.index(name)
            table = table.set_column(place, name, column.converted)
        else:
            table = table.append_column(name, column.converted)
        rows = np.flatnonzero(column.bad)
        first = [(int(row), repr(column.raw[int(row)].as_py())) for row in rows[:_SHOWN]]
        bad[name] = BadRows(len(rows), first)
    usable = table.filter(pa.array(~unusable)) if unusable.any() else table
    timestamps = microseconds(usable[roles.time])
    findings = Findings(
        roles.customer,
        roles.time,
        roles.amount,
        n_rows=len(unusable),
        n_unusable=int(np.count_nonzero(unusable)),
        bad=bad,
        zones=zones,
        first=int(timestamps.min(initial=_NEVER)),
        days=days_of(timestamps) if days else {},
    )
    return usable, findings


def read_amounts(
    table: pa.Table, roles: Roles, options: ReadingOptions, formats: Formats
) -> Parsed:
    """Return the amounts, which may be the product of two columns."""
    factors = [
        parse_amounts(table[name], name, options, formats.amount)
        for name in roles.factors(table.column_names)
    ]
    if len(factors) == 1:
        return factors[0]
    amounts = pc.multiply(factors[0].converted, factors[1].converted)
    amounts = pc.add(amounts, 0.0)
    texts = [factor.raw.cast(pa.string()) for factor in factors]
    raw = pc.binary_join_element_wise(*texts, "*", null_handling="replace", null_replacement="")
    return Parsed(amounts, ~np.isfinite(amounts.to_numpy()), raw)


def _check_filled(n_rows: int) -> None:
    if not n_rows:
        raise ValueError("the log is empty: at least one transaction is needed")


def _shown(rows: BadRows) -> str:
    shown = [f"row {row}: {value}" for row, value in rows.first]
    return ", ".join(shown + ["..."] * (rows.count > _SHOWN))
