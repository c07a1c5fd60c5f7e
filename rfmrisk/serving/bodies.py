"""From the bytes of a request to flat arrays or features, checked field by field.

msgspec decodes only the fields that the model uses, and holds them to their types and ranges; the
same types are the schema of the request. What to_histories guarantees is checked here and named by
field: the order of the transactions, and that all lie before ``as_of``.
"""

import codecs
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from rfmrisk.aggregation.base import FieldType
from rfmrisk.histories.columns import whole
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.histories.ranks import encode
from rfmrisk.histories.segments import Ints, segment_of
from rfmrisk.histories.timestamps import midnight_after
from rfmrisk.scoring.features import Columns, of_values
from rfmrisk.scoring.values import (
    LARGEST,
    LEVEL,
    InvalidInputError,
    dates,
    moments,
    moments_of_decision,
    not_allowed,
)
from rfmrisk.serving.problems import from_msgspec
from rfmrisk.serving.settings import Settings

CustomerId = str | int

# Transactions that are put into arrays at once. To make or free very many objects in one operation
# holds the interpreter's lock, and with it all other requests.
BATCH = 10_000
PIECE = 2**20  # bytes that are looked through at once, for the same reason

_Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
_Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_JSON_TYPES: dict[FieldType, Any] = {
    "number": _Number | None,
    "category": str | _Whole | bool | None,
    "date": Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None,
}
_APPLICATION_TYPES: dict[FieldType, Any] = {
    "number": _Number | None,
    "category": str | bool | None,
}
_ARROW_TYPES = {"number": pa.float64(), "date": pa.string()}
_ARROW_CATEGORIES = {str: pa.string(), bool: pa.bool_(), int: pa.int64()}


def _moment(description: str) -> Any:
    example, form = "2018-11-15T02:18:49Z", {"format": "date-time"}
    return Annotated[str, Meta(description=description, examples=[example], extra_json_schema=form)]


_TIME = _moment("Not before the transaction that precedes it.")
_AS_OF = _moment(
    "The moment of decision, after all transactions, and with a zone where they have one; by "
    "default the midnight that ends the request's last day."
)


def _struct(name: str, fields: list[tuple], doc: str = "", **options: Any) -> Any:
    """Return a type of objects, whose fields may have names that are no Python names.

    msgspec holds the interpreter's lock while it decodes. That each object calls a function of
    Python lets others have it: beside bodies of 86 MB /health takes milliseconds (python -m
    benchmarks serving).
    """
    names = [f"field_{number}" for number in range(len(fields))]
    return msgspec.defstruct(
        name,
        [(own, *field[1:]) for own, field in zip(names, fields, strict=True)],
        rename=dict(zip(names, [field[0] for field in fields], strict=True)),
        namespace={"__doc__": doc, "__post_init__": lambda _: None},
        gc=False,
        **options,
    )


def _request(customer: Any) -> Any:
    customers = Annotated[list[customer], Meta(min_length=1)]
    return msgspec.defstruct("Request", [("customers", customers)], forbid_unknown_fields=True)


