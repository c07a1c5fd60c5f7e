"""From the bytes of a request to flat arrays or features, checked field by field.

msgspec decodes only the fields that the model uses, and holds them to their types and ranges; the
same types are the schema of the request. What to_histories guarantees is checked here and named by
field: the order of the transactions, and that all lie before ``as_of``.
"""

import codecs
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import chain
from types import MappingProxyType, NoneType
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from rfmrisk.aggregation.base import FieldType
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.histories.nesting import break_ties
from rfmrisk.histories.segments import Ints
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
At = Callable[[str, int], str]  # names a field of the transaction in a row of the flat arrays

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
_ARROW_TYPES = {"number": pa.float64(), "date": pa.string(), "text": pa.string()}
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


def _request(*fields: tuple) -> Any:
    own = [("customer_id", CustomerId), *fields]
    customer: Any = msgspec.defstruct("Customer", own, forbid_unknown_fields=True)
    customers = Annotated[list[customer], Meta(min_length=1)]
    return msgspec.defstruct("Request", [("customers", customers)], forbid_unknown_fields=True)


class BodyReader:
    """Reads requests for a model.

    ``fields`` are those of a transaction that the model uses beside time and amount, ``columns``
    those of the application, each with what it must hold; ``ignored`` are columns that an
    application may have. ``request`` is the type of a whole request.
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
        self.request = _request(
            ("transactions", list[transaction]),  # type: ignore[valid-type]
            needed or ("application", application | None, None),
            ("as_of", _AS_OF | None, None),
        )
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
        ids, histories, applications, asked = zip(
            *map(msgspec.structs.astuple, customers), strict=True
        )
        lengths = np.fromiter(map(len, histories), np.int64, len(ids))
        ends = np.cumsum(lengths)
        starts = ends - lengths
        if ends[-1] > limits.max_transactions:
            raise _too_many("transactions", limits.max_transactions)

        def at(name: str, row: int) -> str:
            customer = int(np.searchsorted(ends, row, side="right"))
            return f"customers[{customer}].transactions[{row - starts[customer]}].{name}"

        columns = self._columns(histories, at)
        times, zoned = moments(columns.pop("time"), partial(at, "time"))
        as_of = _as_of(asked, times, zoned)
        first = np.zeros(len(times) + 1, dtype=bool)
        first[starts] = first[-1] = True
        falling = (times[1:] < times[:-1]) & ~first[1:-1]
        if falling.any():
            told = "must not be before the transaction that precedes it in the list"
            raise not_allowed(at("time", int(falling.argmax()) + 1), told)
        last = ends[lengths > 0] - 1
        late = last[times[last] >= as_of[lengths > 0]]
        if len(late):
            raise not_allowed(at("time", int(late[0])), "must be before the customer's as_of")
        arrays = [pa.array(times).view(pa.timestamp("us")), *columns.values()]
        transactions = pa.StructArray.from_arrays(arrays, names=["time", *columns])
        first[1:-1] |= times[1:] != times[:-1]
        if not first.all():
            order = np.arange(len(times))
            break_ties(order, first, arrays[1:])
            transactions = transactions.take(pa.array(order))
        decisions = self._decisions(applications)
        index = range(len(ids))
        return list(ids), FlatHistories(
            as_of, starts, ends, times, transactions, index, decisions=decisions
        )

    def _columns(self, histories: tuple[list[Any], ...], at: At) -> dict[str, pa.Array]:
        """Return the fields of all transactions, the time as text."""
        dtypes = {"time": "text", "amount": "number", **self.fields}
        read: dict[str, list[pa.Array]] = {name: [] for name in dtypes}
        types: dict[str, dict[type, None]] = {name: {} for name in dtypes}
        first = 0
        for rows in _batches(histories):
            # Row after row in one list, of which a column is each value after as many others as
            # there are columns: this is twice as fast as to ask each row for each field.
            values = list(chain.from_iterable(map(msgspec.structs.astuple, rows)))
            for position, (name, dtype) in enumerate(dtypes.items()):
                column = values[position :: len(dtypes)]
                arrow = _ARROW_TYPES.get(dtype)
                if dtype == "category":
                    found = types[name]
                    found |= dict.fromkeys(map(type, column))
                    found.pop(NoneType, None)
                    if len(found) > 1:
                        row = first + [*map(type, column)].index([*found][1])
                        raise not_allowed(at(name, row), f"must be {LEVEL}")
                    arrow = _ARROW_CATEGORIES[next(iter(found))] if found else pa.null()
                read[name].append(pa.array(column, arrow))
            first += len(rows)
        columns = {}
        for name, arrays in read.items():
            column = pa.concat_arrays([array.cast(arrays[-1].type) for array in arrays])
            if dtypes[name] == "date":
                column = dates(column, name, partial(at, name))
            elif dtypes[name] == "number":
                # Adding 0 turns -0.0 into 0.0, as to_histories does.
                numbers = column.to_numpy(zero_copy_only=False) + 0.0
                column = pa.array(numbers, from_pandas=True)
            columns[name] = column
        return columns

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

    ``typical`` has a usual value of each feature of the model; a request must have the ``used``.
    ``request`` is the type of a whole request.
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
        features = _struct(
            "Features",
            [*needed, *others],
            "By the names that /model lists; null is missing.",
            forbid_unknown_fields=True,
        )
        self.request = _request(("features", features))
        self._decoder = msgspec.json.Decoder(self.request)

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
        while len(rows) > BATCH:
            yield rows[:BATCH]
            del rows[:BATCH]
    yield rows


def _as_of(texts: tuple[str | None, ...], times: Ints, zoned: bool) -> Ints:
    """Return the moments of decision; by default the midnight that ends the last day."""
    given = [place for place, text in enumerate(texts) if text is not None]
    as_of = np.zeros(len(texts), dtype=np.int64)
    if len(given) < len(texts):
        if not len(times):
            field = f"customers[{texts.index(None)}].as_of"
            raise not_allowed(field, "is required where no customer has a transaction")
        as_of[:] = midnight_after(int(times.max()))
    if given:
        as_of[given] = moments_of_decision(
            [text for text in texts if text is not None],
            lambda row: f"customers[{given[row]}].as_of",
            zoned if len(times) else None,
        )
    return as_of
