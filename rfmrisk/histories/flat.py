"""The nested column of histories: opened into flat arrays, checked, and made again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from rfmrisk.histories.columns import (
    arrow_column,
    check_columns,
    is_number,
    microseconds,
    parse_times,
    whole,
)
from rfmrisk.histories.ranks import encode
from rfmrisk.histories.segments import Ints, Segments, blocks, positions, segment_of
from rfmrisk.histories.timestamps import DAY, iso

_TIME = pa.timestamp("us")


@dataclass(frozen=True)
class FlatHistories:
    """Histories as flat arrays: transactions of n customers, customer after customer.

    Attributes
    ----------
    as_of : ndarray of shape (n,)
        Timestamps of the decisions, microseconds since 1970 UTC.
    starts, ends : ndarrays of shape (n,)
        The segment of each customer in the flat arrays.
    times : ndarray of shape (m,)
        Times of the transactions, microseconds since 1970 UTC.
    transactions : pyarrow.StructArray of length m
        All fields of the transactions.
    index : pandas.Index or range, of length n
        The customers.
    columns : tuple of str
        The names of all columns of the histories.
    decisions : dict of str to array of shape (n,)
        The other columns, which describe the decision: pandas or Arrow arrays by name.
    """

    as_of: Ints
    starts: Ints
    ends: Ints
    times: Ints
    transactions: pa.StructArray
    index: pd.Index | range
    columns: tuple[str, ...] = ("as_of", "history")
    decisions: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def segments(self) -> Segments:
        """The histories, to be reduced customer by customer."""
        return Segments(self.starts, self.ends)

    @cached_property
    def customers(self) -> Ints:
        """The number of the customer of each transaction."""
        return segment_of(self.starts, self.ends)

    def rows(self, rows: slice) -> "FlatHistories":
        """Return some customers, one after the other; nothing is copied."""
        starts, ends = self.starts[rows], self.ends[rows]
        first = starts[0]
        transactions = slice(first, ends[-1])
        return FlatHistories(
            as_of=self.as_of[rows],
            starts=starts - first,
            ends=ends - first,
            times=self.times[transactions],
            transactions=self.transactions[transactions],
            index=self.index[rows],
            columns=self.columns,
            decisions={name: values[rows] for name, values in self.decisions.items()},
        )

    def blocks(self) -> Iterator["FlatHistories"]:
        """Yield all customers in runs so short that what is made of them stays in the cache."""
        offsets = np.append(self.starts, self.ends[-1])
        yield from map(self.rows, blocks(offsets))

    def by_order(self) -> "FlatHistories":
        """Return the first line of each order of a customer; a line without one is an order."""
        codes, orders = encode(self.field("order"))
        codes = codes.copy()
        lone = np.flatnonzero(self.field("order").is_null().to_numpy(zero_copy_only=False))
        codes[lone] = len(orders) + np.arange(len(lone))
        keys = self.customers * (len(orders) + len(lone) + 1) + codes
        first = np.sort(np.unique(keys, return_index=True)[1])
        return FlatHistories(
            as_of=self.as_of,
            starts=np.searchsorted(first, self.starts),
            ends=np.searchsorted(first, self.ends),
            times=self.times[first],
            transactions=self.transactions.take(pa.array(first)),
            index=self.index,
            columns=self.columns,
            decisions=self.decisions,
        )

    @property
    def field_names(self) -> list[str]:
        """Names of the fields of a transaction."""
        return [field.name for field in self.transactions.type]

    def field(self, name: str) -> pa.Array:
        """Return one field of all transactions."""
        place = self.transactions.type.get_field_index(name)
        if place >= 0:
            return self.transactions.field(place)
        if not len(self.transactions):
            # Lists that are all empty have lost the names and types of their fields.
            return pa.nulls(0)
        raise ValueError(f"the transactions have no field {name!r}; they have {self.field_names}")

    def numbers(self, name: str) -> np.ndarray:
        """Return one numeric field of all transactions as float64, missing values as NaN.

        A name such as ``"closed-due"``, where there is no such field, is the time from the date
        ``due`` to the date ``closed``, in days; see `duration_of`.
        """
        dates = duration_of(name, self.field_names)
        if dates:
            return (self._dates(dates[0]) - self._dates(dates[1])) / DAY
        values = self.field(name)
        if not (is_number(values.type) or types.is_null(values.type)):
            raise ValueError(
                f"the field {name!r} must be numeric to be summed; its type is {values.type}"
            )
        return values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)

    def _dates(self, name: str) -> np.ndarray:
        """Return dates in microseconds; NaN for those missing, or not over by ``as_of``."""
        parsed = parse_times(pa.chunked_array([self.field(name)]), name)
        n_unreadable = parsed.bad.sum() - parsed.raw.null_count
        if n_unreadable:
            raise ValueError(
                f"the field {name!r} must hold dates to make a duration; {n_unreadable:,} of "
                f"{len(parsed.bad):,} values cannot be read as one"
            )
        dates = whole(parsed.converted.cast(pa.int64())).to_numpy(zero_copy_only=False)
        known = ~parsed.bad
        known[known] = dates[known] < self.as_of[self.customers[known]]
        return np.where(known, dates, np.nan)


def duration_of(name: str, fields: list[str]) -> tuple[str, str] | None:
    """Return the two dates of a duration: ``("closed", "due")`` of ``"closed-due"``.

    None where the name is that of a field itself, or of no two fields. What is not over by
    ``as_of`` is not known at the decision, so a duration to or from it is missing.
    """
    if name in fields:
        return None
    cuts = [place for place, letter in enumerate(name) if letter == "-"]
    pairs = [(name[:cut], name[cut + 1 :]) for cut in cuts]
    return next((pair for pair in pairs if set(pair) <= set(fields)), None)


def flatten(histories: Any) -> FlatHistories:
    """Open the nested column and check it: finite amounts, sorted times, all before ``as_of``.

    Accepts what `to_histories` makes, and the same after a round trip through Parquet or JSON
    (lists of dicts, times as ISO-8601 text). What is flat already is returned as it is.
    """
    if isinstance(histories, FlatHistories):
        return histories
    if not isinstance(histories, pd.DataFrame):
        raise TypeError(
            "histories must be a pandas DataFrame as made by to_histories, "
            f"with the columns 'as_of' and 'history'; got {type(histories).__name__}"
        )
    names = [str(name) for name in histories.columns]
    if names.count("as_of") != 1 or names.count("history") != 1:
        raise ValueError(
            "histories must have one column 'as_of' and one 'history', as made by to_histories; "
            f"the columns are {names}"
        )
    if not len(histories):
        raise ValueError("histories have 0 rows (0 samples); at least 1 is required")

    as_of = parse_times(arrow_column(histories["as_of"]), "as_of")
    if as_of.bad.any():
        raise ValueError(f"{as_of.bad.sum():,} of {len(as_of.bad):,} histories have no as_of")
    lists = _lists(histories["history"])
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    transactions = _with_roles(lists.flatten())
    flat = FlatHistories(
        as_of=microseconds(as_of.converted),
        starts=ends - lengths,
        ends=ends,
        times=microseconds(pc.struct_field(transactions, "time")),
        transactions=transactions,
        index=histories.index,
        columns=tuple(names),
        decisions={
            str(name): column.array
            for name, column in histories.items()
            if str(name) not in ("as_of", "history")
        },
    )
    _check(flat)
    return flat


def nest(transactions: pa.StructArray, starts: Ints, ends: Ints) -> pd.arrays.ArrowExtensionArray:
    """Return segments of the transactions as one list a customer."""
    offsets = np.concatenate(([0], np.cumsum(ends - starts)))
    if not (np.array_equal(starts, offsets[:-1]) and offsets[-1] == len(transactions)):
        transactions = transactions.take(pa.array(positions(starts, ends)))
    small = offsets[-1] < 2**31
    kind = pa.ListArray if small else pa.LargeListArray
    lists = kind.from_arrays(pa.array(offsets, pa.int32() if small else pa.int64()), transactions)
    return pd.arrays.ArrowExtensionArray(lists)


def _lists(column: pd.Series) -> pa.Array:
    """Return the histories as an Arrow array of lists, from Arrow lists or Python's."""
    try:
        if isinstance(column.dtype, pd.ArrowDtype):
            lists = whole(arrow_column(column))
        else:
            lists = pa.array([_transactions(history) for history in column])
    except (pa.ArrowException, TypeError) as error:
        raise ValueError(f"'history' cannot be understood: {error}") from error
    if types.is_null(lists.type):
        return lists.cast(pa.list_(pa.null()))
    if not (types.is_list(lists.type) or types.is_large_list(lists.type)):
        raise ValueError(f"'history' must hold lists of transactions; its type is {lists.type}")
    return lists


