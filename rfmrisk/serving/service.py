"""The work behind the routes: bodies in, scores out, small ones at once, large ones beside."""

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from litestar import Request
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from rfmrisk.histories.segments import Ints
from rfmrisk.scoring.scorer import Scores
from rfmrisk.serving.bodies import CustomerId
from rfmrisk.serving.champion import N_REASONS, NO_MODEL, Champion, ChampionHolder
from rfmrisk.serving.guard import Guard, overloaded
from rfmrisk.serving.monitor import RequestMonitor
from rfmrisk.serving.problems import Problem
from rfmrisk.serving.schemas import (
    ModelName,
    Prediction,
    PredictResponse,
    ReasonText,
)
from rfmrisk.serving.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

# Bodies up to so many bytes, of up to so many customers, take the event loop a few milliseconds and
# stay on it.
SMALL = 256_000
SMALL_CUSTOMERS = 250

BATCH = 1_000  # customers whose answers are written at once

_encoder = msgspec.json.Encoder()


class Service:
    """All that one worker holds.

    Parameters
    ----------
    settings : Settings
    holder : ChampionHolder
    routes : mapping of str to bool
        The paths of the app, and whether each asks for a key.
    """

    def __init__(
        self, settings: Settings, holder: ChampionHolder, routes: Mapping[str, bool]
    ) -> None:
        self.settings = settings
        self.holder = holder
        self.requests = RequestMonitor()
        self.guard = Guard(settings, self.requests, routes)
        self.executor: ThreadPoolExecutor | None = None  # while the app lives
        self.large = 0  # requests with a large body

    def champion(self) -> Champion:
        """Return the model that serves now."""
        if self.holder.champion is None:
            if self.settings.model is None:
                raise Problem(503, NO_MODEL)
            wait = str(self.holder.retry_after())
            raise Problem(503, "no model is loaded yet", headers={"Retry-After": wait})
        return self.holder.champion

    def collect(self) -> Iterator[Metric]:
        """Give what Prometheus reads of this worker."""
        yield from self.requests.registry.collect()
        waiting = "Requests that have arrived and are not answered."
        yield GaugeMetricFamily("rfmrisk_requests_waiting", waiting, value=self.guard.waiting)
        champion = self.holder.champion
        if champion is None:
            return
        model = GaugeMetricFamily(
            "rfmrisk_model_info", "The model that serves.", labels=["name", "version"]
        )
        model.add_metric([champion.name, champion.version], 1)
        yield model
        yield from champion.monitor.registry.collect()

    async def body(self, request: Request, media_types: set[str]) -> bytes:
        """Read a body within the limits; a large one holds one of few places until the answer."""
        headers = dict(request.scope["headers"])
        _check_media_type(headers, media_types)
        length = headers.get(b"content-length", b"")
        place = request.scope["state"]["place"] = _Place(self)  # which the guard gives back
        place.take(int(length) if length.isdigit() else 0)
        chunks, size = await self._read(request, place)
        # To copy many bytes takes a while, and does not hold the interpreter's lock.
        return await self.beside(b"".join, chunks) if size > SMALL else b"".join(chunks)

    async def _read(self, request: Request, place: "_Place") -> tuple[list[bytes], int]:
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    place.take(size)
                    chunks.append(chunk)
            return chunks, size
        except TimeoutError:
            seconds = self.settings.body_seconds
            raise Problem(408, f"the body must arrive within {seconds:g} seconds") from None

    async def scored(
        self,
        score: Callable[[Champion, bytes], bytes],
        champion: Champion,
        body: bytes,
        sign: bytes,
    ) -> bytes:
        """Score a body at once, or on a thread where it has many bytes or many customers.

        A customer has one ``sign`` or more, and one without a transaction costs as much as others.
        """
        if len(body) > SMALL or body.count(sign) > SMALL_CUSTOMERS:
            return await self.beside(score, champion, body)
        return score(champion, body)

    async def beside(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function on a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, function, *arguments)

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


