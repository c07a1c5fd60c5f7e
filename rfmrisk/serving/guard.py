"""What stands before every request: keys, rates, overload, headers, the log, the last net."""

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from litestar.exceptions import LitestarException
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send
from litestar.utils.path import normalize_path

from rfmrisk.serving.log_config import access_log
from rfmrisk.serving.monitor import RequestMonitor
from rfmrisk.serving.problems import MEDIA_TYPE, Problem
from rfmrisk.serving.settings import Settings

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_STORE = (b"cache-control", b"no-store")
_POLICY_DATA = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_POLICY_PAGE = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'",
)
_MOST_CLIENTS = 10_000
PART = 65_536  # bytes of an answer that are sent at once
CLIENT_GONE = 499  # as proxies count it


class ApiKeys:
    """Tell known keys from others, by their hashes and in constant time."""

    def __init__(self, hashes: Iterable[bytes]) -> None:
        self._hashes = tuple(hashes)

    def __bool__(self) -> bool:
        """Whether there are any keys."""
        return bool(self._hashes)

    def find(self, key: bytes) -> str | None:
        """Return the start of the hash of a known key, by which logs name it, or None."""
        digest = hashlib.sha256(key).digest()
        found = None
        for known in self._hashes:  # all of them, so that time tells nothing
            if hmac.compare_digest(known, digest):
                found = known.hex()[:8]
        return found


class RateLimiter:
    """A bucket for each client that holds a minute's requests and fills steadily."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, now: float) -> float:
        """Take one request from a client's bucket; return 0, or the seconds to wait."""
        left = self._level(client, now)
        taken = left >= 1
        self._buckets.pop(client, None)
        self._buckets[client] = (left - taken, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) * 60 / self.per_minute

    def left(self, client: str, now: float) -> float:
        """Return 0 where a client's bucket holds a request, or the seconds to wait."""
        return max(1 - self._level(client, now), 0.0) * 60 / self.per_minute

    def _level(self, client: str, now: float) -> float:
        full = float(self.per_minute)
        left, since = self._buckets.get(client, (full, now))
        return min(left + (now - since) * self.per_minute / 60, full)


class Guesses:
    """Wrong keys by address: beyond a limit only keys are heard that the address has used before.

    A right one among many guesses is refused like the others, so that it is not found; those
    behind the same proxy, whose keys are known, are answered as before.
    """

    def __init__(self, per_minute: int) -> None:
        self._rates = RateLimiter(per_minute)
        self._used: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, address: str, key: str | None, now: float) -> float:
        """Return 0 where a key, None for a wrong one, is heard, or the seconds to wait."""
        if key is None:
            return self._rates.wait(address, now)
        if (address, key) not in self._used and (seconds := self._rates.left(address, now)):
            return seconds
        self._used[address, key] = None
        if len(self._used) > _MOST_CLIENTS:
            self._used.popitem(last=False)
        return 0.0


