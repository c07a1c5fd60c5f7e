"""The door: from a transaction log to histories, one row per customer and moment of decision.

A history is the nested list of a customer's transactions strictly before ``as_of``. The roles of
the log's columns are bound here and nowhere else; all that follows knows only ``time``,
``amount`` and the log's further columns under their own names.
"""

import datetime as dt
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rfmrisk._columns import as_table, check_columns, encode_ids, parse_amounts, parse_times
from rfmrisk._segments import Ints, first_at_or_after, group, positions

CUSTOMER = "CustomerId"
TIME = "TransactionStartTime"
AMOUNT = "Amount"

OnBad = Literal["raise", "drop"]

_TIME_TYPE = pa.timestamp("us")
DAY = 86_400_000_000  # microseconds


def read_transactions(
    path: str | Path,
    *,
    customer: str = CUSTOMER,
    time: str = TIME,
    amount: str = AMOUNT,
    on_bad: OnBad = "raise",
) -> pd.DataFrame:
    """Read a transaction log from a CSV or Parquet file, with its times parsed.

    Parameters
    ----------
    path : str or Path
        A ``.csv``, ``.csv.gz`` or ``.parquet`` file, or a folder of Parquet files.
    customer, time, amount : str
        The columns that hold the customer's id, the time and the amount of a transaction. The
        defaults are the names of the Xente log.
    on_bad : {"raise", "drop"}, default="raise"
        What to do with rows that have no id, no readable time or no finite amount.

    Returns
    -------
    DataFrame of shape (n_transactions, n_columns)
        The log with its own column names; ``time`` is datetime64 in naive UTC. Ids in a CSV
        stay text where a number would change them (``00017``).

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is of another type or broken, a column is missing, or rows are bad.

    Examples
    --------
    >>> import tempfile
    >>> from rfmrisk.datasets import make_transactions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_transactions(n_customers=10, random_state=0).to_csv(f"{folder}/log.csv")
    ...     log = read_transactions(f"{folder}/log.csv")
    >>> log["TransactionStartTime"].dtype
    dtype('<M8[us]')
    """
    table = _read_table(Path(path), customer)
    table = _bind(table, {"customer": customer, "time": time, "amount": amount}, on_bad)
    return table.to_pandas()


