"""From a transaction log to histories, one row per customer and timestamp of the decision.

A history is the nested list of a customer's transactions strictly before ``as_of``. The roles of
the log's columns are bound here and nowhere else; all that follows knows only ``time``,
``amount`` and the log's other columns under their own names.
"""

import datetime as dt
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rfmrisk.histories.columns import (
    as_table,
    check_columns,
    is_text,
    microseconds,
    parse_ids,
    parse_times,
    whole,
)
from rfmrisk.histories.ending import days_of, end_of_log
from rfmrisk.histories.findings import bind_roles
from rfmrisk.histories.flat import flatten, nest
from rfmrisk.histories.options import (
    AMOUNT,
    CUSTOMER,
    TIME,
    Duplicates,
    OnBad,
    ReadingOptions,
)
from rfmrisk.histories.ranks import encode, encode_ids
from rfmrisk.histories.roles import Roles
from rfmrisk.histories.segments import Ints, first_at_or_after, group, sort_groups
from rfmrisk.histories.timestamps import (
    check_known,
    iso,
    midnight_after,
    parse_duration,
    parse_timestamp,
)


def to_histories(
    log: Any,
    *,
    customer: str = CUSTOMER,
    time: str = TIME,
    amount: str = AMOUNT,
    order: str | None = None,
    duplicates: Duplicates = "keep",
    as_of: Any = None,
    on_bad: OnBad = "raise",
    decimal: str | None = None,
    thousands: str | None = None,
    time_format: str | None = None,
    time_unit: str | None = None,
) -> pd.DataFrame:
    """Nest a transaction log into one row per customer, as known at the timestamp of a decision.

    The same transactions give the same histories, bit for bit, whatever the order of the log's
    rows: customers are sorted by id, and transactions by time, then amount, then the other
    columns that have an order (lists and structs have none).

    Parameters
    ----------
    log : DataFrame of shape (n_transactions, n_columns)
        Anything that speaks the Arrow C stream: pandas, Polars, pyarrow, DuckDB. It is not
        changed. Times are timestamps, dates, or text or numbers as `read_transactions` takes
        them; those with a zone are converted to UTC, those without are taken as UTC, and a mix
        of the two is an error.
    customer, time, amount : str
        The columns that hold the customer's id (integers, text, categories or UUIDs), the time
        and the amount (numbers) of a transaction. The time may be two columns, of the date and
        the time of day (``"date,clock"``), and the amount a product (``"quantity*price"``). All
        other columns are kept, with their names and types, inside the history.
    order : str or None, default=None
        The column of the order, invoice or basket, where the rows of the log are its lines.
        Frequency, gaps and counts are then of orders, each at the time of its first line; rows
        without one are orders of their own. It is called ``order`` inside the history.
    duplicates : {"keep", "drop"}, default="keep"
        Whether of rows that are equal in all columns of the log, after reading, one alone is
        taken. A log with a number for each row has none; one without products may have lines
        of an order that are equal and both true.
    as_of : datetime-like, DataFrame or None, default=None
        The timestamp of the decision: a history holds the transactions strictly before it.

        - None: the midnight that ends the log's last day, which may be no day in the future,
          nor one far behind all others.
        - a timestamp: the same for all customers; those without an earlier transaction are left
          out.
        - a frame with the columns ``as_of`` and ``customer`` (or the log's own name for it):
          one row per decision in the order given. A customer may appear more than once, and
          one without an earlier transaction keeps its row, with an empty history. All other
          columns of the frame (the amount asked for, a term, a bureau score) are kept, with
          their names and types, beside ``as_of``; `ApplicationColumns` makes features of them.
    on_bad : {"raise", "drop"}, default="raise"
        Rows with no id, no readable time or no finite amount are an error that counts them and
        shows the first few, or are left out with a warning that counts them.
    decimal, thousands, time_format, time_unit : str or None, default=None
        How amounts and times are written, as in `read_transactions`; None is recognised.

    Returns
    -------
    DataFrame of shape (n_customers, 2 + n_other_columns)
        Index ``customer``; ``as_of``, datetime64[us] in naive UTC; the other columns of the
        decisions; ``history``, an Arrow ``list<struct<time, amount, ...>>`` sorted by time. Its
        ``attrs`` have the columns of the log that were bound, and dropped duplicates, under
        ``roles``, and as text which of its rows and lines were left out, under ``left_out``.

    Raises
    ------
    TypeError
        ``log`` is not a frame.
    ValueError
        A column is missing, duplicated or of a wrong type, rows are bad, the log is empty, or
        no transaction lies before ``as_of``.

    Warns
    -----
    UserWarning
        Rows are left out; ids look like one written in two ways; or decisions are of customers
        who are hardly ever in the log.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {
    ...         "who": ["ann", "bob", "ann"],
    ...         "when": ["2024-05-01T10:00:00Z", "2024-05-02T11:00:00Z", "2024-05-03T12:00:00Z"],
    ...         "paid": [10.0, 5.0, -2.5],
    ...     }
    ... )
    >>> histories = to_histories(log, customer="who", time="when", amount="paid")
    >>> histories["as_of"]
    customer
    ann   2024-05-04
    bob   2024-05-04
    Name: as_of, dtype: datetime64[us]
    >>> histories["history"].map(len).tolist()
    [2, 1]
    """
    roles = Roles(customer, time, amount, order, duplicates)
    options = ReadingOptions(
        decimal=decimal, thousands=thousands, time_format=time_format, time_unit=time_unit
    )
    table, left_out = bind_roles(as_table(log), roles, on_bad, options)
    timestamp: int | Decisions
    if hasattr(as_of, "__arrow_c_stream__"):
        timestamp = read_decisions(as_of, customer, table[customer])
    elif as_of is None:
        timestamp = end_of_log(days_of(microseconds(table[time])), time)
    else:
        timestamp = parse_timestamp(as_of, "as_of")
    packed = _pack(table, roles)
    n_repeated = table.num_rows - len(packed.times)
    if n_repeated:
        left_out = [*left_out, f"{n_repeated:,} rows repeat another one in all columns"]
    if isinstance(timestamp, Decisions):
        timestamp.warn_of_strangers(packed.customers)
        histories = _histories_of(packed, timestamp)
    else:
        histories = _histories_at(packed, timestamp)
    before = getattr(log, "attrs", {})
    histories.attrs["roles"] = roles.given
    histories.attrs["left_out"] = [*before.get("left_out", []), *left_out]
    return histories