class BodyReader:
    """Reads requests for a model that uses certain further fields of the transactions.

    Parameters
    ----------
    fields : mapping of str to {"number", "category", "date"}
        The further fields, and what they must hold.
    settings : Settings
        The limits.
    columns : mapping of str to {"number", "category"}, default={}
        The columns of the application that the model uses, and what they must hold.
    ignored : collection of str, default=()
        Further columns that an application may have.

    Attributes
    ----------
    request : type
        Of a whole request.
    """

    def __init__(
        self,
        fields: Mapping[str, FieldType],
        settings: Settings,
        columns: Mapping[str, FieldType] = MappingProxyType({}),
        ignored: Collection[str] = (),
    ) -> None:
        self.fields, self.settings, self.columns = fields, settings, columns
        transaction = _struct(
            "Transaction",
            [
                ("time", _TIME),
                ("amount", _Number),
                *((name, _JSON_TYPES[dtype]) for name, dtype in fields.items()),
            ],
            "In order of time. Fields that the model does not use are ignored.",
        )
        application = _struct(
            "Application",
            [
                *((name, _APPLICATION_TYPES[dtype]) for name, dtype in columns.items()),
                *((name, Any, None) for name in ignored),
            ],
            "What is known at the decision beside the history. Columns of the training that the "
            "model does not use are ignored.",
            forbid_unknown_fields=True,
        )
        needed = ("application", application) if columns else None
        customer = msgspec.defstruct(
            "Customer",
            [
                ("customer_id", CustomerId),
                ("transactions", list[transaction]),  # type: ignore[valid-type]
                needed or ("application", application | None, None),
                ("as_of", _AS_OF | None, None),
            ],
            forbid_unknown_fields=True,
        )
        self.request = _request(customer)
        self._decoder = msgspec.json.Decoder(self.request)

    def read(self, body: bytes) -> tuple[list[CustomerId], FlatHistories]:
        """Return the ids of the customers of a request and their histories.

        Raises
        ------
        InvalidInputError, Problem
            Names the first field at fault, and what is allowed.
        """
        limits = self.settings
        # Each transaction and each customer is an object, and has one application at most.
        n_objects = sum(body.count(b"{", at, at + PIECE) for at in range(0, len(body), PIECE))
        if n_objects > limits.max_transactions + 2 * limits.max_customers + 1:
            raise _too_many("transactions", limits.max_transactions)
        customers = _decoded(self._decoder, body, limits)
        ids, histories, applications, as_of = zip(
            *map(msgspec.structs.astuple, customers), strict=True
        )
        ends = np.cumsum(np.fromiter(map(len, histories), np.int64, len(ids)))
        where = Places(np.append(0, ends[:-1]), ends)
        if ends[-1] > limits.max_transactions:
            raise _too_many("transactions", limits.max_transactions)
        columns = self._columns(histories, where)
        times, zoned = moments(whole(columns.pop("time")), lambda row: where.field(row, "time"))
        arrays: dict[str, pa.Array] = {"time": pa.array(times).view(pa.timestamp("us"))}
        for name, column in columns.items():
            arrays[name] = self._read(whole(column), name, where)
        moments_asked = _as_of(list(as_of), times, zoned)
        _check_order(times, moments_asked, where)
        transactions = pa.StructArray.from_arrays(list(arrays.values()), names=list(arrays))
        order = _order_of_ties(times, where, arrays)
        if order is not None:
            transactions = transactions.take(pa.array(order))
        return list(ids), FlatHistories(
            moments_asked,
            where.starts,
            where.ends,
            times,
            transactions,
            range(len(ids)),
            decisions=self._decisions(applications),
        )

    def _columns(
        self, histories: tuple[list[Any], ...], where: "Places"
    ) -> dict[str, pa.ChunkedArray]:
        """Return the fields of all transactions in Arrow."""
        dtypes = {"time": pa.string(), "amount": pa.float64()}
        dtypes |= {name: _ARROW_TYPES.get(dtype, pa.null()) for name, dtype in self.fields.items()}
        read: dict[str, list[pa.Array]] = {name: [] for name in dtypes}
        first = 0
        for rows in _batches(histories):
            # Row after row in one list, of which a column is each value after as many others as
            # there are columns: this is twice as fast as to ask each row for each field.
            values = list(chain.from_iterable(map(msgspec.structs.astuple, rows)))
            for position, name in enumerate(dtypes):
                column = values[position :: len(dtypes)]
                if self.fields.get(name) == "category":
                    for found in dict.fromkeys(type(v) for v in column if v is not None):
                        if dtypes[name] not in (pa.null(), _ARROW_CATEGORIES[found]):
                            row = first + _first_of_another_type(column, dtypes[name])
                            raise not_allowed(where.field(row, name), f"must be {LEVEL}")
                        dtypes[name] = _ARROW_CATEGORIES[found]
                read[name].append(pa.array(column, dtypes[name]))
            first += len(rows)
        return {
            name: pa.chunked_array([array.cast(dtypes[name]) for array in arrays], dtypes[name])
            for name, arrays in read.items()
        }

    def _read(self, column: pa.Array, name: str, where: "Places") -> pa.Array:
        dtype = self.fields.get(name, "number")
        if dtype == "date":
            return dates(column, name, lambda row: where.field(row, name))
        if dtype == "number":
            # Adding 0 turns -0.0 into 0.0, as to_histories does.
            numbers = column.to_numpy(zero_copy_only=False) + 0.0
            return pa.array(numbers, from_pandas=True)
        return column

    def _decisions(self, applications: tuple[Any, ...]) -> dict[str, pa.Array]:
        """Return the columns of the applications, categories as text."""
        decisions: dict[str, pa.Array] = {}
        for position, (name, dtype) in enumerate(self.columns.items()):
            values = [getattr(each, f"field_{position}") for each in applications]
            if dtype == "number":
                decisions[name] = pa.array(np.array(values, dtype=np.float64), from_pandas=True)
            else:
                texts = [str(v).lower() if isinstance(v, bool) else v for v in values]
                decisions[name] = pa.array(texts, pa.string())
        return decisions


