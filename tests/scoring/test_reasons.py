"""Reasons: data, and sentences that a customer understands."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from rfmrisk import RFMAggregator, Scorecard, customer_features, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.histories.flat import flatten
from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring import PhraseBook, Reason, check_servable
from rfmrisk.scoring.scorer import Scorer

SCALE = {"base_score": 600, "base_odds": 50, "pdo": 20}


@pytest.fixture(scope="module")
def histories():
    """Give the histories of 300 customers, and of one without any transaction."""
    log = make_transactions(300, random_state=0)
    ids = [*log["CustomerId"].unique(), "newcomer"]
    decisions = pd.DataFrame({"customer": ids, "as_of": pd.Timestamp("2019-06-01")})
    return to_histories(log, as_of=decisions)


def reason(feature, value, typical=None):
    return Reason(feature, "", value, None, 10.0, "best", typical)


@pytest.mark.parametrize(
    ("feature", "value", "typical", "sentence"),
    [
        ("rfm__recency", 174.3, None, "no purchase for 174 days"),
        ("recency", 1.0, None, "no purchase for 1 day"),
        ("rfm__recency", None, 12.0, "no purchase on record"),
        (
            "spend__amount_sum_30D",
            0.0,
            4200.0,
            "spent nothing in the last 30 days; typical customers spend 4,200",
        ),
        ("spend__amount_sum_7D", 12.0, 12.0, "spent 12 in the last 7 days"),
        ("spend__fee_max_12h", 1234.5, None, "largest fee of 1,234 in the last 12 hours"),
        ("temporal__weekend_share", 0.25, None, "25 % of the purchases were made on weekends"),
        ("category__Product_Id_top", "tv {x}", None, "the most frequent Product Id is tv {x}"),
        ("application__term_days", 30.0, None, "term days of the application: 30"),
        ("mine__of_my_own", -0.5, None, "of my own: -0.5"),
    ],
)
def test_a_reason_is_a_sentence(feature, value, typical, sentence):
    """Values stand in the sentence with their units, beside the typical one where they differ."""
    assert PhraseBook.read().sentence(reason(feature, value, typical)) == sentence


def test_every_feature_of_the_package_has_its_own_sentence(histories):
    """No feature of customer_features is left to the sentence for unknown ones."""
    book = PhraseBook.read()
    names = customer_features(numbers=["Value"]).fit(histories).get_feature_names_out()
    assert {book.code(name) for name in names}.isdisjoint({"OTHER"})
    assert len(names) > 50


@given(st.text(max_size=30), st.none() | st.floats(allow_nan=True) | st.text(max_size=10))
def test_any_feature_and_value_make_a_sentence(feature, value):
    """No name and no value is beyond the phrase book."""
    if isinstance(value, float) and np.isinf(value):
        value = 0.0
    assert isinstance(PhraseBook.read().sentence(reason(feature, value, value)), str)


def test_the_same_amount_over_several_windows_is_one_concept():
    """Windows of one amount are told once, other fields and other figures by themselves."""
    concept = PhraseBook.read().concept
    assert concept("spend__amount_sum_7D") == concept("spend__amount_sum_90D")
    assert concept("spend__amount_sum_7D") == concept("rfm__monetary")
    assert concept("spend__amount_sum_7D") != concept("spend__amount_count_7D")
    assert concept("spend__fee_sum_7D") == concept("spend__fee_sum")
    assert concept("spend__fee_sum_7D") != concept("spend__tax_sum_7D")
    assert concept("one_thing") != concept("another")


def test_a_book_of_ones_own_replaces_sentences(tmp_path):
    """A file replaces the features that it names, and the package's book says the others."""
    path = tmp_path / "reasons.json"
    own = {
        "features": {"rfm__recency": {"code": "R", "text": "seit {value:Tag} kein Einkauf"}},
        "units": {"Tag": ["Tag", "Tagen"]},
    }
    path.write_text(json.dumps(own), encoding="utf-8")
    book = PhraseBook.read(path)
    assert book.sentence(reason("rfm__recency", 3.0)) == "seit 3 Tagen kein Einkauf"
    assert book.code("rfm__recency") == "R"
    assert book.sentence(reason("rfm__frequency", 0.0)) == "no purchase so far"


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"a": {"text": "b"}}, "code and text"),
        ({"a": {"code": "A", "text": 3}}, "must be text; got 3"),
        ({"a": {"code": "A", "text": "{value:year}"}}, "unit 'year'; known are percent, day"),
        ({"a": {"code": "A", "text": "{value.__class__}"}}, "may have {feature}, {typical}"),
        ({"a": {"code": "A", "text": "{window}"}}, "got {window}"),
        ({"a": {"code": "A", "text": "{value"}}, "brace"),
        ({"a": {"code": "A", "text": "b", "nil": "c"}}, "got 'nil'"),
        ([], "must be an object"),
    ],
)
def test_a_book_that_is_wrong_is_refused(features, said):
    """The entry at fault is named, and what is allowed."""
    with pytest.raises(ValueError, match=said):
        PhraseBook.read({"features": features})


