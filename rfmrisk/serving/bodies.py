"""From the bytes of a request to flat arrays: the strict door of the app.

msgspec decodes only the fields that the model uses; times, levels and numbers go straight into
the arrays that the aggregators compute on. What to_histories guarantees is checked here and
named by field: the order of the transactions, and that all lie before ``as_of``.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from rfmrisk.aggregation.base import FieldType
from rfmrisk.histories.columns import whole
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.histories.ranks import encode
from rfmrisk.histories.segments import Ints, segment_of
from rfmrisk.histories.timestamps import midnight_after
from rfmrisk.scoring.values import (
    LEVEL,
    InvalidInputError,
    check_numbers,
    dates,
    moments,
    moments_of_decision,
    not_allowed,
)
from rfmrisk.serving.problems import from_msgspec
from rfmrisk.serving.settings import Settings

CustomerId = str | int

# A larger body is decoded in pieces of about this size: msgspec holds the interpreter's lock while
# it decodes, and all other requests wait. A whole body of 86 MB would hold it for 0.3 CPU seconds;
# in pieces /health takes 2 ms in the median beside three of them (python -m benchmarks serving).
PIECE = 256_000
# Who gives the lock back often, and takes it at once again, leaves none to a thread that must wake
# up first: so many seconds between two pieces are time enough.
_BREATH = 0.0002

_HEAD = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"customers"[ \t\r\n]*:[ \t\r\n]*\[')
_TAIL = re.compile(rb"\][ \t\r\n]*\}[ \t\r\n]*\Z")
_BETWEEN = re.compile(
    rb'\}[ \t\r\n]*(,)[ \t\r\n]*\{[ \t\r\n]*"(?:customer_id|as_of|application|'
    rb'transactions|features)"[ \t\r\n]*:'
)
_JSON_TYPES: dict[FieldType, Any] = {
    "number": float | None,
    "category": str | int | bool | None,
    "date": str | None,
}
_APPLICATION_TYPES: dict[FieldType, Any] = {"number": float | None, "category": str | bool | None}


@dataclass
class Decoded:
    """The customers of a request, as they came."""

    ids: list[CustomerId]
    as_of: list[str | None]
    applications: list[Any]
    lengths: list[int]
    columns: dict[str, list[pa.Array]] = field(default_factory=dict)  # of each piece


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
    """

    def __init__(
        self,
        fields: Mapping[str, FieldType],
        settings: Settings,
        columns: Mapping[str, FieldType] = MappingProxyType({}),
        ignored: Collection[str] = (),
    ) -> None:
        self.fields = fields
        self.settings = settings
        self.columns = columns
        self.ignored = ignored
        # Field names of a log need not be Python names, so they are the encoded ones.
        attributes = {name: f"field_{place}" for place, name in enumerate(fields)}
        further = [(attributes[name], _JSON_TYPES[kind]) for name, kind in fields.items()]
        # In Arrow; levels are what they are found to be.
        self._kinds: dict[str, pa.DataType | None] = {"time": pa.string(), "amount": pa.float64()}
        arrow = {"number": pa.float64(), "category": None, "date": pa.string()}
        self._kinds |= {name: arrow[kind] for name, kind in fields.items()}
        transaction = msgspec.defstruct(
            "Transaction",
            [("time", str), ("amount", float), *further],
            rename={attribute: name for name, attribute in attributes.items()},
            gc=False,
        )
        application = _application(columns, ignored)
        customer = msgspec.defstruct(
            "Customer",
            [
                ("customer_id", CustomerId),
                ("transactions", list[transaction]),  # type: ignore[valid-type]
                ("application", application)
                if columns
                else ("application", application | None, None),
                ("as_of", str | None, None),
            ],
            forbid_unknown_fields=True,
        )
        request: Any = msgspec.defstruct(
            "PredictRequest",
            [("customers", list[customer])],  # type: ignore[valid-type]
            forbid_unknown_fields=True,
        )
        self._whole = msgspec.json.Decoder(request)
        self._piece = msgspec.json.Decoder(list[customer])  # type: ignore[valid-type]

    def read(self, body: bytes) -> tuple[list[CustomerId], FlatHistories]:
        """Return the ids of the customers of a request and their histories.

        Raises
        ------
        Problem
            Names the first field at fault, and what is allowed.
        """
        decoded = self._decode(body)
        return decoded.ids, self._histories(decoded)

    def _histories(self, decoded: Decoded) -> FlatHistories:
        ends = np.cumsum(np.array(decoded.lengths, dtype=np.int64))
        starts = ends - decoded.lengths
        where = Places(starts, ends)
        columns = decoded.columns
        texts = whole(pa.chunked_array(columns["time"]))
        times, zoned = moments(texts, lambda row: where.field(row, "time"))
        as_of = _as_of(decoded.as_of, times, zoned)
        arrays: dict[str, pa.Array] = {"time": pa.array(times).view(pa.timestamp("us"))}
        for name in ("amount", *self.fields):
            read = _READERS[self.fields.get(name, "number")]
            arrays[name] = read(columns[name], name, where)
        _check_order(times, as_of, where)
        transactions = pa.StructArray.from_arrays(list(arrays.values()), names=list(arrays))
        order = _order_of_ties(times, where, arrays)
        if order is not None:
            transactions = transactions.take(pa.array(order))
        return FlatHistories(
            as_of,
            starts,
            ends,
            times,
            transactions,
            range(len(decoded.ids)),
            decisions=self._decisions(decoded.applications),
        )

    def _decisions(self, applications: list[Any]) -> dict[str, pa.Array]:
        """Return the columns of the applications, categories as text."""
        decisions: dict[str, pa.Array] = {}
        for position, (name, dtype) in enumerate(self.columns.items()):
            values = [getattr(each, f"column_{position}") for each in applications]
            if dtype == "number":
                numbers = np.array(values, dtype=np.float64)
                check_numbers(
                    numbers,
                    lambda row, name=name: f"customers[{row}].application.{name}",  # type: ignore[misc]
                )
                decisions[name] = pa.array(numbers, from_pandas=True)
            else:
                texts = [str(v).lower() if isinstance(v, bool) else v for v in values]
                decisions[name] = pa.array(texts, pa.string())
        return decisions

    def _decode(self, body: bytes) -> Decoded:
        limits = self.settings
        # Each transaction and each customer is an object, and has one application at most.
        if body.count(b"{") > limits.max_transactions + 2 * limits.max_customers + 1:
            raise _too_many_transactions(limits)
        return decoded_by(self._whole, self._piece, body, self._collect)

    def _collect(self, pieces: Iterator[list[Any]]) -> Decoded:
        decoded = Decoded([], [], [], [])
        decoded.columns = {name: [] for name in self._kinds}
        limits, total = self.settings, 0
        for customers in pieces:
            if not customers:
                continue
            of_each = map(msgspec.structs.astuple, customers)
            ids, histories, applications, as_of = zip(*of_each, strict=True)
            decoded.ids += ids
            decoded.applications += applications
            decoded.as_of += as_of
            decoded.lengths += map(len, histories)
            rows = list(chain.from_iterable(histories))
            total += len(rows)
            check_customers(len(decoded.ids), limits)
            if total > limits.max_transactions:
                raise _too_many_transactions(limits)
            # Row after row in one list, of which a column is every so-manieth value: this is
            # twice as fast as to ask each row for each field.
            values = list(chain.from_iterable(map(msgspec.structs.astuple, rows)))
            for place, (name, kind) in enumerate(self._kinds.items()):
                column = values[place :: len(self._kinds)]
                read = pa.array(column, kind) if kind else _level_array(column, name, decoded)
                decoded.columns[name].append(read)
        if not decoded.ids:
            raise not_allowed("customers", "must be a list of at least one customer")
        return decoded


