"""The scoring app: routes, and what ties them to a model.

>>> from rfmrisk.serving import create_app
>>> sorted(route.path for route in create_app().routes)[:3]
['/', '/docs', '/health']
"""

import asyncio
import logging.config
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.response import Stream
from prometheus_client import generate_latest

from rfmrisk import __version__
from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.scoring.values import InvalidInputError
from rfmrisk.serving import service as work
from rfmrisk.serving.champion import Champion, ChampionHolder
from rfmrisk.serving.guard import place_of
from rfmrisk.serving.log_config import LOGGING, access_log
from rfmrisk.serving.logs import CSV_TYPE, FORM_TYPE, PARQUET_TYPE, as_csv, score_log
from rfmrisk.serving.openapi import FILES, KEY, TEXT, document, of_routes, problems, taking
from rfmrisk.serving.problems import Problem
from rfmrisk.serving.schemas import (
    Health,
    ModelCard,
    ModelName,
    PredictResponse,
    Ready,
    Reloaded,
)
from rfmrisk.serving.service import Service
from rfmrisk.serving.settings import Settings

logger = logging.getLogger(__name__)

JSON = {"application/json"}
RELOAD_SECONDS = 60
GRACE = 30  # seconds for what is in flight, once no more is taken

_OF_A_BODY = problems(400, 401, 408, 413, 415, 422, 429, 500, 503)
_ROLES = {
    "customer": "The column of the customer's id; by default that of the training.",
    "time": "The column of the time; by default that of the training.",
    "amount": "The column of the amount; by default that of the training.",
    "as_of": "The moment of decision, such as 2018-12-01, with a zone where the times have one (a "
    "+ is written %2B); by default the midnight that ends the last day.",
    "decision_customer": "The column of the customer in the decisions; by default that of the "
    "training.",
    "decision_time": "The column of the time in the decisions; by default that of the training.",
    "spreadsheet": "true puts an apostrophe before texts that a spreadsheet would compute.",
}


def create_app(
    model: ScoringModel | str | Path | None = None, settings: Settings | None = None
) -> "ScoringApp":
    """Make the scoring app.

    Parameters
    ----------
    model : ScoringModel, str, Path or None, default=None
        A model, the folder of a training, or an MLflow URI. None takes what the settings name.
        A folder or URI that cannot be loaded yet leaves an app that lives and is not ready; it
        tries again by itself.
    settings : Settings or None, default=None
        None reads the environment.

    Returns
    -------
    ScoringApp

    Notes
    -----
    Called without arguments, as by ``litestar --app rfmrisk.serving.app:create_app run``, the app
    logs as under ``rfmrisk serve``, and it waits at the end for what is in flight. What only
    ``rfmrisk serve`` has: workers that are replaced when they die and share a ``POST /reload``,
    and a while after SIGTERM in which requests are still taken and /ready says 503. Elsewhere the
    server closes its door before the app hears of it.

    Examples
    --------
    >>> from litestar.testing import TestClient
    >>> with TestClient(create_app()) as client:
    ...     client.get("/ready").status_code
    503
    """
    alone = model is None and settings is None
    settings = Settings.from_environment() if settings is None else settings
    holder = ChampionHolder(settings)
    if isinstance(model, ScoringModel):
        holder.champion = Champion.of(model, settings)
    elif model is not None:
        settings = holder.settings = replace(settings, model=str(model))
    return ScoringApp(settings, holder, alone=alone)