def test_a_file_that_is_no_book_is_refused(tmp_path):
    """Text that is no JSON, and parts that no book has, are named."""
    path = tmp_path / "reasons.json"
    path.write_text("no JSON", encoding="utf-8")
    with pytest.raises(ValueError, match=r"reasons\.json.*no JSON"):
        PhraseBook.read(path)
    with pytest.raises(ValueError, match="features and units; got 'fetures'"):
        PhraseBook.read({"fetures": {}})


def scorer_of(pipeline, histories):
    y = np.arange(len(histories)) % 3 == 0
    y |= flatten(histories).ends == flatten(histories).starts
    pipeline.fit(histories, y)
    table = pipeline[0].transform(histories)
    typical = table.median().to_dict()
    return Scorer(pipeline, typical, SCALE, 0.5)


@pytest.mark.parametrize(
    ("steps", "end"),
    [([], Scorecard()), ([SimpleImputer(), StandardScaler()], LogisticRegression())],
)
def test_a_customer_without_history_is_told_so(histories, steps, end):
    """No history is a reason of its own, which stands for all features of the history."""
    scorer = scorer_of(make_pipeline(RFMAggregator(), *steps, end), histories)
    book = PhraseBook.read()
    reasons = scorer.score(flatten(histories), 3, book).reasons
    (only,) = reasons[histories.index.get_loc("newcomer")]
    assert (only.code, only.value) == ("NO_HISTORY", None)
    assert book.sentence(only).startswith("no history")
    assert "NO_HISTORY" not in {each.code for own in reasons[:-1] for each in own}


def test_reasons_are_ordered_and_of_different_concepts(histories):
    """What costs most comes first, and no concept comes twice."""
    features = customer_features(categories=[])
    book = PhraseBook.read()
    scorer = scorer_of(Pipeline([("features", features), ("card", Scorecard())]), histories)
    for own in scorer.score(flatten(histories), 5, book).reasons:
        points = [each.points for each in own]
        concepts = [book.concept(each.feature) for each in own]
        assert points == sorted(points, reverse=True)
        assert min(points, default=1) > 0
        assert len(set(concepts)) == len(concepts)


def test_a_card_of_chosen_columns_scores_as_its_pipeline(histories):
    """A scorecard behind a ColumnTransformer has its points, and reasons of the features."""
    chosen = ["recency", "monetary"]
    pick = ColumnTransformer([("keep", "passthrough", chosen)]).set_output(transform="pandas")
    pipeline = make_pipeline(RFMAggregator(), pick, Scorecard())
    scorer = scorer_of(pipeline, histories)
    scores = scorer.score(flatten(histories), 3, PhraseBook.read())
    np.testing.assert_array_equal(scores.probability, pipeline.predict_proba(histories)[:, 1])
    table = pipeline[:-1].transform(histories)
    np.testing.assert_array_equal(scores.score, pipeline[-1].predict_score(table))
    assert scorer.reference == "best"
    told = {each.feature for own in scores.reasons for each in own}
    assert told - {"history"} <= set(chosen)


def test_what_cannot_be_scored_is_refused_before_it_is_trained():
    """A pipeline without features of histories, or without probabilities, is named."""
    check_servable(make_pipeline(customer_features(), LogisticRegression()))
    with pytest.raises(ModelFileError, match="StandardScaler"):
        check_servable(make_pipeline(StandardScaler(), LogisticRegression()))
    with pytest.raises(ValueError, match="predict_proba; got StandardScaler"):
        check_servable(make_pipeline(RFMAggregator(), StandardScaler()))
    with pytest.raises(ValueError, match="must be a Pipeline"):
        check_servable(LogisticRegression())