def decoded_by(
    whole: msgspec.json.Decoder,
    piece: msgspec.json.Decoder,
    body: bytes,
    collect: Callable[[Iterator[list[Any]]], Any],
) -> Any:
    """Decode the customers of a body, a large one in pieces, and collect them.

    Raises
    ------
    InvalidInputError, Problem
        Names the first field at fault, and what is allowed.
    """
    try:
        if not body.isascii():
            str(body, "utf-8")
        if len(body) > PIECE:
            try:
                return collect(map(piece.decode, _pieces(body)))
            except msgspec.DecodeError:
                # A boundary lay inside a text, or the body is bad: the whole of it tells.
                pass
        return collect(iter([whole.decode(body).customers]))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise from_msgspec(error, body) from error


def check_customers(n: int, limits: Settings) -> None:
    """Refuse more customers than there may be in a request."""
    if n > limits.max_customers:
        raise InvalidInputError(
            f"customers may be at most {limits.max_customers:,} in a request", too_large=True
        )


def _too_many_transactions(limits: Settings) -> InvalidInputError:
    return InvalidInputError(
        f"transactions may be at most {limits.max_transactions:,} in a request", too_large=True
    )


def _application(columns: Mapping[str, FieldType], ignored: Collection[str]) -> Any:
    """Return the type of an application: what the model uses is required."""
    used: list[Any] = [
        (f"column_{position}", _APPLICATION_TYPES[dtype])
        for position, dtype in enumerate(columns.values())
    ]
    unused: list[Any] = [(f"ignored_{position}", Any, None) for position in range(len(ignored))]
    names = dict(zip([name for name, *_ in [*used, *unused]], [*columns, *ignored], strict=True))
    return msgspec.defstruct(
        "Application", [*used, *unused], rename=names, forbid_unknown_fields=True, gc=False
    )