def to_histories(
    log: Any,
    *,
    customer: str = CUSTOMER,
    time: str = TIME,
    amount: str = AMOUNT,
    as_of: Any = None,
    on_bad: OnBad = "raise",
) -> pd.DataFrame:
    """Nest a transaction log into one row per customer, as known at a moment of decision.

    The same transactions give the same histories, bit for bit, whatever the order of the log's
    rows: customers are sorted by id, and transactions by time, then amount, then the further
    columns.

    Parameters
    ----------
    log : DataFrame of shape (n_transactions, n_columns)
        Anything that speaks the Arrow C stream: pandas, Polars, pyarrow, DuckDB. It is not
        changed. Times are timestamps, dates or ISO-8601 text; those with a zone are converted
        to UTC, those without are taken as UTC, and a mix of the two is an error.
    customer, time, amount : str
        The columns that hold the customer's id (integers, text, categories or UUIDs), the time
        and the amount (numbers) of a transaction. All further columns are kept, with their
        names and types, inside the history.
    as_of : datetime-like, DataFrame or None, default=None
        The moment of decision: a history holds the transactions strictly before it.

        - None: the midnight that ends the log's last day.
        - a moment: the same for all customers; those without an earlier transaction are left
          out.
        - a frame with the columns ``as_of`` and ``customer`` (or the log's own name for it):
          one row per decision in the order given. A customer may appear more than once, and
          one without an earlier transaction keeps its row, with an empty history.
    on_bad : {"raise", "drop"}, default="raise"
        Rows with no id, no readable time or no finite amount are an error that counts them and
        shows the first few, or are left out with a warning that counts them.

    Returns
    -------
    DataFrame of shape (n_customers, 2)
        Index ``customer``; ``as_of``, datetime64[us] in naive UTC; ``history``, an Arrow
        ``list<struct<time, amount, ...>>`` sorted by time.

    Raises
    ------
    TypeError
        ``log`` is not a frame.
    ValueError
        A column is missing, duplicated or of a wrong type, rows are bad, the log is empty, or
        no transaction lies before ``as_of``.

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
    table = _bind(as_table(log), {"customer": customer, "time": time, "amount": amount}, on_bad)
    if not table.num_rows:
        raise ValueError("the log is empty: at least one transaction is needed")

    codes, ids = encode_ids(table[customer], customer)
    times = _microseconds(table[time])
    extras = [name for name in table.column_names if name not in (customer, time, amount)]
    order, offsets = group_by_customer(codes, len(ids), times, table, [amount, *extras])
    times = times[order]
    names = {time: "time", amount: "amount"} | {name: name for name in extras}
    fields = [_take(table[column], order) for column in names]
    transactions = pa.StructArray.from_arrays(fields, names=list(names.values()))

    if as_of is None:
        wanted, moments = np.arange(len(ids)), np.full(len(ids), (times.max() // DAY + 1) * DAY)
    elif hasattr(as_of, "__arrow_c_stream__"):
        wanted, moments, ids = _decisions(as_of, customer, ids)
    else:
        wanted = np.arange(len(ids))
        moments = np.full(len(ids), parse_moment(as_of, "as_of"))

    known = wanted >= 0
    starts, ends = np.where(known, offsets[wanted], 0), np.where(known, offsets[wanted + 1], 0)
    ends = first_at_or_after(times, starts, ends, moments)
    if as_of is not None and not hasattr(as_of, "__arrow_c_stream__"):
        kept = np.flatnonzero(ends > starts)
        if not len(kept):
            raise ValueError(
                f"no transaction lies before as_of={_iso(moments[0])}: "
                f"the first of the log is at {_iso(times.min())}"
            )
        ids, moments, starts, ends = ids.take(kept), moments[kept], starts[kept], ends[kept]
    return pd.DataFrame(
        {"as_of": moments.view("datetime64[us]"), "history": _nest(transactions, starts, ends)},
        index=pd.Index(ids.to_pandas(), name="customer"),
    )


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
        Customers without a transaction by then are left out.

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
    moments = flat.as_of - parse_duration(period, "period")
    ends = first_at_or_after(flat.times, flat.starts, flat.ends, moments)
    kept = np.flatnonzero(ends > flat.starts)
    if not len(kept):
        span = (
            "no transactions" if not len(flat.times) else f"nothing before {_iso(flat.times.min())}"
        )
        raise ValueError(
            f"no customer was known {period} earlier: the histories have {span}; "
            "a shorter period is needed"
        )
    past = histories.iloc[kept].assign(
        as_of=moments[kept].view("datetime64[us]"),
        history=_nest(flat.transactions, flat.starts[kept], ends[kept]),
    )
    return past, kept


@dataclass(frozen=True)
class FlatHistories:
    """Histories as flat arrays: transactions of n customers, customer after customer.

    Attributes
    ----------
    as_of : ndarray of shape (n,)
        Moments of decision, microseconds since 1970 UTC.
    starts, ends : ndarrays of shape (n,)
        The segment of each customer in the flat arrays.
    times : ndarray of shape (m,)
        Times of the transactions, microseconds since 1970 UTC.
    transactions : pyarrow.StructArray of length m
        All fields of the transactions.
    index : pandas.Index of length n
        The customers.
    """

    as_of: Ints
    starts: Ints
    ends: Ints
    times: Ints
    transactions: pa.StructArray
    index: pd.Index

    @property
    def field_names(self) -> list[str]:
        """Names of the fields of a transaction."""
        return [field.name for field in self.transactions.type]

    def field(self, name: str) -> pa.Array:
        """Return one field of all transactions."""
        if name not in self.field_names:
            raise ValueError(
                f"the transactions have no field {name!r}; they have {self.field_names}"
            )
        return pc.struct_field(self.transactions, name)

    def numbers(self, name: str) -> np.ndarray:
        """Return one numeric field of all transactions as float64, missing values as NaN."""
        values = self.field(name)
        kind = values.type
        if not (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        ):
            raise ValueError(f"the field {name!r} must be numeric to be summed; its type is {kind}")
        return values.cast(pa.float64()).to_numpy(zero_copy_only=False)


def flatten(histories: Any) -> FlatHistories:
    """Open the nested column and check it: sorted times, all before ``as_of``.

    Accepts what `to_histories` makes, and the same after a round trip through Parquet or JSON
    (lists of dicts, times as ISO-8601 text).
    """
    if not isinstance(histories, pd.DataFrame):
        raise TypeError(
            "histories must be a pandas DataFrame as made by to_histories, "
            f"with the columns 'as_of' and 'history'; got {type(histories).__name__}"
        )
    missing = [name for name in ("as_of", "history") if name not in histories.columns]
    if missing:
        raise ValueError(
            f"histories lack the column(s) {missing}; make them with to_histories. "
            f"The columns are {[str(name) for name in histories.columns]}"
        )
    if not len(histories):
        raise ValueError("histories have 0 rows (0 samples); at least 1 is required")

    as_of = _microseconds(parse_times(_arrow(histories["as_of"]), "as_of").values)
    lists = _arrow(histories["history"])
    if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)):
        raise ValueError(f"'history' must hold lists of transactions; its type is {lists.type}")
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    transactions = _with_roles(lists.flatten())
    times = _microseconds(pc.struct_field(transactions, "time"))
    _check_order(times, starts, ends, as_of)
    return FlatHistories(as_of, starts, ends, times, transactions, histories.index)


def parse_duration(duration: str | dt.timedelta, name: str) -> int:
    """Return a positive duration such as "30D" in microseconds."""
    allowed = f"{name} must be a positive duration such as '30D'; got {duration!r}"
    if not isinstance(duration, str | dt.timedelta):
        raise ValueError(allowed)
    try:
        parsed = pd.Timedelta(duration)
    except ValueError as error:
        raise ValueError(allowed) from error
    if parsed is pd.NaT or parsed <= pd.Timedelta(0):
        raise ValueError(allowed)
    return int(parsed // pd.Timedelta(microseconds=1))


def parse_moment(moment: Any, name: str) -> int:
    """Return a moment in microseconds since 1970, UTC."""
    try:
        if isinstance(moment, int | float):
            raise TypeError("a number is no moment")
        parsed = pd.Timestamp(moment)
        if parsed is pd.NaT:
            raise ValueError("missing")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be a moment such as '2024-05-01' or '2024-05-01T12:00:00Z', "
            f"or for to_histories a frame of decisions; got {moment!r}"
        ) from error
    if parsed.tz is not None:
        parsed = parsed.tz_convert(None)
    return int(parsed.to_datetime64().astype("datetime64[us]").astype(np.int64))


def _read_table(path: Path, customer: str) -> pa.Table:
    from pyarrow import csv, parquet

    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    name = path.name.lower()
    try:
        if path.is_dir() or name.endswith((".parquet", ".pq")):
            return parquet.read_table(path)
        if name.endswith((".csv", ".csv.gz")):
            options = csv.ConvertOptions(
                column_types={customer: pa.string()}, strings_can_be_null=True
            )
            table = csv.read_csv(path, convert_options=options)
        else:
            raise ValueError(
                f"{str(path)!r} is of an unknown type: a log is a .csv, .csv.gz or .parquet file, "
                "or a folder of Parquet files"
            )
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    check_columns(table.column_names, [customer])
    return _numbers_where_lossless(table, customer)


def _numbers_where_lossless(table: pa.Table, customer: str) -> pa.Table:
    ids = table[customer]
    canonical = pc.match_substring_regex(ids, r"^(0|-?[1-9][0-9]{0,17})$")
    if ids.null_count == len(ids) or not pc.all(canonical, min_count=0).as_py():
        return table
    return table.set_column(table.column_names.index(customer), customer, ids.cast(pa.int64()))


def _bind(table: pa.Table, roles: dict[str, str], on_bad: OnBad) -> pa.Table:
    """Check the roles' columns, parse times and amounts, and deal with bad rows."""
    if on_bad not in ("raise", "drop"):
        raise ValueError(f"on_bad must be 'raise' or 'drop'; got {on_bad!r}")
    check_columns(table.column_names, list(roles.values()), renamed={"time", "amount"})
    customer, time, amount = roles["customer"], roles["time"], roles["amount"]
    times = parse_times(table[time], time)
    amounts = parse_amounts(table[amount], amount)
    ids = table[customer]
    no_id = ids.is_null().to_numpy()
    if pa.types.is_floating(ids.type):
        no_id |= pc.fill_null(ids.is_nan(), False).to_numpy()  # noqa: FBT003
    table = table.set_column(table.column_names.index(time), time, times.values)
    table = table.set_column(table.column_names.index(amount), amount, amounts.values)

    kinds = {
        f"without {customer!r}": (no_id, ids),
        f"without a readable time in {time!r} (ISO-8601, such as 2018-11-15T02:18:49Z)": (
            times.bad,
            times.raw,
        ),
        f"without a finite number in {amount!r}": (amounts.bad, amounts.raw),
    }
    bad = no_id | times.bad | amounts.bad
    if not bad.any():
        return table
    message = f"{bad.sum():,} of {len(bad):,} rows cannot be used: " + "; ".join(
        _describe(kind, *found) for kind, found in kinds.items() if found[0].any()
    )
    if on_bad == "raise":
        raise ValueError(f"{message}. Mend them, or leave them out with on_bad='drop'")
    warnings.warn(f"{message}. They are left out", UserWarning, stacklevel=3)
    return table.filter(pa.array(~bad))


