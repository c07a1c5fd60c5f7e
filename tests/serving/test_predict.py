"""Answers are those of the model, to the last bit."""

import copy
import json
import sys
from threading import Event, Thread

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from rfmrisk import CategoryAggregator, RFMAggregator, Scorecard, WOEEncoder, to_histories
from rfmrisk.histories.flat import flatten
from rfmrisk.scoring import PhraseBook
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.scoring.probability import bad_probability
from rfmrisk.serving import Settings, bodies, create_app
from rfmrisk.serving.bodies import BodyReader
from tests.conftest import examples

from .conftest import body_of

MINUTES = st.integers(0, 400 * 24 * 60)
TRANSACTION = st.fixed_dictionaries(
    {
        "minute": MINUTES | st.integers(0, 3),
        "Amount": st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 1.0]),
        "ProviderId": st.sampled_from(["ProviderId_1", "ProviderId_4", "new", None]),
        "ProductId": st.sampled_from(["ProductId_3", "ProductId_6", None]),
        "ProductCategory": st.sampled_from(["airtime", "tv", "é ü"]),
        "ChannelId": st.sampled_from(["ChannelId_2", "ChannelId_3"]),
    }
)
LEVELS = ["ProviderId", "ProductId", "ProductCategory", "ChannelId"]


KINDS = ["scorecard", "decision_tree", "logistic_regression", "xgboost", "lightgbm"]


@pytest.fixture(scope="module", params=KINDS)
def model(request, trained):
    if request.param not in trained:
        pytest.skip(f"{request.param} is not installed")
    return trained[request.param]


@settings(max_examples=examples(40))
@given(rows=st.lists(st.tuples(st.sampled_from("abc"), TRANSACTION), min_size=1, max_size=30))
def test_predictions_equal_the_pipeline(model, rows):
    """A request scores as the same log does through to_histories, to the last bit."""
    log = pd.DataFrame([{"CustomerId": who, **what} for who, what in rows])
    start = pd.Timestamp("2018-11-15")
    log["TransactionStartTime"] = start + pd.to_timedelta(log.pop("minute"), unit="min")
    log[LEVELS] = log[LEVELS].astype("str")
    histories = to_histories(log)
    body = {"customers": []}
    sent = log.sort_values("TransactionStartTime", kind="stable")
    sent = sent.rename(columns={"TransactionStartTime": "time", "Amount": "amount"})
    sent["time"] = sent["time"].map(lambda time: f"{time.isoformat()}Z")
    for customer, own in sent.groupby("CustomerId"):
        records = own.drop(columns="CustomerId").to_dict("records")
        for record in records:
            record |= {name: None for name in LEVELS if pd.isna(record[name])}
        body["customers"].append({"customer_id": customer, "transactions": records})
    fields = dict.fromkeys(LEVELS, "category")
    ids, flat = BodyReader(fields, Settings()).read(json.dumps(body).encode())
    assert ids == histories.index.tolist()
    scores = model.scorer.score(flat, 3, PhraseBook.read())
    np.testing.assert_array_equal(
        scores.probability, bad_probability(model.pipeline, histories), strict=True
    )
    assert scores.score.tolist() == model.score(histories)["score"].tolist()


def test_answer_has_all_that_a_decision_needs(client, card, many_histories):
    """Probability, score, decision, moment and reasons come with the model's name."""
    some = many_histories.iloc[:50]
    answer = client.post("/predict", json=body_of(some)).json()
    expected = card.score(some)
    assert answer["model"]["name"] == "scorecard"
    assert answer["reasons_from"] == "points"
    got = pd.DataFrame(answer["customers"]).set_index("customer_id")
    assert got["probability"].tolist() == expected["probability"].tolist()
    assert got["score"].tolist() == expected["score"].tolist()
    assert got["is_high_risk"].tolist() == expected["is_high_risk"].astype(bool).tolist()
    assert pd.to_datetime(got["as_of"]).dt.tz_localize(None).tolist() == some["as_of"].tolist()
    told = [[reason["reason"] for reason in reasons] for reasons in got["reasons"]]
    wanted = expected[["reason_1", "reason_2", "reason_3"]].to_numpy().tolist()
    assert told == [[reason for reason in reasons if reason] for reasons in wanted]