class Guard:
    """Wrap an app; see the module.

    Parameters
    ----------
    settings : Settings
    requests : RequestMonitor
    routes : mapping of str to bool
        The paths of the app, which logs and metrics may name, and whether each asks for a key.
        All others do, but for those within an open path that ends in a parameter.
    """

    def __init__(
        self, settings: Settings, requests: RequestMonitor, routes: Mapping[str, bool]
    ) -> None:
        self.settings = settings
        self.requests = requests
        self.routes = {path: closed for path, closed in routes.items() if "{" not in path}
        self._open_folders = tuple(
            path.partition("{")[0] for path, closed in routes.items() if "{" in path and not closed
        )
        self.keys = ApiKeys(settings.key_hashes)
        self.rates = RateLimiter(settings.rate_limit) if settings.rate_limit else None
        self.guesses = Guesses(settings.guess_limit) if settings.guess_limit else None
        self.waiting = 0
        self.draining = False

    async def __call__(self, app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Let a request through to the app, or refuse it."""
        began = time.perf_counter()
        path, headers = normalize_path(scope["path"]), dict(scope["headers"])
        given_id = headers.get(b"x-request-id", b"")
        request_id = given_id if _REQUEST_ID.fullmatch(given_id) else secrets.token_hex(8).encode()
        scope["state"]["request_id"] = request_id.decode()
        scope["state"]["client"] = None
        status, gone = 0, False
        # What answers GET answers HEAD as well, without the body.
        head = scope["method"] == "HEAD"

        async def receive_on() -> Any:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            return message

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._headers(message, request_id)
            elif head:
                message["body"] = b""  # type: ignore[typeddict-unknown-key]
            elif message["type"] == "http.response.body" and len(message["body"]) > PART:
                await _send_in_parts(message, send)
                return
            await send(message)

        held = not self._is_open(path)
        self.waiting += held
        try:
            # What has arrived is counted before any of it is worked on: this is the queue.
            await asyncio.sleep(0)
            problem = self._refusal(scope, path, headers, began)
            if problem:
                await send_problem(problem, request_id.decode(), send_on)
            else:
                asked: Any = {**scope, "method": "GET"} if head else scope
                await app(asked, receive_on, send_on)
        except Exception as error:
            if gone:
                return
            # Only the kind: a message or a trace may hold a customer's data.
            logger.error("request %s failed: %s", request_id.decode(), place_of(error))
            if not status:
                problem = Problem(500, "the request could not be answered; the log has its id")
                await send_problem(problem, request_id.decode(), send_on)
            else:
                raise ConnectionAbortedError("the answer broke off") from None
        finally:
            self.waiting -= held
            if "place" in scope["state"]:
                scope["state"].pop("place").give_back()
            # Who went away before the answer has made no fault of ours.
            status = CLIENT_GONE if gone and status in (0, 500) else status
            self._record(scope, path, status, time.perf_counter() - began)

    def _refusal(
        self, scope: HTTPScope, path: str, headers: dict[bytes, bytes], now: float
    ) -> Problem | None:
        if self._is_open(path):
            return None
        if self.waiting > self.settings.max_waiting:
            return overloaded()
        client = scope.get("client")
        name = address = client[0] if client else "unknown"
        unknown = None
        if self.keys:
            key = headers.get(b"x-api-key")
            found = self.keys.find(key) if key else None
            # A request without a key is no guess.
            if self.guesses and key and (seconds := self.guesses.wait(address, found, now)):
                return _too_many("wrong keys came from this address", seconds)
            if found:
                scope["state"]["client"] = name = found
            else:
                detail = "the header X-API-Key must hold a valid key"
                unknown = Problem(401, detail, headers={"WWW-Authenticate": "X-API-Key"})
        if self.rates and (seconds := self.rates.wait(name, now)):
            limit = self.settings.rate_limit
            return _too_many(f"requests came; at most {limit} a minute are allowed", seconds)
        return unknown

    def _is_open(self, path: str) -> bool:
        return not self.routes.get(path, not path.startswith(self._open_folders))

    def _headers(self, message: Message, request_id: bytes) -> list[tuple[bytes, bytes]]:
        own = list(message["headers"])  # type: ignore[typeddict-item]
        names = {name.lower(): value for name, value in own}
        page = names.get(b"content-type", b"").startswith(b"text/html")
        own += [*SECURITY, _POLICY_PAGE if page else _POLICY_DATA, (b"x-request-id", request_id)]
        if b"cache-control" not in names:
            own.append(_NO_STORE)
        if self.draining:
            own.append((b"connection", b"close"))
        return own

    def _record(self, scope: HTTPScope, path: str, status: int, seconds: float) -> None:
        # Other paths are the client's own words, and may say anything.
        route = path if path in self.routes else "other"
        self.requests.add(scope["method"], route, status, seconds)
        if access_log.isEnabledFor(logging.INFO):
            line = {
                "time": round(time.time(), 3),
                "request_id": scope["state"]["request_id"],
                "client": scope["state"]["client"],
                "method": scope["method"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 2),
            }
            access_log.info(msgspec.json.encode(line).decode())


async def _send_in_parts(message: Any, send: Send) -> None:
    """Send a long body as it is read: what a client does not read is not copied for it."""
    body = memoryview(message["body"])
    for start in range(0, len(body), PART):
        more = start + PART < len(body) or message.get("more_body", False)
        part = bytes(body[start : start + PART])
        await send({"type": "http.response.body", "body": part, "more_body": more})


def overloaded() -> Problem:
    """Return the answer of a worker that has enough to do."""
    return Problem(503, "too many requests are waiting; try again", headers={"Retry-After": "1"})


def _too_many(what: str, seconds: float) -> Problem:
    return Problem(429, f"too many {what}", headers={"Retry-After": str(int(seconds) + 1)})


async def send_problem(problem: Problem, request_id: str, send: Send) -> None:
    """Answer with a problem."""
    body = problem.encode(request_id)
    headers = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        **problem.headers,
    }
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def place_of(error: BaseException) -> str:
    """Return the kind of an error and the line it came from, without its message."""
    # What fails amid a stream comes wrapped: in Litestar's word for that, and in groups.
    while inner := _inner(error):
        error = inner
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    # The name of the file, and not where it lies.
    at = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown"
    return f"{type(error).__name__} at {at}"


def _inner(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    return error.__cause__ if isinstance(error, LitestarException) else None
