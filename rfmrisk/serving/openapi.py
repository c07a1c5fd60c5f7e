"""The document of the interface (OpenAPI 3.1), made from the very types that are sent."""

from typing import Any

import msgspec

from rfmrisk import __version__
from rfmrisk.serving import schemas
from rfmrisk.serving.champion import Champion
from rfmrisk.serving.logs import CSV_TYPE, PARQUET_TYPE
from rfmrisk.serving.problems import MEDIA_TYPE

_SENT: list[type[msgspec.Struct]] = [
    schemas.PredictResponse,
    schemas.FeaturesRequest,
    schemas.Health,
    schemas.Ready,
    schemas.ModelCard,
    schemas.Reloaded,
    schemas.ProblemDetails,
]
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
_BODY = (400, 401, 408, 413, 415, 422, 429, 500, 503)
_RETRY = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds to wait."}}
_ROLES = {
    "customer": "The column of the customer's id; by default that of the training.",
    "time": "The column of the time; by default that of the training.",
    "amount": "The column of the amount; by default that of the training.",
    "as_of": "The moment of decision, such as 2018-12-01, with a zone where the times have one (a "
    "+ is written %2B); by default the midnight that ends the last day.",
    "spreadsheet": "true puts an apostrophe before texts that a spreadsheet would compute.",
}


def document(champion: Champion | None, with_keys: bool) -> dict[str, Any]:
    """Write the document for the model that serves now.

    Parameters
    ----------
    champion : Champion or None
        Its fields are those that a transaction must have.
    with_keys : bool
        Whether a key is asked for.

    Returns
    -------
    dict

    Examples
    --------
    >>> sorted(document(None, with_keys=False)["paths"])[:3]
    ['/health', '/metrics', '/model']
    """
    _, components = msgspec.json.schema_components(
        _SENT, ref_template="#/components/schemas/{name}"
    )
    components["PredictRequest"] = _predict_request(champion)
    parts: dict[str, Any] = {"schemas": components}
    secured: list[dict[str, list]] = []
    if with_keys:
        parts["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
        secured = [{"key": []}]

    def operation(
        name: str, summary: str, answer: Any, problems: tuple[int, ...], **more: Any
    ) -> dict[str, Any]:
        responses = {"200": {"description": "The answer.", "content": answer}}
        for status in problems:
            if status in (401, 403) and not with_keys and name != "reload":
                continue
            responses[str(status)] = {
                "description": _WHY[status],
                "content": {MEDIA_TYPE: {"schema": _ref("ProblemDetails")}},
                **({"headers": _RETRY} if status in (429, 503) else {}),
            }
        opened = name in ("health", "ready")
        security = {} if opened or not secured else {"security": secured}
        return {
            "operationId": name,
            "summary": summary,
            "responses": responses,
            **security,
            **more,
        }

    get_, keyed = (500,), (401, 429, 500, 503)
    predictions = _json("PredictResponse")
    file_answers = {CSV_TYPE: {"schema": {"type": "string"}}, **predictions}
    paths = {
        "/health": {"get": operation("health", "Is it alive?", _json("Health"), get_)},
        "/ready": {"get": operation("ready", "Does it take requests?", _json("Ready"), (500, 503))},
        "/model": {"get": operation("model", "What is the model?", _json("ModelCard"), keyed)},
        "/metrics": {
            "get": operation(
                "metrics",
                "What has been counted, for Prometheus",
                {"text/plain": {"schema": {"type": "string"}}},
                keyed,
            )
        },
        "/predict": {
            "post": operation(
                "predict",
                "Score customers by their transactions",
                predictions,
                _BODY,
                requestBody=_required(_json("PredictRequest")),
            )
        },
        "/predict/features": {
            "post": operation(
                "predict_features",
                "Score customers by their features",
                predictions,
                _BODY,
                requestBody=_required(_json("FeaturesRequest")),
            )
        },
        "/score-file": {
            "post": operation(
                "score_file",
                "Score a log; Accept: application/json asks for JSON instead of CSV",
                file_answers,
                _BODY,
                requestBody=_required(
                    {
                        CSV_TYPE: {"schema": {"type": "string"}},
                        PARQUET_TYPE: {"schema": {"type": "string", "format": "binary"}},
                    }
                ),
                parameters=[
                    {
                        "name": name,
                        "in": "query",
                        "description": what,
                        "schema": {"type": "string"},
                    }
                    for name, what in _ROLES.items()
                ],
            )
        },
        "/reload": {
            "post": operation(
                "reload",
                "Load the champion of now; other workers of the server follow within seconds",
                _json("Reloaded"),
                (401, 403, 429, 500, 502, 503),
            )
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rfmrisk",
            "version": __version__,
            "description": "Scores customers by their transactions.",
        },
        "paths": paths,
        "components": parts,
    }


def _predict_request(champion: Champion | None) -> dict[str, Any]:
    kinds = {
        "number": {"type": ["number", "null"], "minimum": -1e15, "maximum": 1e15},
        "category": {"type": ["string", "boolean", "integer", "null"]},
        "date": {"type": ["string", "null"], "format": "date-time"},
    }
    fields = champion.reader.fields if champion else {}
    columns = champion.reader.columns if champion else {}
    application = {
        "type": "object",
        "description": "What is known at the decision beside the history. Columns of the training "
        "that the model does not use are ignored.",
        "properties": {
            name: kinds["number"] if dtype == "number" else {"type": ["string", "boolean", "null"]}
            for name, dtype in columns.items()
        }
        | {name: {} for name in (champion.reader.ignored if champion else ())},
        "required": list(columns),
        "additionalProperties": False,
    }
    moment = {"type": "string", "format": "date-time", "examples": ["2018-11-15T02:18:49Z"]}
    transaction = {
        "type": "object",
        "description": "In order of time. Fields that the model does not use are ignored.",
        "properties": {
            "time": {**moment, "description": "Not before the transaction that precedes it."},
            "amount": {"type": "number", "minimum": -1e15, "maximum": 1e15},
            **{name: kinds[kind] for name, kind in fields.items()},
        },
        "required": ["time", "amount", *fields],
    }
    customer = {
        "type": "object",
        "properties": {
            "customer_id": {"type": ["string", "integer"]},
            "as_of": {
                **moment,
                "type": ["string", "null"],
                "description": "The moment of decision, after all transactions, and with a zone "
                "where they have one; by default the midnight that ends the request's last day.",
            },
            "transactions": {"type": "array", "items": transaction},
            "application": application if columns else {**application, "type": ["object", "null"]},
        },
        "required": ["customer_id", "transactions", *(["application"] if columns else [])],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"customers": {"type": "array", "items": customer, "minItems": 1}},
        "required": ["customers"],
        "additionalProperties": False,
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(name)}}


def _required(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": content}