class FeatureReader:
    """Reads requests of customers with their features.

    Parameters
    ----------
    typical : mapping of str to float, str or None
        A usual value of each feature of the model.
    used : collection of str
        Those that a request must have.
    settings : Settings
        The limits.
    """

    def __init__(
        self, typical: Mapping[str, Any], used: Collection[str], settings: Settings
    ) -> None:
        self._settings = settings
        self._used = {name: value for name, value in typical.items() if name in used}

        def dtype(value: Any) -> Any:
            return str | None if isinstance(value, str) else _Number | None

        others = [(name, dtype(value), None) for name, value in typical.items() if name not in used]
        needed = [(name, dtype(value)) for name, value in self._used.items()]
        features = _struct("Features", [*needed, *others], forbid_unknown_fields=True)
        customer = msgspec.defstruct(
            "Customer",
            [("customer_id", CustomerId), ("features", features)],
            forbid_unknown_fields=True,
        )
        self._decoder = msgspec.json.Decoder(_request(customer))

    def read(self, body: bytes) -> tuple[list[CustomerId], Columns]:
        """Return the ids of the customers of a request and their features.

        Raises
        ------
        InvalidInputError, Problem
            Names the first field at fault, and what is allowed.
        """
        customers = _decoded(self._decoder, body, self._settings)
        rows = [msgspec.structs.astuple(customer.features) for customer in customers]
        columns: Columns = {}
        for position, (name, typical) in enumerate(self._used.items()):
            values = [row[position] for row in rows]
            is_text = isinstance(typical, str)
            columns[name] = of_values(values) if is_text else np.array(values, dtype=np.float64)
        return [customer.customer_id for customer in customers], columns


class Places:
    """The places of the transactions, for naming one."""

    def __init__(self, starts: Ints, ends: Ints) -> None:
        self.starts = starts
        self.ends = ends

    def field(self, row: int, name: str) -> str:
        """Return the name of a field of the transaction in a row of the flat arrays."""
        customer = int(np.searchsorted(self.ends, row, side="right"))
        return f"customers[{customer}].transactions[{row - self.starts[customer]}].{name}"


def _decoded(decoder: msgspec.json.Decoder, body: bytes, limits: Settings) -> list[Any]:
    try:
        if not body.isascii():  # what is ignored must be text too
            text = codecs.getincrementaldecoder("utf-8")()
            for at in range(0, len(body), PIECE):
                text.decode(body[at : at + PIECE], at + PIECE >= len(body))
        customers = decoder.decode(body).customers
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise from_msgspec(error, body) from error
    if len(customers) > limits.max_customers:
        raise _too_many("customers", limits.max_customers)
    return customers


def _too_many(what: str, most: int) -> InvalidInputError:
    return InvalidInputError(f"{what} may be at most {most:,} in a request", too_large=True)


def _batches(histories: tuple[list[Any], ...]) -> Iterator[list[Any]]:
    """Give the transactions some at a time, and keep none of them."""
    rows: list[Any] = []
    for history in histories:
        rows += history
        history.clear()
        while len(rows) >= BATCH:
            yield rows[:BATCH]
            del rows[:BATCH]
    if rows:
        yield rows


def _first_of_another_type(values: list[Any], dtype: pa.DataType) -> int:
    return next(
        row
        for row, value in enumerate(values)
        if value is not None and _ARROW_CATEGORIES[type(value)] != dtype
    )


def _as_of(texts: list[str | None], times: Ints, zoned: bool) -> Ints:
    """Return the moments of decision; by default the midnight that ends the last day."""
    n_given = len(texts) - texts.count(None)
    if n_given < len(texts) and not len(times):
        place = texts.index(None)
        raise not_allowed(
            f"customers[{place}].as_of", "is required where no customer has a transaction"
        )
    as_of = np.zeros(len(texts), dtype=np.int64)
    if n_given < len(texts):
        as_of[:] = midnight_after(int(times.max()))
    if n_given:
        given = [(place, text) for place, text in enumerate(texts) if text is not None]
        places, asked = zip(*given, strict=True)
        read = moments_of_decision(
            asked, lambda row: f"customers[{places[row]}].as_of", zoned if len(times) else None
        )
        as_of[list(places)] = read
    return as_of


def _check_order(times: Ints, as_of: Ints, where: Places) -> None:
    first = np.zeros(len(times) + 1, dtype=bool)
    first[where.starts] = True
    falling = (times[1:] < times[:-1]) & ~first[1:-1]
    if falling.any():
        at = where.field(int(falling.argmax()) + 1, "time")
        raise not_allowed(at, "must not be before the transaction that precedes it in the list")
    filled = np.flatnonzero(where.ends > where.starts)
    late = filled[times[where.ends[filled] - 1] >= as_of[filled]]
    if len(late):
        at = where.field(int(where.ends[late[0]]) - 1, "time")
        raise not_allowed(at, "must be before the customer's as_of")


def _order_of_ties(times: Ints, where: Places, arrays: Mapping[str, pa.Array]) -> Ints | None:
    """Return the order of `to_histories` among a customer's transactions at one time."""
    same = times[1:] == times[:-1]
    if not same.any():
        return None
    customers = segment_of(where.starts, where.ends)
    same &= customers[1:] == customers[:-1]
    # Few are tied, and only they are sorted: NumPy holds the interpreter's lock meanwhile.
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if not len(tied):
        return None
    rows = pa.array(tied)
    further = [encode(array.take(rows))[0] for name, array in arrays.items() if name != "time"]
    order = np.arange(len(times))
    order[tied] = tied[np.lexsort((*reversed(further), times[tied], customers[tied]))]
    return order
