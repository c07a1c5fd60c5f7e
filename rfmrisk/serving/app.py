"""The scoring app: routes, and what ties them to a model.

>>> from rfmrisk.serving import create_app
>>> sorted(route.path for route in create_app().routes)[:3]
['/', '/docs', '/health']
"""

import asyncio
import logging.config
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

from rfmrisk import __version__
from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.scoring.values import InvalidInputError
from rfmrisk.serving import service as work
from rfmrisk.serving.champion import Champion, ChampionHolder
from rfmrisk.serving.guard import find_key, log_failure
from rfmrisk.serving.log_config import LOGGING, access_log
from rfmrisk.serving.logs import (
    CSV_TYPE,
    FORM_TYPE,
    PARAMETERS,
    PARQUET_TYPE,
    as_csv,
    score_log,
)
from rfmrisk.serving.openapi import FILES, KEY, TEXT, content, document, of_routes, problems
from rfmrisk.serving.problems import Problem
from rfmrisk.serving.schemas import Health, ModelCard, PredictResponse, Ready, Reloaded
from rfmrisk.serving.service import Service
from rfmrisk.serving.settings import Settings

JSON = "application/json"
RELOAD_SECONDS = 60
GRACE = 30  # seconds for what is in flight, once no more is taken

_OF_A_BODY: dict[str, Any] = {
    "status_code": 200,
    "security": KEY,
    "responses": problems(400, 401, 408, 413, 415, 422, 429, 500, 503),
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
    logs as under ``rfmrisk serve``. What only that has: workers that are replaced when they die
    and share a ``POST /reload``, bounds of a request's head and of slow readers, and a while
    after SIGTERM in which requests are still taken and /ready says 503.

    Examples
    --------
    >>> from litestar.testing import TestClient
    >>> with TestClient(create_app()) as client:
    ...     client.get("/ready").status_code
    503
    """
    alone = model is None and settings is None
    settings = Settings.from_environment() if settings is None else settings
    if isinstance(model, str | Path):
        settings = replace(settings, model=str(model))
    holder = ChampionHolder(settings)
    if isinstance(model, ScoringModel):
        holder.champion = Champion(model, settings)
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
        asks_for_key = {path: bool(each.security) for each in HANDLERS for path in each.paths}
        self.service = Service(settings, holder, asks_for_key)
        self.alone = alone
        of_routes(HANDLERS)  # which takes a while
        super().__init__(
            route_handlers=HANDLERS,
            state=State({"service": self.service}),
            lifespan=[_lifespan],
            exception_handlers={Exception: _answer_failure},
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
    """Load the model, and look for new ones."""
    if app.alone and not access_log.hasHandlers():
        logging.config.dictConfig(LOGGING)
    # Two large requests are worked on at a time, so that small ones are not kept waiting.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    async with app.service.holder.watching():
        yield


def _answer_failure(request: Request, error: Exception) -> Response:
    request_id = request.scope["state"]["request_id"]
    if isinstance(error, InvalidInputError):
        error = Problem(413 if error.too_large else 422, str(error), error.fields)
    elif isinstance(error, HTTPException):
        error = _of_litestar(error)
    if not isinstance(error, Problem):
        log_failure(request_id, error)
        error = Problem(500, "the request could not be answered; the log has its id")
    return error.answer(request_id)


def _of_litestar(error: HTTPException) -> Problem:
    headers = {name.title(): value for name, value in (error.headers or {}).items()}
    detail = "the request could not be read"
    if error.status_code == 404:
        detail = "there is no such path; /docs lists them"
    elif error.status_code == 405:
        headers["Allow"] = headers.get("Allow", "").replace("GET", "GET, HEAD")
        detail = f"the method is not allowed here; allowed are {headers['Allow']}"
    return Problem(error.status_code, detail, headers=headers)


@get("/health", responses=problems(500))
async def health(state: State) -> Health:
    """Tell that the process lives, and which model it has."""
    holder: ChampionHolder = state.service.holder
    champion = holder.champion
    return Health(
        status="alive",
        version=__version__,
        model=champion.named if champion else None,
        loaded_at=champion.loaded_at if champion else None,
        load_error=holder.error,
    )


@get("/ready", responses=problems(500, 503))
async def ready(state: State) -> Ready:
    """Tell whether requests should be sent here."""
    state.service.champion()
    if state.service.guard.draining:
        raise Problem(503, "the worker is about to stop", headers={"Retry-After": "1"})
    return Ready("ready")


@get("/model", security=KEY, responses=problems(401, 429, 500, 503))
async def model_card(state: State) -> ModelCard:
    """Tell what the model is and needs."""
    champion: Champion = state.service.champion()
    scorer, metadata = champion.scorer, champion.model.metadata
    return ModelCard(
        model=champion.named,
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


@get("/metrics", security=KEY, responses=problems(401, 429, 500, 503), media_type=MediaType.TEXT)
async def metrics(state: State) -> Response[bytes]:
    """Write the counts of this worker for Prometheus."""
    return Response(state.service.metrics(), media_type="text/plain; version=0.0.4")


@post("/predict", **_OF_A_BODY, body=content({JSON: "PredictRequest"}))
async def predict(request: Request, state: State) -> Response[PredictResponse]:
    """Score customers by their transactions."""
    champion = state.service.champion()
    if champion.model.of_table:
        raise InvalidInputError(
            "the model was trained on a plain table of applications, without transactions: "
            "POST /predict/features takes its columns, and POST /score-file a table"
        )
    body = await state.service.body(request, JSON)
    return Response(await state.service.scored(work.predict, champion, body, b"["))


@post("/predict/features", **_OF_A_BODY, body=content({JSON: "FeaturesRequest"}))
async def predict_features(request: Request, state: State) -> Response[PredictResponse]:
    """Score customers by their features."""
    champion = state.service.champion()
    body = await state.service.body(request, JSON)
    return Response(await state.service.scored(work.predict_features, champion, body, b"{"))


@post(
    "/score-file",
    **_OF_A_BODY,
    body=content({CSV_TYPE: TEXT, PARQUET_TYPE: TEXT, FORM_TYPE: FILES}),
    answer=content({CSV_TYPE: TEXT, JSON: "PredictResponse"}),
    query=PARAMETERS,
)
async def score_file(request: Request, state: State) -> Stream:
    """Score the customers of a CSV or Parquet log, or decisions beside it, as CSV or JSON."""
    service: Service = state.service
    champion = service.champion()
    given = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    body = await service.body(request, CSV_TYPE, PARQUET_TYPE, FORM_TYPE)
    # The first customers are scored here: what fails can still be told by the status.
    batches = await service.beside(score_log, champion, body, kind, given)
    del body
    if JSON in request.headers.get("accept", ""):
        return Stream(service.on_thread(work.as_json(champion, batches)), media_type=JSON)
    lines = as_csv(batches, champion.book, spreadsheet=given.get("spreadsheet") == "true")
    headers = {"content-disposition": 'attachment; filename="scores.csv"'}
    return Stream(service.on_thread(lines), media_type=CSV_TYPE, headers=headers)


@post("/reload", status_code=200, security=KEY, responses=problems(401, 403, 429, 500, 502, 503))
async def reload(state: State) -> Reloaded:
    """Load the champion of now, if it is another.

    The other workers of the same server are asked to do so too, and begin within a second or so.
    """
    if not state.service.settings.key_hashes:
        raise Problem(403, "a reload needs a key, and no RFMRISK_API_KEYS are configured")
    holder: ChampionHolder = state.service.holder
    serving = "the old one goes on serving" if holder.champion else "none serves"
    try:
        changed = await asyncio.wait_for(holder.reload(), RELOAD_SECONDS)
    except ModelFileError as error:
        raise Problem(502, f"the model was not loaded, {serving}: {error}") from error
    except TimeoutError as error:
        detail = f"the model was not loaded within {RELOAD_SECONDS} seconds, {serving}"
        raise Problem(502, detail) from error
    holder.reloads.value += 1
    return Reloaded(state.service.champion().named, changed)


@get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, state: State) -> dict[str, Any]:
    """Describe the interface."""
    hashes = state.service.settings.key_hashes
    # Without a key it tells nothing of the model, whose fields are columns of a bank's log.
    key = request.headers.get("x-api-key", "").encode("latin-1")
    known = not hashes or find_key(hashes, key)
    champion = state.service.holder.champion if known else None
    return document(of_routes(HANDLERS), champion, with_keys=bool(hashes))


@get("/pages/sample.csv", security=KEY, include_in_schema=False, sync_to_thread=True)
def sample(state: State) -> Response[bytes]:
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


@get(["/", "/docs", "/pages/{name:str}"], include_in_schema=False)
async def page(request: Request) -> Response[bytes]:
    """Send a file of the pages; /docs is the interface in Swagger UI."""
    shown = {"/": "index.html", "/docs": "docs.html"}
    name = shown.get(request.scope["path"]) or request.path_params["name"]
    content, media_type = _page(Path(name).name)
    return Response(content, media_type=media_type)


@cache
def _page(name: str) -> tuple[bytes, str]:
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
    kind = kinds.get(Path(name).suffix)
    file = files("rfmrisk.serving").joinpath("pages", name)
    if not kind or not file.is_file():
        raise Problem(404, "there is no such page")
    return file.read_bytes(), kind


HANDLERS = (
    *(health, ready, model_card, metrics, reload, openapi, sample, page),
    *(predict, predict_features, score_file),
)