def _describe(kind: str, bad: np.ndarray, column: pa.ChunkedArray) -> str:
    first = np.flatnonzero(bad)[:3]
    shown = ", ".join(f"row {row}: {column[int(row)].as_py()!r}" for row in first)
    return f"{bad.sum():,} {kind} ({shown}{', ...' if bad.sum() > len(first) else ''})"


def group_by_customer(
    codes: np.ndarray, n_customers: int, times: Ints, table: pa.Table, tie_breakers: list[str]
) -> tuple[np.ndarray, Ints]:
    """Return the order by customer, time and then the tie-breaking columns, and the offsets."""
    if np.all(times[1:] >= times[:-1]):
        order, offsets = group(codes, n_customers)
    else:
        by_time = np.argsort(times)
        order, offsets = group(codes[by_time], n_customers)
        order = by_time[order]

    times = times[order]
    starts_run = np.ones(len(order), dtype=bool)
    starts_run[1:] = times[1:] != times[:-1]
    starts_run[offsets[:-1]] = True
    # The sort above leaves transactions of one customer and one time in any order; most logs
    # have few, and only they are sorted further.
    tied = np.flatnonzero(~(starts_run & np.append(starts_run[1:], True)))
    for name in tie_breakers:
        if not len(tied):
            break
        column = _take(table[name], order[tied])
        if pa.types.is_nested(column.type):
            continue
        keys, _ = encode_ids(column, name)
        runs = np.cumsum(starts_run[tied]) - 1
        by_key = np.argsort(keys)
        by_run, _ = group(runs[by_key], runs[-1] + 1)
        local = by_key[by_run]
        order[tied] = order[tied][local]
        keys = keys[local]
        starts_run[tied[1:]] |= keys[1:] != keys[:-1]
        alone = starts_run[tied] & np.append(starts_run[tied[1:]], True)
        tied = tied[~alone]
    return order, offsets