class ScoringApp(Litestar):
    """Litestar with a guard before every request, even those that no route takes.

    Made by `create_app`.

    Parameters
    ----------
    settings : Settings
    holder : ChampionHolder
        Of the model that serves.
    alone : bool, default=False
        Whether the process is the app's own, so that the app says what is logged and how, unless
        somebody else has.
    """

    def __init__(self, settings: Settings, holder: ChampionHolder, *, alone: bool = False) -> None:
        asks_for_key = {
            path: handler.security is not None for handler in HANDLERS for path in handler.paths
        }
        self.service = Service(settings, holder, asks_for_key)
        self.alone = alone
        super().__init__(
            route_handlers=HANDLERS,
            state=State({"service": self.service, "described": _described()}),
            lifespan=[_lifespan],
            exception_handlers={
                Problem: _answer_problem,
                InvalidInputError: _answer_input,
                HTTPException: _answer_http,
                Exception: _answer_failure,
            },
            openapi_config=None,
            logging_config=None,
            request_max_body_size=None,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let requests through the guard."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope.setdefault("state", {})
        await self.service.guard(super().__call__, scope, receive, send)


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[None]:
    """Load the model, look for new ones, and at the end wait for what is in flight."""
    if app.alone and not access_log.hasHandlers():
        logging.config.dictConfig(LOGGING)
    service: Service = app.service
    service.guard.draining = False
    service.executor = ThreadPoolExecutor(2, thread_name_prefix="rfmrisk")
    try:
        async with service.holder.watching():
            yield
            service.guard.draining = True
            until = time.monotonic() + GRACE
            while service.guard.waiting and time.monotonic() < until:
                await asyncio.sleep(0.05)
    finally:
        service.executor.shutdown()


@get("/health", responses=problems(500), sync_to_thread=False)
def health(state: State) -> Health:
    """Tell that the process lives, and which model it has."""
    holder: ChampionHolder = state.service.holder
    champion = holder.champion
    return Health(
        status="alive",
        version=__version__,
        model=_name(champion) if champion else None,
        loaded_at=champion.loaded_at if champion else None,
        load_error=holder.error,
    )


@get("/ready", responses=problems(500, 503), sync_to_thread=False)
def ready(state: State) -> Ready:
    """Tell whether requests should be sent here."""
    service: Service = state.service
    service.champion()
    if service.guard.draining:
        raise Problem(503, "the worker is about to stop", headers={"Retry-After": "1"})
    return Ready("ready")


@get(
    "/model",
    security=KEY,
    responses=problems(401, 429, 500, 503),
    sync_to_thread=False,
)
def model_card(state: State) -> ModelCard:
    """Tell what the model is and needs."""
    champion: Champion = state.service.champion()
    scorer, metadata = champion.scorer, champion.model.metadata
    return ModelCard(
        model=_name(champion),
        loaded_at=champion.loaded_at,
        kind=metadata.title or metadata.model,
        threshold=scorer.threshold,
        reasons_from=champion.model.reasons_from,
        reasons_note=champion.model.reasons_note,
        features=scorer.recipe.names,
        used_features=[name for name in scorer.recipe.names if name in scorer.used],
        transaction_fields=dict(scorer.recipe.fields),
        application_columns=dict(scorer.recipe.columns),
        metadata=metadata.to_dict(),
    )


@get(
    "/metrics",
    security=KEY,
    responses=problems(401, 429, 500, 503),
    media_type="text/plain",
    sync_to_thread=False,
)
def metrics(state: State) -> Response[bytes]:
    """Write the counts of this worker for Prometheus."""
    return Response(generate_latest(state.service), media_type="text/plain; version=0.0.4")


@post(
    "/predict",
    status_code=200,
    security=KEY,
    responses=_OF_A_BODY,
    operation_class=taking({"application/json": "PredictRequest"}),
)
async def predict(request: Request) -> Response[PredictResponse]:
    """Score customers by their transactions."""
    service: Service = request.app.state.service
    champion = service.champion()
    if champion.model.of_table:
        raise InvalidInputError(
            "the model was trained on a plain table of applications, without transactions: "
            "POST /predict/features takes its columns, and POST /score-file a table"
        )
    body = await service.body(request, JSON)
    return _bytes(await service.scored(work.predict, champion, body, b"["))


@post(
    "/predict/features",
    status_code=200,
    security=KEY,
    responses=_OF_A_BODY,
    operation_class=taking({"application/json": "FeaturesRequest"}),
)
async def predict_features(request: Request) -> Response[PredictResponse]:
    """Score customers by their features."""
    service: Service = request.app.state.service
    champion = service.champion()
    body = await service.body(request, JSON)
    return _bytes(await service.scored(work.predict_features, champion, body, b"{"))


@post(
    "/score-file",
    status_code=200,
    security=KEY,
    responses=_OF_A_BODY,
    operation_class=taking(
        {CSV_TYPE: TEXT, PARQUET_TYPE: TEXT, FORM_TYPE: FILES},
        {CSV_TYPE: TEXT, "application/json": "PredictResponse"},
        _ROLES,
    ),
)
async def score_file(request: Request) -> Response:
    """Score the customers of a CSV or Parquet log, or decisions beside it, as CSV or JSON."""
    service: Service = request.app.state.service
    champion = service.champion()
    given = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    body = await service.body(request, {CSV_TYPE, PARQUET_TYPE, FORM_TYPE})
    # The first customers are scored here: what fails can still be told by the status.
    batches = await service.beside(score_log, champion, body, kind, given)
    del body
    if "application/json" in request.headers.get("accept", ""):
        parts = service.on_thread(work.as_json(champion, batches))
        return Stream(parts, media_type=MediaType.JSON)
    spreadsheet = given.get("spreadsheet") == "true"
    lines = service.on_thread(as_csv(batches, champion.book, spreadsheet=spreadsheet))
    headers = {"content-disposition": 'attachment; filename="scores.csv"'}
    return Stream(lines, media_type=CSV_TYPE, headers=headers)


@post(
    "/reload",
    status_code=200,
    security=KEY,
    responses=problems(401, 403, 429, 500, 502, 503),
)
async def reload(request: Request) -> Reloaded:
    """Load the champion of now, if it is another.

    The other workers of the same server are asked to do so too, and begin within a second or so.
    """
    service: Service = request.app.state.service
    if not service.guard.keys:
        raise Problem(403, "a reload needs a key, and no RFMRISK_API_KEYS are configured")
    holder = service.holder
    serving = "the old one goes on serving" if holder.champion else "none serves"
    try:
        changed = await asyncio.wait_for(holder.reload(), RELOAD_SECONDS)
    except ModelFileError as error:
        raise Problem(502, f"the model was not loaded, {serving}: {error}") from error
    except TimeoutError as error:
        detail = f"the model was not loaded within {RELOAD_SECONDS} seconds, {serving}"
        raise Problem(502, detail) from error
    holder.reloads.value += 1
    return Reloaded(_name(service.champion()), changed)


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi(request: Request) -> dict[str, Any]:
    """Describe the interface."""
    service: Service = request.app.state.service
    keys = service.guard.keys
    # Without a key it tells nothing of the model, whose fields are columns of a bank's log.
    known = not keys or keys.find(request.headers.get("x-api-key", "").encode("latin-1"))
    champion = service.holder.champion if known else None
    return document(request.app.state.described, champion, with_keys=bool(keys))


@cache
def _described() -> dict[str, Any]:
    return of_routes(HANDLERS)


_PAGES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".png": "image/png"}