def histories_at(table: pa.Table, roles: Roles, timestamp: int) -> pd.DataFrame:
    """Nest a log whose roles are bound, as known at one timestamp for all."""
    return _histories_at(_pack(table, roles), timestamp)


def _histories_at(log: "_Packed", timestamp: int) -> pd.DataFrame:
    ids, starts, ends = log.customers, log.offsets[:-1], log.offsets[1:]
    ends = first_at_or_after(log.times, starts, ends, np.full(len(ids), timestamp))
    known = np.flatnonzero(ends > starts)
    if not len(known):
        check_known(int(log.times.min()), timestamp)
    if len(known) < len(ids):
        ids, starts, ends = ids.take(pa.array(known)), starts[known], ends[known]
    timestamps = np.full(len(ids), timestamp)
    return Decisions(ids, timestamps, {}).frame(nest(log.transactions, starts, ends))


def histories_of_decisions(table: pa.Table, roles: Roles, decisions: "Decisions") -> pd.DataFrame:
    """Nest a log whose roles are bound, which may be empty, for the decisions asked for."""
    return _histories_of(_pack(table, roles), decisions)


def _histories_of(log: "_Packed", decisions: "Decisions") -> pd.DataFrame:
    found = decisions.among(log.customers)
    # An unknown customer is numbered -1 and takes the empty segment put last.
    starts, ends = np.append(log.offsets[:-1], 0)[found], np.append(log.offsets[1:], 0)[found]
    ends = first_at_or_after(log.times, starts, ends, decisions.as_of)
    return decisions.frame(nest(log.transactions, starts, ends))


def rewind(histories: pd.DataFrame, period: str | dt.timedelta) -> pd.DataFrame:
    """Return the customers as they were known a period earlier.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, 2)
        As made by `to_histories`.
    period : str or timedelta
        How far to go back, such as ``"30D"``.

    Returns
    -------
    DataFrame of shape (n_customers_then, 2)
        The same rows with ``as_of`` moved back and the transactions since then removed.
        Customers without a transaction by then are left out, and so are all other columns:
        they describe the decision, and were not known before it.

    Raises
    ------
    ValueError
        The period is not a positive duration, or no transaction is that old.

    Examples
    --------
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=50, random_state=0))
    >>> past = rewind(histories, "30D")
    >>> (histories.loc[past.index, "as_of"] - past["as_of"]).unique()
    <TimedeltaArray>
    ['30 days']
    Length: 1, dtype: timedelta64[us]
    """
    past, _ = rewind_rows(histories, period)
    return past


