"""Errors as problem details (RFC 9457) that name the field and what is allowed."""

import re
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec

from rfmrisk.scoring.values import LEVEL, WITHIN, InvalidInputError, not_allowed, shown

MEDIA_TYPE = "application/problem+json"

_PATH = re.compile(r"(.*) - at `(?:key in )?\$\.?(.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(.+)`, got `(.+)`")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_STOPPED = re.compile(r"\(byte (\d+)\)")
_NON_FINITE = re.compile(rb"NaN|Infinity")
_TOKEN = re.compile(rb'[][{},:]|"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BOUND = re.compile(r"Expected `(float|int)` [<>]= .+")
_EMPTY = "Expected `array` of length >= 1"
_FINITE = "must be finite: no NaN, no infinity, no number beyond 64 bits"
# To name a field takes a second for each ten million bytes before it.
_MOST_BYTES = 16_000_000
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
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.fields:
            body["errors"] = [{"field": at, "allowed": what} for at, what in self.fields.items()]
        return msgspec.json.encode(body)


def of_input(error: InvalidInputError) -> Problem:
    """Return the problem of what was sent."""
    return Problem(413 if error.too_large else 422, str(error), error.fields)


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
        at = _place_of_non_finite(error, body)
        if at is not None:
            return not_allowed(at, _FINITE)
        return Problem(400, f"the body is not JSON in UTF-8: {_reason(error)}")
    told = _PATH.fullmatch(str(error))
    message, path = (told[1], told[2]) if told else (str(error), "")
    if message == "Number out of range":
        return not_allowed(path, _FINITE)
    if message == _EMPTY:
        return not_allowed(path, "must be a list of at least one customer")
    for pattern, allowed in ((_MISSING, "is required"), (_UNKNOWN, "is not a known field")):
        named = pattern.fullmatch(message)
        if named:
            return not_allowed(f"{path}.{shown(named[1])}".removeprefix("."), allowed)
    beyond = _BOUND.fullmatch(message)
    if beyond:
        return not_allowed(path, WITHIN if beyond[1] == "float" else f"must be {LEVEL}")
    kinds = _EXPECTED.fullmatch(message)
    if kinds:
        return not_allowed(path, f"must be {_told(kinds[1])}; got {_told(kinds[2])}")
    return not_allowed(path, f"cannot be read: {message}")


def _place_of_non_finite(error: Exception, body: bytes) -> str | None:
    """Return the field of the NaN or infinity at which msgspec stopped, if it stopped at one."""
    stopped = _STOPPED.search(str(error))
    if not stopped or not _NON_FINITE.match(body, int(stopped[1])):
        return None
    end = int(stopped[1])
    return _field_at(body, end) if end <= _MOST_BYTES else f"the number at byte {end:,}"


def _field_at(body: bytes, end: int) -> str:
    """Return the name of the field whose value begins where JSON is read to.

    All before it is sound JSON, so brackets and commas tell the place; nothing is decoded, and
    no nesting is too deep.
    """
    steps: list[int | bytes] = []
    text = b""
    for token in _TOKEN.finditer(body, 0, end):
        sign = token[0]
        if sign in (b"{", b"["):
            steps.append(0 if sign == b"[" else b"")
        elif sign in (b"}", b"]"):
            steps.pop()
        elif sign == b",":
            last = steps[-1]
            if isinstance(last, int):
                steps[-1] = last + 1
        elif sign == b":":
            steps[-1] = text
        else:
            text = sign
    names = [
        f"[{step}]" if isinstance(step, int) else f".{shown(msgspec.json.decode(step, type=str))}"
        for step in steps[:_MOST_STEPS]
    ]
    return "".join(names).removeprefix(".") + ("..." if len(steps) > _MOST_STEPS else "")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeError):
        return "its bytes are not UTF-8"
    return str(error).removeprefix("JSON is malformed: ")


def _told(kinds: str) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds.split(" | "))
