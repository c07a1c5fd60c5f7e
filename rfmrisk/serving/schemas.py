"""The answers of the app."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from rfmrisk.serving.bodies import CustomerId

FeatureValue = float | str | None


class ModelName(msgspec.Struct):
    """The model that answered."""

    name: str
    version: str


class ReasonText(msgspec.Struct, gc=False):
    """One feature that lowers a customer's score, as a sentence and as data."""

    feature: str
    code: Annotated[str, Meta(description="Short and stable, whatever the language.")]
    reason: Annotated[str, Meta(description="A sentence that a customer understands.")]
    points: Annotated[float, Meta(description="What the feature costs.")]
    value: Annotated[FeatureValue, Meta(description="The customer's; null is missing.")]
    bin: Annotated[str | None, Meta(description="Of a scorecard, the bin of the value.")]
    typical: Annotated[FeatureValue, Meta(description="That of a typical customer.")]


class Prediction(msgspec.Struct, gc=False):
    """The answer for one customer."""

    customer_id: CustomerId
    as_of: Annotated[str | None, Meta(description="The moment of decision, UTC.")]
    probability: Annotated[float, Meta(ge=0, le=1, description="Of being high-risk.")]
    score: Annotated[float, Meta(description="In points; a higher score is safer.")]
    is_high_risk: Annotated[bool, Meta(description="At the model's threshold.")]
    reasons: Annotated[list[ReasonText], Meta(description="What costs most points, at most three.")]
    grade: Annotated[
        str | msgspec.UnsetType,
        Meta(description="Of the score, where the model has grades."),
    ] = msgspec.UNSET


class PredictResponse(msgspec.Struct):
    """The answers for all customers, in the order of the request."""

    model: ModelName
    reasons_from: Annotated[
        str | None,
        Meta(
            description="points (a scorecard's), contributions (the model's own), or null: this "
            "kind of model has no reasons, and every list of them is empty. A calibrated model "
            "has those of the model inside."
        ),
    ]
    reasons_note: Annotated[
        str,
        Meta(description="What the points of the reasons are, or why there are no reasons."),
    ]
    customers: list[Prediction]


class Health(msgspec.Struct):
    """Whether the process is alive, and which model it has."""

    status: str
    version: Annotated[str, Meta(description="Of rfmrisk.")]
    model: ModelName | None
    loaded_at: str | None
    load_error: Annotated[
        str | None, Meta(description="Why the last attempt to load failed; null if it did not.")
    ]


class Ready(msgspec.Struct):
    """The process takes requests."""

    status: str


class ModelCard(msgspec.Struct):
    """What a model is and needs."""

    model: ModelName
    loaded_at: str
    kind: str
    threshold: Annotated[float, Meta(description="High-risk from this probability on.")]
    reasons_from: str | None
    reasons_note: str
    features: Annotated[list[str], Meta(description="All that the model was trained on.")]
    used_features: Annotated[list[str], Meta(description="Those that /predict/features needs.")]
    transaction_fields: Annotated[
        dict[str, str], Meta(description="What /predict needs beside time and amount.")
    ]
    application_columns: Annotated[
        dict[str, str], Meta(description="What each application must have.")
    ]
    metadata: Annotated[dict[str, Any], Meta(description="How the model was trained.")]


class Reloaded(msgspec.Struct):
    """The model that serves after a reload; the server's other workers follow within seconds."""

    model: ModelName
    changed: bool