def _decisions(frame: Any, customer: str, ids: pa.Array) -> tuple[Ints, Ints, pa.Array]:
    """Return for each decision the number of its customer (-1: unknown), its moment, its id."""
    table = as_table(frame)
    if customer not in table.column_names and "customer" in table.column_names:
        customer = "customer"
    elif customer not in table.column_names and getattr(frame, "index", None) is not None:
        if frame.index.name in ("customer", customer):
            table = table.append_column(customer, [pa.array(frame.index)])
    check_columns(table.column_names, [customer, "as_of"])
    if not table.num_rows:
        raise ValueError(
            "the frame of decisions is empty: at least one (customer, as_of) is needed"
        )
    moments = parse_times(table["as_of"], "as_of")
    asked = table[customer].combine_chunks()
    if moments.bad.any() or asked.null_count:
        raise ValueError(
            f"of {len(asked):,} decisions {moments.bad.sum():,} have no readable as_of and "
            f"{asked.null_count:,} no customer; each must have both"
        )
    codes, asked_ids = encode_ids(asked, customer)
    try:
        found = pc.index_in(asked_ids, value_set=ids.cast(asked_ids.type))
    except pa.ArrowException as error:
        raise ValueError(
            f"the decisions' customers are {asked_ids.type}, those of the log are {ids.type}: "
            "they must be of one type"
        ) from error
    numbers = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return numbers[codes], _microseconds(moments.values), asked_ids.take(pa.array(codes))