def test_special_values_have_their_own_points(card, many_histories):
    """A scorecard with special values, of numbers and of levels, answers as it does in Python."""
    special = {"rfm__frequency": [1, [2, 3]], "category__ChannelId_top": ["ChannelId_3"]}
    parts = [("rfm", RFMAggregator()), ("category", CategoryAggregator(["ChannelId"]))]
    union = FeatureUnion(parts).set_output(transform="pandas")
    y = many_histories["history"].map(len).to_numpy() <= 3
    y ^= np.arange(len(y)) % 3 == 0
    pipeline = make_pipeline(union, Scorecard(WOEEncoder(special_values=special)))
    model = ScoringModel(pipeline.fit(many_histories, y), card.metadata)
    with TestClient(create_app(model, Settings())) as client:
        answer = client.post("/predict", json=body_of(many_histories)).json()
    expected = model.score(many_histories)
    got = pd.DataFrame(answer["customers"])
    assert got["probability"].tolist() == expected["probability"].tolist()
    assert got["score"].tolist() == expected["score"].tolist()
    told = [[reason["reason"] for reason in reasons] for reasons in got["reasons"]]
    wanted = expected[["reason_1", "reason_2", "reason_3"]].to_numpy().tolist()
    assert told == [[reason for reason in reasons if reason] for reasons in wanted]
    bins = {reason["bin"] for reasons in got["reasons"] for reason in reasons}
    assert "2, 3" in bins


def test_reasons_are_those_of_python_or_are_not_claimed(model, many_histories):
    """Points, the model's own contributions, or a word on why there are none, as in Python."""
    some = many_histories.iloc[:100]
    with TestClient(create_app(model, Settings())) as client:
        answer = client.post("/predict", json=body_of(some)).json()
        assert client.get("/model").json()["reasons_note"] == answer["reasons_note"]
    assert answer["reasons_from"] == model.reasons_from
    assert answer["reasons_note"] == model.reasons_note
    told = [[reason["reason"] for reason in each["reasons"]] for each in answer["customers"]]
    wanted = model.score(some)[["reason_1", "reason_2", "reason_3"]].to_numpy().tolist()
    assert told == [[reason for reason in reasons if reason] for reasons in wanted]
    assert any(told) == (model.reasons_from is not None)
    given = [reason for customer in answer["customers"] for reason in customer["reasons"]]
    assert all(reason["points"] > 0 for reason in given)


@pytest.mark.parametrize("name", ["scorecard", "logistic_regression"])
def test_a_calibrated_model_has_the_reasons_of_the_one_inside(trained, many_histories, name):
    """Calibration moves the probability, and leaves the reasons as they were."""
    model, some = trained[name], many_histories.iloc[:50]
    y = np.arange(len(many_histories)) % 3 == 0
    table = model.pipeline[0].transform(many_histories)
    calibration = CalibratedClassifierCV(model.pipeline[1:], ensemble=False, cv=2).fit(table, y)
    steps = [("features", model.pipeline[0]), ("calibrated", calibration)]
    calibrated = ScoringModel(Pipeline(steps), model.metadata)
    inside = Pipeline([steps[0], *calibration.calibrated_classifiers_[0].estimator.steps])
    expected = ScoringModel(inside, model.metadata).score(some)
    scores = calibrated.score(some)
    assert scores["probability"].tolist() == bad_probability(calibrated.pipeline, some).tolist()
    reasons = ["reason_1", "reason_2", "reason_3"]
    pd.testing.assert_frame_equal(scores[reasons], expected[reasons])
    with TestClient(create_app(calibrated, Settings())) as client:
        answer = client.post("/predict", json=body_of(some)).json()
    assert answer["reasons_note"].endswith(", before the calibration.")
    told = [[reason["reason"] for reason in each["reasons"]] for each in answer["customers"]]
    wanted = expected[reasons].to_numpy().tolist()
    assert told == [[reason for reason in each if reason] for each in wanted]
    assert [each["probability"] for each in answer["customers"]] == scores["probability"].tolist()


def test_models_behind_an_encoding_do_without_a_table(model):
    """The usual encodings are found to give the same on arrays, and so need no table."""
    if model.metadata.model == "scorecard":
        pytest.skip("a scorecard encodes by itself")
    assert model.scorer._rater.transformed._blocks


def test_contributions_add_up_to_the_score(trained, many_histories):
    """XGBoost's contributions in points, with the average, are the score."""
    if "xgboost" not in trained:
        pytest.skip("xgboost is not installed")
    import xgboost

    model = trained["xgboost"]
    table = model.pipeline[:-1].transform(many_histories)
    booster = model.pipeline[-1].get_booster()
    shares = booster.predict(xgboost.DMatrix(table), pred_contribs=True)
    probability = model.pipeline.predict_proba(many_histories)[:, 1]
    np.testing.assert_allclose(
        shares.sum(axis=1), np.log(probability / (1 - probability)), atol=1e-4
    )