def rewind_rows(histories: pd.DataFrame, period: str | dt.timedelta) -> tuple[pd.DataFrame, Ints]:
    """Rewind, and return also the positions of the rows that are left."""
    flat = flatten(histories)
    timestamps = flat.as_of - parse_duration(period, "period")
    ends = first_at_or_after(flat.times, flat.starts, flat.ends, timestamps)
    kept = np.flatnonzero(ends > flat.starts)
    if not len(kept):
        first = f"nothing before {iso(flat.times.min())}" if len(flat.times) else "no transactions"
        raise ValueError(
            f"no customer was known {period} earlier: the histories have {first}; "
            "a shorter period is needed"
        )
    past = pd.DataFrame(
        {
            "as_of": timestamps[kept].view("datetime64[us]"),
            "history": nest(flat.transactions, flat.starts[kept], ends[kept]),
        },
        index=histories.index[kept],
    )
    return past, kept


class _Packed(NamedTuple):
    """A log by customer and time: ids, where each one's transactions begin and end, and these."""

    customers: pa.Array
    offsets: Ints
    times: Ints
    transactions: pa.StructArray


def _pack(table: pa.Table, roles: Roles) -> _Packed:
    customers = whole(table[roles.customer])
    columns = {"amount": whole(table[roles.amount])}
    if roles.order is not None:
        columns["order"] = whole(table[roles.order])
    columns |= {name: whole(table[name]) for name in roles.other_columns(table.column_names)}
    times = microseconds(table[roles.time])
    drop = roles.duplicates == "drop"
    order, offsets, times, repeated = _order(
        customers, times, list(columns.values()), of_whole_rows=drop
    )
    if drop and repeated.any():
        order, times = order[~repeated], times[~repeated]
        offsets = np.append(0, np.cumsum(~repeated))[offsets]
    fields: dict[str, pa.Array] = {"time": pa.array(times).view(pa.timestamp("us"))}
    fields |= {name: _gathered(column, pa.array(order)) for name, column in columns.items()}
    transactions = pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
    ids = customers.take(pa.array(order[offsets[:-1]]))
    _warn_of_ids(ids, offsets, roles.customer)
    return _Packed(ids, offsets, times, transactions)


def _warn_of_ids(ids: pa.Array, offsets: Ints, name: str) -> None:
    """Warn of ids that differ by spaces alone, and of one that all guests seem to share."""
    if is_text(ids.type):
        bare = pc.utf8_trim_whitespace(ids)
        spaced = ids.filter(pc.not_equal(bare, ids))
        twins = spaced.filter(pc.is_in(pc.utf8_trim_whitespace(spaced), value_set=ids))
        if len(twins):
            warnings.warn(
                f"{len(twins):,} ids in {name!r} differ from others by spaces alone, such as "
                f"{twins[0].as_py()!r}: they are taken for other customers",
                UserWarning,
                stacklevel=4,
            )
    lengths = np.diff(offsets)
    if len(lengths) < _MANY_CUSTOMERS:
        return
    largest = int(lengths.argmax())
    share = lengths[largest] / offsets[-1]
    others = np.delete(lengths, largest).max()
    if share >= _GUEST_SHARE and lengths[largest] >= _GUEST_TIMES * others:
        warnings.warn(
            f"customer {ids[largest].as_py()!r} in {name!r} has {share:.0%} of all rows: if guests "
            "share this id, leave it out",
            UserWarning,
            stacklevel=4,
        )


_MANY_CUSTOMERS = 100
_GUEST_SHARE = 0.05
_GUEST_TIMES = 3


def _gathered(column: pa.Array, order: pa.Array) -> pa.Array:
    """Return a column in another order; text of few levels by their numbers, which is faster."""
    if is_text(column.type) and len(pc.unique(column.slice(0, 10_000))) <= 100:
        coded = column.dictionary_encode()
        indices = coded.indices.take(order)
        return pa.DictionaryArray.from_arrays(indices, coded.dictionary).cast(column.type)
    return column.take(order)


def _order(
    customers: pa.Array, times: Ints, tie_breakers: list[pa.Array], *, of_whole_rows: bool
) -> tuple[NDArray[np.integer], Ints, Ints, NDArray[np.bool_]]:
    """Return the order by customer, time and the tie-breakers, the offsets, the times in order.

    The last are the rows, in order, that are tied with the one before them. Columns without an
    order, such as lists, break no ties, unless whole rows are to be compared: then by their text.
    """
    if not len(times):
        return np.empty(0, np.int64), np.zeros(1, np.int64), times, np.empty(0, bool)
    order, offsets = group(*encode_ids(customers))
    times = sort_groups(times, order, offsets)

    begins = np.ones(len(times) + 1, dtype=bool)
    np.not_equal(times[1:], times[:-1], out=begins[1:-1])
    begins[offsets] = True
    break_ties(order, begins, tie_breakers, of_whole_rows=of_whole_rows)
    return order, offsets, times, ~begins[:-1]


