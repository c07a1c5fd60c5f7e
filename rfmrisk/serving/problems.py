"""Errors as problem details (RFC 9457) that name the field and what is allowed."""

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response

from rfmrisk.scoring.values import LEVEL, WITHIN, InvalidInputError, not_allowed, shown

MEDIA_TYPE = "application/problem+json"

_PATH = re.compile(r"(.*) - at `(?:key in )?\$\.?(.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(.+)`, got `(.+)`")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_BOUND = re.compile(r"Expected `(float|int)` [<>]= .+")
_EMPTY = "Expected `array` of length >= 1"
_STOPPED = re.compile(r"\(byte (\d+)\)")
_NON_FINITE = re.compile(rb"NaN|Infinity")
_FINITE = "must be finite: no NaN, no infinity, no number beyond 64 bits"
_MOST_BYTES = 1_000_000  # of a body that is decoded anew to name a field: it holds up others
_MOST_STEPS = 10
_KINDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}


class FieldError(msgspec.Struct):
    """A field at fault."""

    field: str
    allowed: str


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldError] | None = None


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - the RFC's own word
    """A request that cannot be answered.

    Attributes
    ----------
    status : int
    detail : str
        What is wrong and what is allowed; never a value of the request.
    fields : dict
        What each field at fault must be.
    headers : dict
    """

    status: int
    detail: str
    fields: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self, request_id: str) -> bytes:
        """Return the body of the answer."""
        title = HTTPStatus(self.status).phrase
        errors = [FieldError(at, what) for at, what in self.fields.items()] or None
        details = ProblemDetails("about:blank", title, self.status, self.detail, request_id, errors)
        return msgspec.json.encode(details)

    def answer(self, request_id: str) -> Response[bytes]:
        """Return the answer."""
        body = self.encode(request_id)
        return Response(body, status_code=self.status, media_type=MEDIA_TYPE, headers=self.headers)


def from_msgspec(error: Exception, body: bytes) -> Problem | InvalidInputError:
    """Return what msgspec says of a body.

    Examples
    --------
    >>> class Payment(msgspec.Struct, forbid_unknown_fields=True):
    ...     amount: float
    >>> for body in (b'{"amount": "1"}', b'{}', b'{"amount": NaN}', b'{"amount": 1, "b": 2}'):
    ...     try:
    ...         msgspec.json.decode(body, type=Payment)
    ...     except msgspec.DecodeError as error:
    ...         print(from_msgspec(error, body))
    amount must be a number; got text
    amount is required
    amount must be finite: no NaN, no infinity, no number beyond 64 bits
    b is not a known field
    """
    if not isinstance(error, msgspec.ValidationError):
        stopped = _STOPPED.search(str(error))
        if stopped and _NON_FINITE.match(body, int(stopped[1])):
            at = _field_of_non_finite(body) or f"the number at byte {int(stopped[1]):,}"
            return not_allowed(at, _FINITE)
        return Problem(400, f"the body is not JSON in UTF-8: {_reason(error)}")
    told = _PATH.fullmatch(str(error))
    message, path = (told[1], told[2]) if told else (str(error), "")
    if message == "Number out of range":
        return not_allowed(path, _FINITE)
    if message == _EMPTY:
        return not_allowed(path, "must be a list of at least one customer")
    for pattern, allowed in ((_MISSING, "is required"), (_UNKNOWN, "is not a known field")):
        if named := pattern.fullmatch(message):
            return not_allowed(f"{path}.{shown(named[1])}".removeprefix("."), allowed)
    if beyond := _BOUND.fullmatch(message):
        return not_allowed(path, WITHIN if beyond[1] == "float" else f"must be {LEVEL}")
    if kinds := _EXPECTED.fullmatch(message):
        return not_allowed(path, f"must be {_told(kinds[1])}; got {_told(kinds[2])}")
    return not_allowed(path, f"cannot be read: {message}")


def _field_of_non_finite(body: bytes) -> str | None:
    """Return the field of the first NaN or infinity; None in what is long, or cannot be read."""
    if len(body) > _MOST_BYTES:
        return None
    try:
        content = json.loads(body, parse_constant=lambda _: _NON_FINITE)
    except (ValueError, RecursionError):
        return None
    left: list[tuple[tuple[str, ...], Any]] = [((), content)]
    while left:
        steps, value = left.pop()
        if value is _NON_FINITE:
            return "".join(steps).removeprefix(".")
        items: list[tuple[str, Any]] = []
        if isinstance(value, dict):
            items = [(f".{shown(name)}", each) for name, each in value.items()]
        elif isinstance(value, list):
            items = [(f"[{place}]", each) for place, each in enumerate(value)]
        for step, each in reversed(items):
            longer = (*steps, step if len(steps) < _MOST_STEPS else "...")
            left.append((longer[: _MOST_STEPS + 1], each))
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeError):
        return "its bytes are not UTF-8"
    return str(error).removeprefix("JSON is malformed: ")


def _told(kinds: str) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds.split(" | "))