def _nest(transactions: pa.StructArray, starts: Ints, ends: Ints) -> pd.arrays.ArrowExtensionArray:
    offsets = np.concatenate(([0], np.cumsum(ends - starts)))
    if not (np.array_equal(starts, offsets[:-1]) and offsets[-1] == len(transactions)):
        transactions = transactions.take(pa.array(positions(starts, ends)))
    small = offsets[-1] < 2**31
    kind = pa.ListArray if small else pa.LargeListArray
    lists = kind.from_arrays(pa.array(offsets, pa.int32() if small else pa.int64()), transactions)
    return pd.arrays.ArrowExtensionArray(lists)


def _take(column: pa.ChunkedArray, order: np.ndarray) -> pa.Array:
    if pa.types.is_string(column.type) and column.nbytes >= 2**31:
        column = column.cast(pa.large_string())
    return column.combine_chunks().take(pa.array(order))


def _arrow(column: pd.Series) -> pa.Array:
    values: Any = column.array
    if column.dtype == object:
        values = [_as_list(value) for value in values] if column.name == "history" else values
        try:
            return pa.array(values, from_pandas=True)
        except pa.ArrowException as error:
            raise ValueError(f"{column.name!r} cannot be understood: {error}") from error
    array = pa.array(values, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _as_list(history: Any) -> list | None:
    if isinstance(history, Iterable) and not isinstance(history, str | bytes | dict):
        return list(history)
    if history is None or history is pd.NA or history != history:  # noqa: PLR0124 (a NaN)
        return None
    raise ValueError(f"'history' must hold lists of transactions; got {type(history).__name__}")


def _with_roles(transactions: pa.Array) -> pa.StructArray:
    """Return the transactions with ``time`` as naive UTC microseconds and ``amount`` checked."""
    empty = {"time": _TIME_TYPE, "amount": pa.float64()}
    if pa.types.is_null(transactions.type) and not transactions.null_count:
        return pa.StructArray.from_arrays(
            [pa.array([], kind) for kind in empty.values()], names=list(empty)
        )
    if not pa.types.is_struct(transactions.type):
        raise ValueError(
            f"a transaction must be a struct of time, amount, ...; got {transactions.type}"
        )
    names = [field.name for field in transactions.type]
    check_columns(names, list(empty))
    if transactions.type.field("time").type == _TIME_TYPE and not transactions.null_count:
        time = pc.struct_field(transactions, "time")
        if not time.null_count:
            return transactions
    fields = {name: pc.struct_field(transactions, name) for name in names}
    times = parse_times(pa.chunked_array([fields["time"]]), "time")
    if times.bad.any():
        raise ValueError(f"{times.bad.sum():,} of {len(times.bad):,} transactions have no time")
    fields["time"] = times.values.combine_chunks()
    return pa.StructArray.from_arrays(list(fields.values()), names=names)


def _check_order(times: Ints, starts: Ints, ends: Ints, as_of: Ints) -> None:
    falling = np.flatnonzero(times[1:] < times[:-1]) + 1
    if len(falling):
        unsorted = np.setdiff1d(falling, starts)
        if len(unsorted):
            raise ValueError(
                f"histories must be sorted by time: {len(unsorted):,} transactions are out of order"
            )
    filled = np.flatnonzero(ends > starts)
    late = filled[times[ends[filled] - 1] >= as_of[filled]]
    if len(late):
        raise ValueError(
            f"a history holds transactions strictly before as_of; {len(late):,} rows have one at "
            f"or after it, the first at {_iso(times[ends[late[0]] - 1])} with "
            f"as_of {_iso(as_of[late[0]])}"
        )


def _microseconds(times: pa.Array | pa.ChunkedArray) -> Ints:
    return times.cast(pa.int64()).to_numpy()


def _iso(microseconds: int) -> str:
    return pd.Timestamp(int(microseconds), unit="us").isoformat()
