"""The document of the interface (OpenAPI 3.1): Litestar's own of the routes, and the model's."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec

from rfmrisk import __version__
from rfmrisk.serving.bodies import BodyReader, FeatureReader
from rfmrisk.serving.champion import Champion
from rfmrisk.serving.problems import MEDIA_TYPE, ProblemDetails
from rfmrisk.serving.settings import Settings

KEY = [{"key": list[str]()}]  # what a route asks for that is not open to all
TEXT = {"type": "string"}
FILES = {
    "type": "object",
    "description": "A log, and beside it decisions to score, one line each, with what the model "
    "needs of an application. Each is CSV or Parquet.",
    "properties": {"log": TEXT, "decisions": TEXT},
    "required": ["log"],
}

_WHY = {
    400: "The body is not JSON, or not in UTF-8, or the request cannot be read.",
    401: "The key is missing or unknown.",
    403: "No keys are configured.",
    408: "The body took too long to arrive.",
    413: "The body, the customers or the transactions are more than the limit.",
    415: "The body is of another media type.",
    422: "A field is not as it must be; errors names it and what is allowed.",
    429: "More requests than the rate limit of the key or address.",
    500: "The fault is the app's; the log has the request's id.",
    502: "The new model could not be loaded, or not in time; the old one goes on serving.",
    503: "No model is loaded, or too many requests are waiting.",
}
_RETRY = {"Retry-After": {"schema": TEXT, "description": "Seconds to wait."}}
_REFERENCE = "#/components/schemas/{name}"


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the problems that a route may answer, by their status."""
    return {
        status: ResponseSpec(
            ProblemDetails, generate_examples=False, description=_WHY[status], media_type=MEDIA_TYPE
        )
        for status in statuses
    }


def content(kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of each media type, which is one or the name of one."""
    return {
        kind: {"schema": {"$ref": _REFERENCE.format(name=what)} if isinstance(what, str) else what}
        for kind, what in kinds.items()
    }


@cache
def of_routes(handlers: tuple[HTTPRouteHandler, ...]) -> dict[str, Any]:
    """Return what Litestar says of routes, without the requests, which are the model's own.

    A route that reads its request itself declares ``body``, and may declare ``answer``, as
    `content`, and ``query``, what each parameter says.
    """
    config = OpenAPIConfig(
        "rfmrisk",
        __version__,
        description="Scores customers by their transactions.",
        use_handler_docstrings=True,
        operation_id_creator=lambda handler, *_: handler.handler_name,
    )
    # An app for its document alone, which Litestar would otherwise serve to everybody.
    app = Litestar(handlers, openapi_config=config, logging_config=None)
    document = app.openapi_schema.to_schema()
    declared = {handler.handler_name: handler.opt for handler in handlers}
    for operation in _operations(document):
        own = declared[operation["operationId"]]
        if "body" in own:
            operation["requestBody"] = {"required": True, "content": own["body"]}
        if "answer" in own:
            operation["responses"]["200"]["content"] = own["answer"]
        if "query" in own:
            operation["parameters"] = [
                {"name": name, "in": "query", "schema": TEXT, "description": what}
                for name, what in own["query"].items()
            ]
        for status in {"429", "503"} & operation["responses"].keys():
            operation["responses"][status]["headers"] = _RETRY
    return document


def document(
    routes: dict[str, Any], champion: Champion | None, *, with_keys: bool
) -> dict[str, Any]:
    """Complete the document `of_routes` for the model that serves, and for whether keys are used.

    Its requests are the types by which they are read.
    """
    whole = deepcopy(routes)
    readers: dict[str, BodyReader | FeatureReader] = {
        "PredictRequest": champion.reader if champion else BodyReader({}, Settings()),
        "FeaturesRequest": champion.features if champion else FeatureReader({}, (), Settings()),
    }
    for name, reader in readers.items():
        request = msgspec.json.schema(reader.request)
        whole["components"]["schemas"][name] = _inlined(request, request["$defs"])
    if with_keys:
        scheme = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        whole["components"]["securitySchemes"] = {"key": scheme}
        return whole
    for operation in _operations(whole):
        operation.pop("security", None)
        operation["responses"].pop("401", None)
    return whole


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_inlined(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(each, definitions) for name, each in part.items()}
