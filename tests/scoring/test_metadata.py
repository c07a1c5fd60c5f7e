"""Metadata of a model: what is kept comes back, and what cannot be right is refused by name."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring.metadata import (
    DataSummary,
    MasterScale,
    ModelMetadata,
    ScoreDistribution,
    TrackedRun,
)

WHOLE = ModelMetadata(
    threshold=0.25,
    features=["rfm__recency", "channel"],
    typical={"rfm__recency": 12.5, "channel": None},
    scores=ScoreDistribution(cuts=[500.0], counts=[3.0, 4.0]),
    grades=MasterScale(edges=[480.0, 520.0], names=["C", "B", "A"]),
    roles={"customer": "who", "time": "when", "amount": "paid"},
    windows=["30D", None],
    data=DataSummary(name="log.csv", customers=7, first="2018-11-15T00:00:00"),
    tracking=TrackedRun(experiment="e", run_id=None, params={"command": "x"}, log="log.csv"),
    label_stable=False,
)


@given(
    threshold=st.floats(0, 1),
    base_score=st.floats(-1e6, 1e6),
    pdo=st.floats(1e-3, 1e6),
    odds=st.floats(1e-3, 1e6),
)
def test_what_is_kept_comes_back(threshold, base_score, pdo, odds):
    """Each number returns to the last bit, and each part as what it was."""
    metadata = replace(WHOLE, threshold=threshold, base_score=base_score, pdo=pdo, base_odds=odds)
    assert ModelMetadata.from_json(metadata.to_json()) == metadata
    assert ModelMetadata.from_dict(metadata.to_dict()) == metadata


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", math.nan),
        ("threshold", -0.1),
        ("threshold", 1.1),
        ("threshold", "0.5"),
        ("threshold", None),
        ("threshold", True),
        ("pdo", 0),
        ("pdo", -20),
        ("pdo", math.inf),
        ("base_odds", 0),
        ("base_score", math.nan),
        ("features", "rfm__recency"),
        ("typical", {}),
        ("roles", None),
        ("asked", []),
        ("data", "a log"),
        ("data", {"nam": "a log"}),
        ("scores", {"cuts": [1.0]}),
        ("tracking", {"run_id": "1"}),
        ("features", ["rfm__recency", 5]),
        ("typical", {"rfm__recency": [1], "channel": None}),
        ("typical", {"rfm__recency": math.nan, "channel": None}),
        ("windows", 30),
        ("windows", ["30D", 5]),
        ("roles", {"customer": 1}),
        ("model", None),
        ("n_train", "many"),
        ("n_train", True),
        ("label_stable", 1),
        ("failed", "xgboost"),
        ("data", {"customers": "7"}),
        ("scores", {"cuts": [1.0], "counts": [1.0]}),
        ("scores", {"cuts": [2.0, 1.0], "counts": [1.0, 1.0, 1.0]}),
        ("scores", {"cuts": [1.0], "counts": [math.nan, 1.0]}),
        ("grades", {"edges": [500.0]}),
        ("grades", {"edges": [500.0], "names": ["A"]}),
        ("grades", {"edges": [500.0, 480.0], "names": ["C", "B", "A"]}),
        ("grades", {"edges": [math.inf], "names": ["B", "A"]}),
        ("grades", {"edges": ["500"], "names": ["B", "A"]}),
        ("grades", {"edges": [500.0], "names": ["A", "A"]}),
        ("grades", [500.0]),
        ("windows_of_label", [{}]),
        ("windows_of_label", [5]),
        ("model_sha256", 5),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_by_name(name, value):
    """Scoring by it would give numbers that mean nothing."""
    values = WHOLE.to_dict() | {name: value}
    with pytest.raises(ModelFileError, match=name):
        ModelMetadata.from_dict(values)


@pytest.mark.parametrize("name", ["threshold", "pdo", "base_score", "base_odds", "features"])
def test_a_missing_field_is_named(name):
    """A file without what every model needs is no model's."""
    values = WHOLE.to_dict()
    del values[name]
    with pytest.raises(ModelFileError, match=rf"lacks \['{name}'\]"):
        ModelMetadata.from_dict(values)


def test_an_unknown_field_is_named():
    """A typing error does not pass for something that was left out."""
    values = WHOLE.to_dict() | {"treshold": 0.9}
    with pytest.raises(ModelFileError, match=r"unknown fields \['treshold'\]"):
        ModelMetadata.from_dict(values)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", json.dumps("text")])
def test_what_is_no_metadata_is_refused(text):
    """Neither broken JSON nor JSON of something else is metadata."""
    with pytest.raises(ModelFileError, match="metadata"):
        ModelMetadata.from_json(text)