def test_batches_read_as_the_whole(card, many_histories, monkeypatch):
    """Transactions that are put into arrays some at a time are the same histories."""
    body = body_of(many_histories.iloc[:60])
    for transaction in body["customers"][7]["transactions"]:
        transaction["ProductId"] = None
    data = json.dumps(body).encode()
    reader = BodyReader(card.scorer.recipe.fields, Settings())
    ids, flat = reader.read(data)
    for size in (1, 7, 100):
        monkeypatch.setattr(bodies, "BATCH", size)
        again_ids, again = reader.read(data)
        assert again_ids == ids
        assert again.transactions.equals(flat.transactions)
        np.testing.assert_array_equal(again.ends, flat.ends)


def test_a_large_body_lets_others_go_on_while_it_is_decoded(card):
    """One customer with very many transactions does not hold the interpreter's lock throughout."""
    times = pd.date_range("2019-01-01", periods=200_000, freq="s").strftime("%FT%TZ")
    fields = dict.fromkeys(card.scorer.recipe.fields, "x")
    transactions = [{"time": time, "amount": 5.0, **fields} for time in times]
    customer = {"customer_id": 1, "transactions": transactions}
    body = json.dumps({"customers": [customer]}).encode()
    reader, done, turns = BodyReader(card.scorer.recipe.fields, Settings()), Event(), []
    others = Thread(target=lambda: [turns.append(1) for _ in iter(lambda: done.wait(0.001), True)])
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.001)
    try:
        others.start()
        before = len(turns)
        reader._decoder.decode(body)
        during = len(turns) - before
    finally:
        sys.setswitchinterval(interval)
        done.set()
        others.join()
    assert during > 10  # it was 0 or 1


def test_parts_score_as_the_whole(card, many_histories, monkeypatch):
    """Customers scored some after others have the answers of all at once, reasons included."""
    flat, book = flatten(many_histories), PhraseBook.read()
    whole = card.scorer.score(flat, 3, book)
    for size in (1, 700, 4_000):
        monkeypatch.setattr("rfmrisk.scoring.scorer._PART", size)
        parts = card.scorer.score(flat, 3, book)
        np.testing.assert_array_equal(parts.probability, whole.probability, strict=True)
        np.testing.assert_array_equal(parts.score, whole.score, strict=True)
        assert parts.reasons == whole.reasons


def test_errors_in_batches_are_named_by_their_place(card, many_histories, monkeypatch):
    """A field at fault in a late batch has its place in the whole list."""
    monkeypatch.setattr(bodies, "BATCH", 3)
    with TestClient(create_app(card, Settings())) as client:
        for name, value in (("amount", "12"), ("ProductId", 5), ("time", "soon")):
            body = body_of(many_histories.iloc[:60])
            body["customers"][41]["transactions"][0][name] = value
            answer = client.post("/predict", json=body)
            assert answer.json()["errors"][0]["field"] == f"customers[41].transactions[0].{name}"


def test_a_newcomer_is_scored(client):
    """No history at all is a state of its own, and needs a moment of decision."""
    customer = {"customer_id": 7, "as_of": "2019-01-01", "transactions": []}
    answer = client.post("/predict", json={"customers": [customer]})
    assert answer.status_code == 200
    assert answer.json()["customers"][0]["customer_id"] == 7


def test_features_score_as_transactions(client, card, many_histories):
    """Features by name give the answer of the transactions that they come from."""
    some = many_histories.iloc[:20]
    table = card.pipeline[0].transform(some)
    customers = [
        {
            "customer_id": customer,
            "features": {
                name: None if pd.isna(value) else value if isinstance(value, str) else float(value)
                for name, value in row.items()
            },
        }
        for customer, row in zip(table.index, table.to_dict("records"), strict=True)
    ]
    answer = client.post("/predict/features", json={"customers": customers}).json()
    probability = [customer["probability"] for customer in answer["customers"]]
    assert probability == card.pipeline.predict_proba(some)[:, 1].tolist()

    for change, field in (
        ({"rfm__nonsense": 1.0}, "customers[0].features.rfm__nonsense"),
        ({"rfm__recency": "late"}, "customers[0].features.rfm__recency"),
    ):
        bad = copy.deepcopy(customers[:1])
        bad[0]["features"] |= change
        refused = client.post("/predict/features", json={"customers": bad})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == field
    bad = copy.deepcopy(customers[:1])
    needed = client.get("/model").json()["used_features"][0]
    del bad[0]["features"][needed]
    refused = client.post("/predict/features", json={"customers": bad})
    assert refused.json()["detail"] == f"customers[0].features.{needed} is required"
