"""The work behind the routes: bodies in, scores out, small ones at once, large ones beside."""

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice, repeat
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from litestar import Request
from prometheus_client import generate_latest

from rfmrisk.histories.segments import Ints
from rfmrisk.scoring.scorer import Scores
from rfmrisk.serving.champion import N_REASONS, NO_MODEL, Champion, ChampionHolder
from rfmrisk.serving.guard import Guard, overloaded
from rfmrisk.serving.monitor import RequestMonitor
from rfmrisk.serving.problems import Problem
from rfmrisk.serving.schemas import Prediction, PredictResponse, ReasonText
from rfmrisk.serving.settings import Settings

# Bodies up to so many bytes, of up to so many customers, take the event loop a few milliseconds and
# stay on it.
SMALL = 256_000
SMALL_CUSTOMERS = 250

BATCH = 1_000  # customers whose answers are written at once

_encoder = msgspec.json.Encoder()


class Service:
    """All that one worker holds; ``routes`` are those of its `Guard`."""

    def __init__(
        self, settings: Settings, holder: ChampionHolder, routes: Mapping[str, bool]
    ) -> None:
        self.settings = settings
        self.holder = holder
        self.requests = RequestMonitor()
        self.guard = Guard(settings, self.requests, routes)
        self.large = 0  # requests with a large body

    def champion(self) -> Champion:
        """Return the model that serves now."""
        if self.holder.champion is None:
            if self.settings.model is None:
                raise Problem(503, NO_MODEL)
            wait = str(self.holder.retry_after())
            raise Problem(503, "no model is loaded yet", headers={"Retry-After": wait})
        return self.holder.champion

    def metrics(self) -> bytes:
        """Write what is counted of this worker and its model for Prometheus."""
        champion = self.holder.champion
        of_model = generate_latest(champion.monitor.registry) if champion else b""
        return generate_latest(self.requests.registry) + of_model

    async def body(self, request: Request, *media_types: str) -> bytes:
        """Read a body within the limits; a large one holds one of few places until the answer."""
        headers = dict(request.scope["headers"])
        _check_media_type(headers, media_types)
        length = headers.get(b"content-length", b"")
        self._check_size(request, int(length) if length.isdigit() else 0)
        chunks, size, seconds = [], 0, self.settings.body_seconds
        try:
            async with asyncio.timeout(seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    self._check_size(request, size)
                    chunks.append(chunk)
        except TimeoutError:
            raise Problem(408, f"the body must arrive within {seconds:g} seconds") from None
        # To copy many bytes takes a while, and does not hold the interpreter's lock.
        return await self.beside(b"".join, chunks) if size > SMALL else b"".join(chunks)

    def _check_size(self, request: Request, size: int) -> None:
        """Refuse a body of so many bytes, or give a large one a place, which the guard releases."""
        if size > self.settings.max_body:
            raise Problem(413, f"the body may have at most {self.settings.max_body:,} bytes")
        if size > SMALL and "release" not in request.scope["state"]:
            if self.large >= self.settings.max_large:
                raise overloaded()
            self.large += 1
            request.scope["state"]["release"] = self._release

    def _release(self) -> None:
        self.large -= 1
        asyncio.get_running_loop().run_in_executor(None, give_back)

    async def scored(
        self,
        score: Callable[[Champion, bytes], bytes],
        champion: Champion,
        body: bytes,
        customer: bytes,
    ) -> bytes:
        """Score a body at once, or on a thread where it has many bytes or many customers.

        ``customer`` is a sign of which each has one or more: one without a transaction costs as
        much as others.
        """
        if len(body) > SMALL or body.count(customer) > SMALL_CUSTOMERS:
            return await self.beside(score, champion, body)
        return score(champion, body)

    async def beside(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function on a thread."""
        return await asyncio.to_thread(function, *arguments)

    async def on_thread(self, parts: Iterator[Any]) -> AsyncIterator[Any]:
        """Give the parts of an answer, each made on a thread."""
        while (part := await self.beside(next, parts, None)) is not None:
            yield part


def give_back() -> None:
    """Give memory that a large request has used back to the system, which the allocators keep."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than GNU's has none
            ctypes.CDLL(None).malloc_trim(0)


def predict(champion: Champion, body: bytes) -> bytes:
    """Answer a request of customers with their transactions."""
    ids, flat = champion.reader.read(body)
    scores = champion.scorer.score(flat, N_REASONS, champion.book)
    champion.monitor.add(scores.score, scores.high_risk)
    return b"".join(_written(champion, _predictions(champion, ids, _moments(flat.as_of), scores)))


def predict_features(champion: Champion, body: bytes) -> bytes:
    """Answer a request of customers with their features."""
    ids, columns = champion.features.read(body)
    scores = champion.scorer.score_features(columns, N_REASONS, champion.book)
    champion.monitor.add(scores.score, scores.high_risk)
    return b"".join(_written(champion, _predictions(champion, ids, repeat(None), scores)))


def as_json(champion: Champion, batches: Iterator[tuple[pd.DataFrame, Scores]]) -> Iterator[bytes]:
    """Write the answer to a log, whose scores are counted already, as `predict` writes its own."""
    customers = (
        _predictions(champion, part.index.tolist(), _moments(part["as_of"].to_numpy()), scores)
        for part, scores in batches
    )
    return _written(champion, chain.from_iterable(customers))


def _predictions(
    champion: Champion, ids: list[Any], as_of: Iterable[str | None], scores: Scores
) -> Iterator[Prediction]:
    sentence = champion.book.sentence
    reasons = (
        [
            ReasonText(r.feature, r.code, sentence(r), r.points, r.value, r.bin, r.typical)
            for r in reasons
        ]
        for reasons in scores.reasons
    )
    return map(
        Prediction,
        ids,
        as_of,
        scores.probability.tolist(),
        scores.score.tolist(),
        scores.high_risk.tolist(),
        reasons,
        repeat(msgspec.UNSET) if scores.grade is None else scores.grade.tolist(),
    )


def _written(champion: Champion, customers: Iterator[Prediction]) -> Iterator[bytes]:
    """Write an answer some customers at a time: very many at once would hold up all others."""
    answer = PredictResponse(champion.named, *champion.reasons_are, [])
    begun, end = _encoder.encode(answer), b"]}"
    yield begun.removesuffix(end)
    between = b""
    while some := list(islice(customers, BATCH)):
        yield between + _encoder.encode(some)[1:-1]
        between = b","
    yield end


def _moments(as_of: Ints | np.ndarray) -> list[Any]:
    times = as_of.astype("datetime64[us]")
    micros = times.astype(np.int64)
    if not micros.any():  # of a plain table without times
        return [None] * len(times)
    unit: Any = "us" if (micros % 1_000_000).any() else "s"
    return np.datetime_as_string(times, unit=unit, timezone="UTC").tolist()


def _check_media_type(headers: dict[bytes, bytes], allowed: tuple[str, ...]) -> None:
    given, _, parameters = headers.get(b"content-type", b"").decode("latin-1").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    encoded = headers.get(b"content-encoding", b"identity").lower() != b"identity"
    known = charset in ("", "charset=utf-8", "header=present", "header=absent")
    known |= given.strip().lower() == "multipart/form-data"
    if given.strip().lower() not in allowed or encoded or not known:
        kinds = " or ".join(sorted(allowed))
        raise Problem(415, f"the body must be {kinds}, in UTF-8 and not compressed")