class _Place:
    """The place of a body among the large ones, which it takes once so many bytes are known."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.taken = False

    def take(self, size: int) -> None:
        limits = self.service.settings
        if size > limits.max_body:
            raise Problem(413, f"the body may have at most {limits.max_body:,} bytes")
        if size > SMALL and not self.taken:
            if self.service.large >= limits.max_large:
                raise overloaded()
            self.taken = True
            self.service.large += 1

    def give_back(self) -> None:
        """Let another have the place, and the system the memory."""
        if self.taken:
            self.taken = False
            self.service.large -= 1
            if self.service.executor is not None:
                with suppress(RuntimeError):  # the app has ended
                    self.service.executor.submit(give_back)


def predict(champion: Champion, body: bytes) -> bytes:
    """Answer a request of customers with their transactions."""
    ids, flat = champion.reader.read(body)
    scores = champion.scorer.score(flat, N_REASONS, champion.book)
    return _answer(champion, ids, _moments(flat.as_of), scores)


def predict_features(champion: Champion, body: bytes) -> bytes:
    """Answer a request of customers with their features."""
    ids, columns = champion.features.read(body)
    scores = champion.scorer.score_features(columns, N_REASONS, champion.book)
    return _answer(champion, ids, [None] * len(ids), scores)


def as_json(champion: Champion, batches: Iterator[tuple[pd.DataFrame, Scores]]) -> Iterator[bytes]:
    """Write the answer to a log, whose scores are counted already, as `predict` writes its own."""
    customers = (
        _predictions(
            champion,
            part.index.tolist(),
            _moments(part["as_of"].to_numpy().astype("datetime64[us]").astype(np.int64)),
            scores,
        )
        for part, scores in batches
    )
    return _written(champion, chain.from_iterable(customers))


def _answer(champion: Champion, ids: list[CustomerId], as_of: list[Any], scores: Scores) -> bytes:
    champion.monitor.add(scores.score, scores.high_risk)
    return b"".join(_written(champion, _predictions(champion, ids, as_of, scores)))


def _predictions(
    champion: Champion, ids: list[CustomerId], as_of: list[Any], scores: Scores
) -> Iterator[Prediction]:
    sentence = champion.book.sentence
    told = (
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
        told,
        repeat(msgspec.UNSET) if scores.grade is None else scores.grade.tolist(),
    )


def _written(champion: Champion, customers: Iterator[Prediction]) -> Iterator[bytes]:
    """Write an answer some customers at a time: very many at once would hold up all others."""
    name = ModelName(champion.name, champion.version)
    begun, end = _encoder.encode(PredictResponse(name, *champion.reasons_are, [])), b"]}"
    yield begun.removesuffix(end)
    between = b""
    while some := list(islice(customers, BATCH)):
        yield between + _encoder.encode(some)[1:-1]
        between = b","
    yield end


def _moments(as_of: Ints) -> list[Any]:
    if not as_of.any():  # of a plain table without times
        return [None] * len(as_of)
    unit: Literal["us", "s"] = "us" if (as_of % 1_000_000).any() else "s"
    # Most often it is one moment for all.
    moments: Any = as_of[:1] if (as_of == as_of[0]).all() else as_of
    texts = np.datetime_as_string(moments.view("datetime64[us]"), unit=unit, timezone="UTC")
    return texts.tolist() * (len(as_of) // len(moments))


def _check_media_type(headers: dict[bytes, bytes], allowed: set[str]) -> None:
    given, _, parameters = headers.get(b"content-type", b"").decode("latin-1").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    encoded = headers.get(b"content-encoding", b"identity").lower() != b"identity"
    known = charset in ("", "charset=utf-8", "header=present", "header=absent")
    known |= given.strip().lower() == "multipart/form-data"
    if given.strip().lower() not in allowed or encoded or not known:
        kinds = " or ".join(sorted(allowed))
        raise Problem(415, f"the body must be {kinds}, in UTF-8 and not compressed")