def break_ties(
    order: NDArray[np.integer],
    begins: NDArray[np.bool_],
    tie_breakers: list[pa.Array],
    *,
    of_whole_rows: bool = False,
) -> None:
    """Order a customer's transactions at one time by other columns, in place.

    Parameters
    ----------
    order : ndarray of shape (m,)
        The rows by customer and time.
    begins : ndarray of shape (m + 1,)
        Whether each of them is another customer's, or at another time, than the one before it,
        or at the end; afterwards, whether it differs in any column.
    tie_breakers : list of pyarrow.Array of length m
        By their row; those without an order, such as lists, break no ties.
    of_whole_rows : bool, default=False
        Compare columns without an order by their text.
    """
    # Most logs have few, and only they are sorted, run by run.
    tied = np.flatnonzero(~(begins[:-1] & begins[1:]))
    for column in tie_breakers:
        if not len(tied):
            break
        values = column.take(pa.array(order[tied]))
        try:
            keys, distinct = encode(values)
        except pa.ArrowNotImplementedError:
            if not of_whole_rows:
                continue
            keys, distinct = encode(pa.array(map(repr, values.to_pylist())))
        # Runs times distinct values are fewer than the square of the rows, so this is no overflow.
        keys += len(distinct) * np.cumsum(begins[tied])
        by_key = np.argsort(keys)
        order[tied] = order[tied[by_key]]
        keys = keys[by_key]
        begins[tied[1:]] |= keys[1:] != keys[:-1]
        tied = tied[~(begins[tied] & begins[tied + 1])]


@dataclass(frozen=True)
class Decisions:
    """Decisions that were asked for: whose, when, and what else is known of each.

    Attributes
    ----------
    customers : pyarrow.Array of shape (n,)
    as_of : ndarray of shape (n,)
        Microseconds since 1970 UTC.
    other : dict of str to array of shape (n,)
        The other columns, in the types that they came in.
    """

    customers: pa.Array
    as_of: Ints
    other: dict[str, Any]

    def __len__(self) -> int:
        return len(self.as_of)

    def among(self, ids: pa.Array) -> Ints:
        """Return for each decision the position of its customer among ids; -1 for none."""
        found = pc.index_in(self.customers, value_set=ids)
        return pc.fill_null(found, -1).to_numpy().astype(np.int64)

    def warn_of_strangers(self, ids: pa.Array) -> None:
        """Warn of customers whom the log writes in another way, or who are hardly ever in it."""
        strangers = self.customers.filter(pc.invert(pc.is_in(self.customers, value_set=ids)))
        if len(strangers):
            _warn_of_strangers(self.customers, strangers, ids)

    def take(self, positions: Ints) -> "Decisions":
        """Return some of the decisions."""
        other = {name: values[positions] for name, values in self.other.items()}
        return Decisions(self.customers.take(pa.array(positions)), self.as_of[positions], other)

    def frame(self, histories: Any) -> pd.DataFrame:
        """Return the decisions with a history each."""
        columns = {"as_of": self.as_of.view("datetime64[us]"), **self.other, "history": histories}
        return pd.DataFrame(columns, index=pd.Index(self.customers.to_pandas(), name="customer"))


def read_decisions(frame: Any, customer: str, ids: pa.ChunkedArray) -> Decisions:
    """Check a frame of decisions, and read it.

    Parameters
    ----------
    frame : DataFrame of shape (n, 2 + n_other_columns)
    customer : str
        The log's name for the customer; the frame may also call it ``customer``.
    ids : pyarrow.ChunkedArray
        Ids of the log, or none of them but their type.
    """
    index = getattr(frame, "index", None)
    if isinstance(index, pd.Index) and index.name in ("customer", customer):
        frame = frame.reset_index()
    table = as_table(frame)
    if customer not in table.column_names and "customer" in table.column_names:
        customer = "customer"
    check_columns(table.column_names, [customer, "as_of"], of="the decisions")
    if not table.num_rows:
        check_decisions(0, 0, 0)  # columns without a value have no type that could be read
    timestamps = parse_times(table["as_of"], "as_of")
    asked = parse_ids(table[customer], customer)
    check_decisions(table.num_rows, timestamps.bad.sum(), asked.bad.sum())
    check_decision_ids(asked.converted, ids)
    other = [name for name in table.column_names if name not in (customer, "as_of")]
    check_other_columns(other)
    own = isinstance(frame, pd.DataFrame)
    columns = {str(name): column for name, column in frame.items()} if own else table
    return Decisions(
        whole(asked.converted),
        microseconds(timestamps.converted),
        {name: (columns[name] if own else columns[name].to_pandas()).array for name in other},
    )