@get("/", include_in_schema=False, sync_to_thread=False)
def home() -> Response:
    """Show the page."""
    return _page("index.html")


@get("/docs", include_in_schema=False, sync_to_thread=False)
def docs() -> Response:
    """Show the interface in Swagger UI."""
    return _page("docs.html")


@get("/pages/sample.csv", security=KEY, include_in_schema=False, sync_to_thread=True)
def sample(state: State) -> Response:
    """Send a log of the sample bank, with the columns of the model's training."""
    champion: Champion = state.service.champion()
    if champion.sample is None:
        fields = ", ".join([*champion.reader.fields, *champion.reader.columns])
        raise Problem(
            409,
            "the sample does not fit this model, which uses columns that the sample bank does not "
            f"have; it uses {fields}",
        )
    return Response(champion.sample, media_type=CSV_TYPE)


@get("/pages/{name:str}", include_in_schema=False, sync_to_thread=False)
def page(request: Request) -> Response:
    """Send a file of the pages."""
    return _page(request.path_params["name"])


HANDLERS = [home, docs, sample, page, openapi, health, ready, metrics, model_card]
HANDLERS += [predict, predict_features, score_file, reload]


def _page(name: str) -> Response:
    content, kind = _content(Path(name).name)
    return Response(content, media_type=kind)


@cache
def _content(name: str) -> tuple[bytes, str]:
    kind = _PAGES.get(Path(name).suffix)
    file = files("rfmrisk.serving").joinpath("pages", name)
    if not kind or not file.is_file():
        raise Problem(404, "there is no such page")
    return file.read_bytes(), kind


def _name(champion: Champion) -> ModelName:
    return ModelName(champion.name, champion.version)


def _bytes(body: bytes) -> Response[Any]:
    return Response(body, media_type=MediaType.JSON)


def _answer_problem(request: Request, problem: Problem) -> Response:
    return problem.answer(request.scope["state"]["request_id"])


def _answer_input(request: Request, error: InvalidInputError) -> Response:
    return _answer_problem(
        request, Problem(413 if error.too_large else 422, str(error), error.fields)
    )


def _answer_http(request: Request, error: HTTPException) -> Response:
    headers = {name.title(): value for name, value in (error.headers or {}).items()}
    detail = "the request could not be read"
    if error.status_code == 404:
        detail = "there is no such path; /docs lists them"
    elif error.status_code == 405:
        headers["Allow"] = headers.get("Allow", "").replace("GET", "GET, HEAD")
        detail = f"the method is not allowed here; allowed are {headers['Allow']}"
    return _answer_problem(request, Problem(error.status_code, detail, headers=headers))


def _answer_failure(request: Request, error: Exception) -> Response:
    logger.error("request %s failed: %s", request.scope["state"]["request_id"], place_of(error))
    return _answer_problem(
        request, Problem(500, "the request could not be answered; the log has its id")
    )
