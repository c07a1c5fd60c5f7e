"""What times and numbers of others may be: one rule and one wording, for requests and for files."""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from rfmrisk.histories.columns import microseconds, read_times, whole
from rfmrisk.histories.segments import Ints

MOMENT = "ISO-8601 text, such as 2018-11-15T02:18:49Z"
LEVEL = "text, true or false, a whole number of 64 bits, or null, and all of one type"
LARGEST = 1e15  # beyond it sums of squares lose all meaning, and far beyond it they overflow
WITHIN = f"must be from -{LARGEST:g} to {LARGEST:g}"

# Names the field of a row.
At = Callable[[int], str]

_EARLIEST, _LATEST = (
    int(np.datetime64(day, "us").astype(np.int64)) for day in ("1900-01-01", "2200-01-01")
)
_MICROSECONDS = pa.timestamp("us")
_ZONED_MICROSECONDS = pa.timestamp("us", "UTC")
_TIME_OF_DAY = re.compile(r"\d[Tt ]\d")
_ZONED = re.compile(r"\d[Tt ]\d.*([Zz]|[+-]\d{1,2}(:?\d{2})?)\s*$")


class InvalidInputError(ValueError):
    """What somebody sent cannot be scored; what is said of it repeats none of its values.

    Parameters
    ----------
    message : str
        What is wrong and what is allowed.
    fields : mapping of str to str, default={}
        What each field at fault must be.
    too_large : bool, default=False
        Whether it is more than a limit allows.
    """

    def __init__(
        self,
        message: str,
        fields: Mapping[str, str] = MappingProxyType({}),
        *,
        too_large: bool = False,
    ) -> None:
        super().__init__(message)
        self.fields = dict(fields)
        self.too_large = too_large


def not_allowed(field: str, allowed: str) -> InvalidInputError:
    """Return the error of one field.

    Examples
    --------
    >>> not_allowed("customers[0].as_of", "must be a moment")
    InvalidInputError('customers[0].as_of must be a moment')
    """
    return InvalidInputError(f"{field or 'the body'} {allowed}", {field: allowed})


def shown(name: str) -> str:
    """Return somebody's own word for a field, of which there may be too much."""
    return name if len(name) <= 60 else f"{name[:60]}..."


def moments(texts: pa.Array, at: At) -> tuple[Ints, bool]:
    """Return texts in microseconds since 1970 UTC, and whether they have a zone."""
    zoned = len(texts) > 0 and texts[0].as_py().endswith("Z")
    try:
        read = texts.cast(_ZONED_MICROSECONDS if zoned else _MICROSECONDS)
    except pa.ArrowInvalid:
        read, zoned = _unusual(texts, at)
    times = microseconds(read)
    check_times(times, at)
    return times, zoned


def moments_of_decision(texts: Sequence[str], at: At, zoned: bool | None) -> Ints:
    """Return ``as_of`` in microseconds.

    ``zoned`` says whether the times of the transactions have a zone; None where there are none.
    A date alone is the midnight in UTC that begins it, and goes with both.
    """
    read, own = moments(pa.array(texts, pa.string()), at)
    if zoned is not None and own != zoned:
        row = next((row for row, text in enumerate(texts) if _TIME_OF_DAY.search(text)), None)
        if row is not None:
            raise not_allowed(at(row), _as_others(zoned, "the times of the transactions"))
    return read


def dates(values: pa.Array, name: str, at: At) -> pa.Array:
    """Return a field of dates, of which some may be missing, in microseconds."""
    parsed, _ = read_times(pa.chunked_array([values]), name)
    unreadable = parsed.bad & values.is_valid().to_numpy(zero_copy_only=False)
    if unreadable.any():
        raise not_allowed(at(int(unreadable.argmax())), f"must be {MOMENT}, or missing")
    return whole(parsed.converted)


def check_times(times: Ints, at: At) -> None:
    """Refuse times that nobody can mean, which would overflow."""
    if len(times) and not _EARLIEST <= times.min() <= times.max() < _LATEST:
        beyond = (times < _EARLIEST) | (times >= _LATEST)
        raise not_allowed(at(int(beyond.argmax())), "must be from 1900 to 2199")


def check_numbers(numbers: np.ndarray, at: At) -> None:
    """Refuse infinite numbers, and those that would make others so; missing ones are NaN."""
    beyond = np.abs(numbers) > LARGEST
    if beyond.any():
        raise not_allowed(at(int(beyond.argmax())), WITHIN)


def _unusual(texts: pa.Array, at: At) -> tuple[pa.ChunkedArray, bool]:
    """Read texts that are not all of one usual form."""
    parsed, zones = read_times(pa.chunked_array([texts]), "time")
    if parsed.bad.any():
        raise not_allowed(at(int(parsed.bad.argmax())), f"must be {MOMENT}")
    if zones.with_ and zones.without:
        zoned = [bool(_ZONED.search(text)) for text in texts.to_pylist()]
        raise not_allowed(at(zoned.index(not zoned[0])), _as_others(zoned[0], at(0)))
    return parsed.converted, zones.with_ > 0


def _as_others(zoned: bool, others: str) -> str:
    verb = "have" if others.endswith("s") else "has"
    if zoned:
        return f"must have a zone, such as Z or +01:00, because {others} {verb} one"
    return f"must have no zone, because {others} {verb} none"
