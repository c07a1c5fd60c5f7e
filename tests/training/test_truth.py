"""What card and report say follows from this model's columns, target and histories."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from rfmrisk.scoring import ModelMetadata
from rfmrisk.scoring.metadata import DataSummary
from rfmrisk.training.drawing import drawn
from rfmrisk.training.report.attributes import protected_by_name
from rfmrisk.training.report.card import _basel, _fairness, _inputs, _purpose
from rfmrisk.training.split import package_versions

PLAIN = ["rfm__recency", "spend__amount_mean"]


def metadata(features=PLAIN, target="proxy"):
    """Return metadata of a model of these features and this target."""
    return ModelMetadata(
        threshold=0.5,
        features=list(features),
        typical=dict.fromkeys(features),
        asked={"target": target, "outcome": "30D"},
        data=DataSummary(transactions=1_000),
    )


@pytest.mark.parametrize(
    ("feature", "attribute"),
    [
        ("category__gender_top", "gender or sex"),
        ("application__Sex", "gender or sex"),
        ("application__customerAge", "age"),
        ("application__AGE", "age"),
        ("application__date_of_birth", "age"),
        ("category__Nationality_levels", "nationality or origin"),
        ("category__marital_status_top", "marital or family status"),
        ("category__religion_top", "religion"),
        ("application__ethnicGroup", "ethnicity or race"),
    ],
)
def test_a_protected_attribute_is_named(feature, attribute):
    """The card names the feature, says that it goes by the name, and denies nothing."""
    assert protected_by_name([*PLAIN, feature]) == {attribute: [feature]}
    said = _fairness(metadata([*PLAIN, feature]))
    assert feature in said
    assert "By name only, these features speak" in said
    assert "no feature speaks" not in said


@pytest.mark.parametrize(
    "feature", ["spend__average", "category__package_top", "application__mortgage", "x__Essex_top"]
)
def test_a_word_within_a_word_is_no_attribute(feature):
    """An average is no age."""
    assert protected_by_name([feature]) == {}
    assert "By name only, no feature speaks" in _fairness(metadata([feature]))


def test_stand_ins_are_those_of_the_model():
    """Hours and categories are spoken of where there are some."""
    assert "shopping hours" not in _fairness(metadata())
    assert "shopping hours" in _fairness(metadata([*PLAIN, "temporal__hour_0_6_share"]))
    assert "(categories" not in _fairness(metadata(["age"]))
    assert "categories" in _fairness(metadata([*PLAIN, "category__shop_top"]))


def test_a_given_target_is_no_proxy():
    """A model of outcomes has no sentence about a label, and one of a proxy says that it is one."""
    for text in (_purpose, _basel, _fairness):
        assert text(metadata(target="given")) != text(metadata())
    assert "no outcome was given" not in _purpose(metadata(target="given"))
    assert "look disengaged" not in _fairness(metadata(target="given"))
    assert "not a probability of default" in _basel(metadata())


def test_what_the_features_are_made_from_is_theirs():
    """Attributes of the application are spoken of where there are some."""
    assert _inputs(metadata()) == "a customer's transactions"
    assert _inputs(metadata([*PLAIN, "application__term"])).endswith("of the application")
    assert _inputs(metadata(["application__term"])) == "what is known of an application"
    assert replace(metadata(), features=[]).features == []


def test_a_picture_that_fails_costs_a_warning():
    """Whatever a picture raises, the training goes on without it."""

    def fails():
        raise RuntimeError("Expected end of text")

    with pytest.warns(UserWarning, match="'roc' could not be drawn.*Expected end"):
        assert drawn("roc", fails) is None


@pytest.mark.parametrize("wrap", ["alone", "pipeline", "calibrated", "stacked"])
def test_requirements_follow_from_the_classifier(wrap):
    """XGBoost is needed wherever it stands within the model, and by no name of the model."""
    xgboost = pytest.importorskip("xgboost", reason="the extra 'train' is not installed")
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    tree = xgboost.XGBClassifier(n_estimators=2)
    model = {
        "alone": tree,
        "pipeline": make_pipeline(make_pipeline(tree)),
        "calibrated": CalibratedClassifierCV(tree, ensemble=False, cv=2),
        "stacked": StackingClassifier([("a", make_pipeline(tree))], cv=2),
    }[wrap].fit(X, y)
    needed = package_versions(Pipeline([("classifier", model)]))
    assert any(name.startswith("xgboost") for name in needed)
    plain = package_versions(Pipeline([("classifier", LogisticRegression().fit(X, y))]))
    assert not any(name.startswith("xgboost") for name in plain)
    assert {"python", "rfmrisk", "scikit-learn", "skops"} <= set(plain)
