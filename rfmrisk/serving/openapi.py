"""The document of the interface (OpenAPI 3.1): Litestar's own of the routes, and the model's."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType

from rfmrisk import __version__
from rfmrisk.serving.bodies import BodyReader
from rfmrisk.serving.champion import Champion
from rfmrisk.serving.problems import MEDIA_TYPE
from rfmrisk.serving.schemas import FeaturesRequest, ProblemDetails
from rfmrisk.serving.settings import Settings

KEY = [{"key": list[str]()}]  # what a route asks for that is not open to all
TEXT = Schema(type=OpenAPIType.STRING)
FILES = Schema(
    type=OpenAPIType.OBJECT,
    description="A log, and beside it decisions to score, one line each, with what the model needs "
    "of an application. Each is CSV or Parquet.",
    properties={"log": TEXT, "decisions": TEXT},
    required=["log"],
)

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
_RETRY = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds to wait."}}
_REFERENCE = "#/components/schemas/{name}"


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the problems that a route may answer, by their status."""
    return {
        status: ResponseSpec(
            ProblemDetails, generate_examples=False, description=_WHY[status], media_type=MEDIA_TYPE
        )
        for status in statuses
    }


def taking(
    body: Mapping[str, str | Schema],
    answer: Mapping[str, str | Schema] | None = None,
    query: Mapping[str, str] | None = None,
) -> type[Operation]:
    """Return the operation of a route that reads its body itself.

    Parameters
    ----------
    body, answer : mapping of str to str or Schema
        The schema, or the name of one, of each media type; None leaves the answer to Litestar.
    query : mapping of str to str or None, default=None
        What each parameter of the query says.
    """

    @dataclass
    class Taking(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(_content(body), required=True)
            if answer and self.responses:
                self.responses["200"] = OpenAPIResponse("The answer.", content=_content(answer))
            if query:
                self.parameters = [
                    Parameter(name, "query", schema=TEXT, description=what)
                    for name, what in query.items()
                ]

    return Taking


def _content(kinds: Mapping[str, str | Schema]) -> dict[str, OpenAPIMediaType]:
    return {
        kind: OpenAPIMediaType(
            Reference(_REFERENCE.format(name=what)) if isinstance(what, str) else what
        )
        for kind, what in kinds.items()
    }


def of_routes(handlers: Sequence[HTTPRouteHandler]) -> dict[str, Any]:
    """Return what Litestar says of routes, and the requests that are no model's own."""
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
    _, requests = msgspec.json.schema_components([FeaturesRequest], ref_template=_REFERENCE)
    document["components"]["schemas"] |= requests
    for status in ("429", "503"):
        for operation in _operations(document):
            if status in operation["responses"]:
                operation["responses"][status]["headers"] = _RETRY
    return document


def document(
    routes: dict[str, Any], champion: Champion | None, *, with_keys: bool
) -> dict[str, Any]:
    """Complete the document for the model that serves now.

    Parameters
    ----------
    routes : dict
        As `of_routes` returns it.
    champion : Champion or None
        Its fields are those that a transaction must have.
    with_keys : bool
        Whether a key is asked for.
    """
    whole = deepcopy(routes)
    whole["components"]["schemas"]["PredictRequest"] = _predict_request(champion)
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


def _predict_request(champion: Champion | None) -> dict[str, Any]:
    """Return the schema of the types by which requests are read."""
    reader = champion.reader if champion else BodyReader({}, Settings())
    schema = msgspec.json.schema(reader.request)
    return _inlined(schema, schema["$defs"])


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_inlined(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(each, definitions) for name, each in part.items()}
