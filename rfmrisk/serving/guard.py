"""What stands before every request: keys, rates, overload, headers and the log."""

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
import traceback
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import LitestarException
from litestar.types import ASGIApp, HTTPScope, Receive, Send
from litestar.utils.path import normalize_path

from rfmrisk.serving.log_config import access_log
from rfmrisk.serving.monitor import RequestMonitor
from rfmrisk.serving.problems import Problem
from rfmrisk.serving.settings import Settings

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
_POLICY_DATA = b"default-src 'none'; frame-ancestors 'none'"
_POLICY_PAGE = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)
_MOST_CLIENTS = 10_000
PART = 65_536  # bytes of an answer that are sent at once
CLIENT_GONE = 499  # as proxies count it


def find_key(hashes: Iterable[bytes], key: bytes) -> str | None:
    """Return the start of the hash of a known key, by which logs name it, or None."""
    digest = hashlib.sha256(key).digest()
    # All of them are compared, so that the time tells nothing.
    found = [known for known in hashes if hmac.compare_digest(known, digest)]
    return found[0].hex()[:8] if found else None


class RateLimiter:
    """A bucket for each client that holds a minute's requests and fills steadily."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, now: float, *, take: bool = True) -> float:
        """Return 0, and take one request from a client's bucket, or the seconds to wait."""
        full = float(self.per_minute)
        left, since = self._buckets.pop(client, (full, now))
        left = min(left + (now - since) * full / 60, full)
        self._buckets[client] = (left - (take and left >= 1), now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) * 60 / full


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
        if (address, key) in self._used:
            return 0.0
        if seconds := self._rates.wait(address, now, take=False):
            return seconds
        self._used[address, key] = None
        if len(self._used) > _MOST_CLIENTS:
            self._used.popitem(last=False)
        return 0.0


class Guard:
    """Let requests through to an app, or refuse them.

    ``routes`` are the paths of the app, which logs and metrics may name, and whether each asks
    for a key. All others do, but for those within an open path that ends in a parameter.
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
        self.rates = RateLimiter(settings.rate_limit) if settings.rate_limit else None
        self.guesses = Guesses(settings.guess_limit) if settings.guess_limit else None
        self.waiting = 0
        self.draining = False
        requests.waiting.set_function(lambda: self.waiting)

    async def __call__(self, app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Let a request through to the app, or refuse it."""
        began = time.perf_counter()
        path, headers = normalize_path(scope["path"]), dict(scope["headers"])
        given_id = headers.get(b"x-request-id", b"")
        request_id = given_id if _REQUEST_ID.fullmatch(given_id) else secrets.token_hex(8).encode()
        state = scope["state"]
        state |= {"request_id": request_id.decode(), "client": None}
        status, gone = 0, False
        # What answers GET answers HEAD as well, without the body.
        head = scope["method"] == "HEAD"

        async def receive_on() -> Any:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            return message

        async def send_on(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._headers(message["headers"], request_id)
                await send(message)
                return
            # A long body is sent as it is read: what a client does not read is not copied for it.
            body = memoryview(b"" if head else message["body"])
            for start in range(0, max(len(body), 1), PART):
                more = start + PART < len(body) or message.get("more_body", False)
                part = bytes(body[start : start + PART])
                await send({"type": "http.response.body", "body": part, "more_body": more})

        held = not self._is_open(path)
        self.waiting += held
        try:
            # What has arrived is counted before any of it is worked on: this is the queue.
            await asyncio.sleep(0)
            if problem := self._refusal(scope, path, headers, began):
                asked = Request[Any, Any, Any](scope, receive, send_on)
                app = problem.answer(state["request_id"]).to_asgi_response(None, asked)
            await app({**scope, "method": "GET"} if head else scope, receive_on, send_on)
        except Exception as error:
            if not gone:
                log_failure(state["request_id"], error)
                raise ConnectionAbortedError("the answer broke off") from None
        finally:
            self.waiting -= held
            if "release" in state:  # what the body holds until it is answered
                state["release"]()
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
        if self.settings.key_hashes:
            key = headers.get(b"x-api-key")
            found = find_key(self.settings.key_hashes, key) if key else None
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

    def _headers(self, own: Iterable[tuple[bytes, bytes]], request_id: bytes) -> list[Any]:
        is_page = any(value.startswith(b"text/html") for _, value in own)
        policy = (b"content-security-policy", _POLICY_PAGE if is_page else _POLICY_DATA)
        closing = [(b"connection", b"close")] if self.draining else []
        return [*own, *SECURITY, policy, (b"x-request-id", request_id), *closing]

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


def overloaded() -> Problem:
    """Return the answer of a worker that has enough to do."""
    return Problem(503, "too many requests are waiting; try again", headers={"Retry-After": "1"})


def _too_many(what: str, seconds: float) -> Problem:
    return Problem(429, f"too many {what}", headers={"Retry-After": str(int(seconds) + 1)})


def log_failure(request_id: str, error: Exception) -> None:
    """Log that a request failed, by the kind of the error: a message may hold a customer's data."""
    logger.error("request %s failed: %s", request_id, place_of(error))


def place_of(error: BaseException) -> str:
    """Return the kind of an error and the line it came from, without its message."""
    # What fails amid a stream comes wrapped: in Litestar's word for that, and in groups.
    while isinstance(error, BaseExceptionGroup | LitestarException) and (
        inner := error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
    ):
        error = inner
    frames = traceback.extract_tb(error.__traceback__)
    # The name of the file, and not where it lies.
    at = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    return f"{type(error).__name__} at {at}"