def check_other_columns(names: list[str]) -> None:
    """Raise where a column of the decisions has a name that the histories need."""
    reserved = sorted({"customer", "history"} & set(names))
    if reserved:
        raise ValueError(
            f"the decisions have columns called {reserved}, which are names of the histories: "
            "rename them, or leave them out"
        )


def _warn_of_strangers(asked: pa.Array, strangers: pa.Array, known: pa.Array) -> None:
    """Warn where decisions have no history because log and decisions write their ids in two ways.

    Ids are alike but for capitals, spaces around them, leading zeros and ".0" at the end; or of
    twenty or more hardly any is in the log.
    """
    if not len(known):
        return
    alike = pa.nulls(len(strangers), pa.int32())
    if is_text(asked.type):
        alike = pc.index_in(_bare(strangers), value_set=_bare(known))
    n_alike = len(alike) - alike.null_count
    if n_alike:
        first = pc.index(alike.is_valid(), True).as_py()
        pair = (strangers[first].as_py(), known[alike[first].as_py()].as_py())
        what = f"{n_alike:,} of {len(asked):,} decisions are of customers whom"
    elif len(strangers) >= max(_MANY_DECISIONS, _MOST_STRANGERS * len(asked)):
        pair = (strangers[0].as_py(), known[0].as_py())
        n_strange = "all" if len(strangers) == len(asked) else f"{len(strangers):,} of"
        what = f"{n_strange} {len(asked):,} decisions are of customers whom"
    else:
        return
    warnings.warn(
        f"{what} the log does not have in that form: the decisions have {pair[0]!r}, the log "
        f"{pair[1]!r}. They get an empty history; write ids alike in both if they are the same",
        UserWarning,
        stacklevel=5,
    )


_MANY_DECISIONS = 20
_MOST_STRANGERS = 0.9


def _bare(ids: pa.Array) -> pa.Array:
    bare = pc.utf8_lower(pc.utf8_trim_whitespace(ids))
    return pc.replace_substring_regex(bare, r"^0+(\w)|\.0+$", r"\1")


def check_within(as_of: Ints, first: int, last: int) -> None:
    """Compare the timestamps of decisions with the first and the last time of the whole log.

    Raises
    ------
    ValueError
        No decision is after the first transaction.

    Warns
    -----
    UserWarning
        Some are before the first transaction, or after the day of the last one.
    """
    check_known(first, int(as_of.max()))
    for n, where, what in (
        (
            np.count_nonzero(as_of <= first),
            f"before the first transaction of the log, {iso(first)}",
            "their histories are empty",
        ),
        (
            np.count_nonzero(as_of > midnight_after(last)),
            f"after the day of the last transaction of the log, {iso(last)}",
            "their histories lack what was between",
        ),
    ):
        if n:
            warnings.warn(
                f"{n:,} of {len(as_of):,} decisions are {where}: {what}", UserWarning, stacklevel=3
            )


def check_decisions(n_decisions: int, n_timeless: int = 0, n_nameless: int = 0) -> None:
    """Raise where there is no decision, or one lacks its timestamp or its customer."""
    if not n_decisions:
        raise ValueError(
            "the frame of decisions is empty: at least one (customer, as_of) is needed"
        )
    if n_timeless or n_nameless:
        raise ValueError(
            f"of {n_decisions:,} decisions {n_timeless:,} have no readable as_of and "
            f"{n_nameless:,} no customer; each must have both"
        )


def check_decision_ids(asked: pa.ChunkedArray, known: pa.ChunkedArray) -> None:
    """Raise where the ids of decisions and log could never be equal."""
    if asked.type != known.type:
        forms = [
            f"{ids.type}" + (f", such as {ids[0].as_py()!r}" if len(ids) else "")
            for ids in (asked, known)
        ]
        raise ValueError(
            f"the decisions' customers are {forms[0]}, those of the log {forms[1]}: "
            "they must be of one type"
        )