class Places:
    """The places of the transactions, for naming one."""

    def __init__(self, starts: Ints, ends: Ints) -> None:
        self.starts = starts
        self.ends = ends

    def field(self, row: int, name: str) -> str:
        """Return the name of a field of the transaction in a row of the flat arrays."""
        customer = int(np.searchsorted(self.ends, row, side="right"))
        return f"customers[{customer}].transactions[{row - self.starts[customer]}].{name}"


def _pieces(body: bytes) -> Iterator[bytes]:
    """Cut the list of customers between customers, about every `PIECE` bytes.

    Where every piece is a whole list of customers, so is the body: each then ends outside of
    any text or bracket. A cut that a text has feigned leaves a piece that cannot be decoded.
    """
    head, tail = _HEAD.match(body), _TAIL.search(body, len(body) - 64)
    if not head or not tail:
        raise msgspec.DecodeError("the customers are not all that the body holds")
    start, end = head.end(), tail.start()
    at = start + PIECE
    while at < end:
        cut = _BETWEEN.search(body, at, min(at + PIECE, end))
        if cut:
            yield b"[%b]" % body[start : cut.start(1)]
            start = at = cut.end(1)
            time.sleep(_BREATH)
        at += PIECE
    yield b"[%b]" % body[start:end]


def _level_array(values: Sequence[Any], name: str, decoded: Decoded) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError):
        # Whole numbers beyond 64 bits, or levels of more than one type.
        counts = np.array(decoded.lengths, dtype=np.int64)
        ends = np.cumsum(counts)
        first = type(next(value for value in values if value is not None))
        rows = (row for row, value in enumerate(values) if not _fits(value, first))
        row = int(ends[-1]) - len(values) + next(rows)
        at = Places(ends - counts, ends).field(row, name)
        raise not_allowed(at, f"must be {LEVEL}") from None


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return False
    return value is None or type(value) is kind


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


def _numbers(pieces: list[pa.Array], name: str, where: Places) -> pa.Array:
    # Adding 0 turns -0.0 into 0.0, as to_histories does.
    numbers = np.concatenate([piece.to_numpy(zero_copy_only=False) for piece in pieces]) + 0.0
    check_numbers(numbers, lambda row: where.field(row, name))
    return pa.array(numbers, from_pandas=True)


def _levels(pieces: list[pa.Array], name: str, where: Places) -> pa.Array:
    if len(pieces) == 1:
        return pieces[0]
    kinds = [piece.type for piece in pieces]
    kind = next((kind for kind in kinds if not pa.types.is_null(kind)), pa.null())
    row = 0
    for piece in pieces:
        if piece.type != kind and not pa.types.is_null(piece.type):
            raise not_allowed(where.field(row, name), f"must be {LEVEL}")
        row += len(piece)
    known = [piece if piece.type == kind else piece.cast(kind) for piece in pieces]
    return whole(pa.chunked_array(known, kind))


def _dates(pieces: list[pa.Array], name: str, where: Places) -> pa.Array:
    texts = whole(pa.chunked_array(pieces, pa.string()))
    return dates(texts, name, lambda row: where.field(row, name))


_READERS = {"number": _numbers, "category": _levels, "date": _dates}


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
