"""The roles of a log's columns, and how those columns are written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from rfmrisk.histories.amounts import NumberFormat, find_number_format
from rfmrisk.histories.columns import check_columns, decoded, is_number, is_text
from rfmrisk.histories.datetimes import find_time_format
from rfmrisk.histories.options import (
    AMOUNT,
    CUSTOMER,
    RECOGNISED,
    TIME,
    Duplicates,
    ReadingOptions,
)

_FIELDS = ("time", "amount", "order")


@dataclass(frozen=True)
class Roles:
    """Which column of a log is what.

    Attributes
    ----------
    customer : str
    time : str
        A column, or two of date and time of day: ``"date,clock"``.
    amount : str
        A column, or a product of two: ``"quantity*price"``.
    order : str or None
        The column of the order that a row is a line of, where rows are lines.
    duplicates : {"keep", "drop"}
        What happens to rows that repeat another one in all columns.
    """

    customer: str
    time: str
    amount: str
    order: str | None = None
    duplicates: Duplicates = "keep"

    def __post_init__(self) -> None:
        if self.duplicates not in ("keep", "drop"):
            raise ValueError(f"duplicates must be 'keep' or 'drop'; got {self.duplicates!r}")

    @classmethod
    def of_training(
        cls,
        trained_on: Mapping[str, Any],
        *,
        customer: str | None = None,
        time: str | None = None,
        amount: str | None = None,
        order: str | None = None,
        duplicates: Duplicates | None = None,
    ) -> Self:
        """Return what is given, or else what a training had, or the usual."""
        return cls(
            customer or trained_on.get("customer", CUSTOMER),
            time or trained_on.get("time", TIME),
            amount or trained_on.get("amount", AMOUNT),
            order or trained_on.get("order"),
            duplicates or trained_on.get("duplicates", "keep"),
        )

    @property
    def given(self) -> dict[str, str]:
        """The column of each role that has one, and whether duplicates are dropped."""
        dropped = {"duplicates": "drop"} if self.duplicates == "drop" else {}
        return self.columns | dropped

    @property
    def columns(self) -> dict[str, str]:
        """The column of each role that has one."""
        own = {name: value for name, value in asdict(self).items() if name != "duplicates"}
        return {role: column for role, column in own.items() if column}

    def dates(self, names: Iterable[str]) -> list[str]:
        """Return the column of the time, or those of the date and the time of day."""
        parts = [part.strip() for part in self.time.split(",")]
        return [self.time] if self.time in names or len(parts) != 2 else parts

    def factors(self, names: Iterable[str]) -> list[str]:
        """Return the column of the amount, or those that it is the product of."""
        parts = [part.strip() for part in self.amount.split("*")]
        return [self.amount] if self.amount in names or len(parts) != 2 else parts

    def sources(self, names: Iterable[str]) -> list[str]:
        """Return the columns that the customer, the time and the amount are made of."""
        names = list(names)
        return [self.customer, *self.dates(names), *self.factors(names)]

    def found_in(self, names: Iterable[str]) -> bool:
        """Whether columns of these names are enough."""
        names = set(names)
        return names.issuperset(self.sources(names))

    def check(self, names: list[str], of: str = "the log") -> None:
        """Raise where a column of a role is missing, or another one has the name of a role."""
        order = [] if self.order is None else [self.order]
        check_columns(names, [*self.sources(names), *order], of=of)
        self.other_columns(names)

    def other_columns(self, names: list[str]) -> list[str]:
        """Return the columns without a role, which may not have the name of one."""
        bound = {self.customer, self.amount, self.order, self.time, *self.dates(names)}
        others = [name for name in names if name not in bound]
        taken = [name for name in _FIELDS if name in others]
        if taken:
            raise ValueError(
                f"the other column(s) {taken} have the name of a role: rename them, or bind them "
                "to it"
            )
        return others

    @property
    def plain(self) -> dict[str, str | None]:
        """The roles as a dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class Formats:
    """How the columns of time and amount are written; None where their type says it.

    Attributes
    ----------
    time : str or None
        As `find_time_format` returns it.
    amount : NumberFormat or None
    """

    time: str | None = None
    amount: NumberFormat | None = None


def find_formats(table: pa.Table, roles: Roles, options: ReadingOptions = RECOGNISED) -> Formats:
    """Find out how the times and amounts of a log are written, over all its rows."""
    return find_formats_of(lambda _: [table], table.schema, roles, options)


def find_formats_of(
    tables: Callable[[list[str]], Iterable[pa.Table]],
    schema: pa.Schema,
    roles: Roles,
    options: ReadingOptions = RECOGNISED,
) -> Formats:
    """Find out how the times and amounts of a log are written that comes in pieces.

    Parameters
    ----------
    tables : callable
        Gives some columns of the log, table after table.
    schema : pyarrow.Schema
    roles : Roles
    options : ReadingOptions
    """
    time = amount = None
    dates = roles.dates(schema.names)
    if len(dates) > 1 or _is_written(schema.field(dates[0]).type, numbers=True):
        pieces = (decoded(with_time(table, roles)[roles.time]) for table in tables(dates))
        time = find_time_format(pieces, roles.time, options)
    factors = [n for n in roles.factors(schema.names) if _is_written(schema.field(n).type)]
    if factors:
        pieces = (decoded(table[name]) for table in tables(factors) for name in factors)
        amount = find_number_format(pieces, roles.amount, options)
    return Formats(time, amount)


def with_time(table: pa.Table, roles: Roles) -> pa.Table:
    """Return the log with one column of times: date and time of day are put together."""
    dates = roles.dates(table.column_names)
    if len(dates) == 1:
        return table
    date, clock = (decoded(table[name]) for name in dates)
    if types.is_timestamp(date.type):
        date = date.cast(pa.date32())
    day = pc.replace_substring_regex(
        pc.utf8_trim_whitespace(date.cast(pa.string())), r"[T ]0?0:00(:00(\.0+)?)?$", ""
    )
    hour = pc.utf8_trim_whitespace(clock.cast(pa.string()))
    return table.drop_columns(dates).append_column(
        roles.time, pc.binary_join_element_wise(day, hour, " ")
    )


def _is_written(dtype: pa.DataType, *, numbers: bool = False) -> bool:
    dtype = dtype.value_type if types.is_dictionary(dtype) else dtype
    return is_text(dtype) or (numbers and is_number(dtype))