def _transactions(history: Any) -> list | None:
    if isinstance(history, Iterable) and not isinstance(history, str | bytes | dict):
        return list(history)
    if history is None or pd.isna(history):
        return None
    raise ValueError(f"'history' must hold lists of transactions; got {type(history).__name__}")


def _with_roles(transactions: pa.Array) -> pa.StructArray:
    """Return the transactions with ``time`` as naive UTC microseconds, missing nowhere."""
    if types.is_null(transactions.type) and not len(transactions):
        transactions = pa.array([], pa.struct({"time": _TIME, "amount": pa.float64()}))
    if not types.is_struct(transactions.type):
        raise ValueError(
            f"a transaction must be a struct of time, amount, ...; got {transactions.type}"
        )
    names = [field.name for field in transactions.type]
    check_columns(names, ["time", "amount"], of="the transactions")
    time = pc.struct_field(transactions, "time")
    if time.type == _TIME and not time.null_count:
        return transactions
    times = parse_times(pa.chunked_array([time]), "time")
    if times.bad.any():
        raise ValueError(
            f"{times.bad.sum():,} of {len(times.bad):,} transactions have no readable time"
        )
    fields = {name: pc.struct_field(transactions, name) for name in names}
    fields["time"] = whole(times.converted)
    return pa.StructArray.from_arrays(list(fields.values()), names=names)


def _check(flat: FlatHistories) -> None:
    unusable = np.count_nonzero(~np.isfinite(flat.numbers("amount")))
    if unusable:
        raise ValueError(f"{unusable:,} of {len(flat.times):,} transactions have no finite amount")
    falling = np.flatnonzero(flat.times[1:] < flat.times[:-1]) + 1
    if len(falling):
        begins = np.zeros(len(flat.times) + 1, dtype=bool)
        begins[flat.starts] = True
        unsorted = np.count_nonzero(~begins[falling])
        if unsorted:
            raise ValueError(
                f"histories must be sorted by time: {unsorted:,} transactions are out of order"
            )
    filled = np.flatnonzero(flat.ends > flat.starts)
    last = flat.times[flat.ends[filled] - 1]
    late = np.flatnonzero(last >= flat.as_of[filled])
    if len(late):
        raise ValueError(
            f"a history holds transactions strictly before as_of; {len(late):,} rows have one at "
            f"or after it, the first at {iso(last[late[0]])} with "
            f"as_of {iso(flat.as_of[filled[late[0]]])}"
        )
