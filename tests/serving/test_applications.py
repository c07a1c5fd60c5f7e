"""What an application holds beside the history is scored as in Python, and checked by name."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from litestar.testing import TestClient

from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.scoring.table_files import read_applications
from rfmrisk.serving import Settings, bodies, create_app
from rfmrisk.training import train
from rfmrisk.training.exchange import to_records

from .conftest import body_of

COLUMNS = ["asked", "age", "purpose", "married", "note"]


@pytest.fixture(scope="module")
def histories():
    """Give decisions with numbers, missing ones, categories and booleans beside the history."""
    log = make_transactions(400, random_state=3)
    rng = np.random.default_rng(0)
    customers = log["CustomerId"].unique()
    n = len(customers)
    age = pd.array(rng.integers(20, 70, n), dtype="Int64")
    age[::9] = None
    purpose = rng.choice(["car", "home", "é ü"], n).astype(object)
    purpose[::7] = None
    asked = pd.DataFrame(
        {
            "customer": customers,
            "as_of": pd.Timestamp("2019-03-01"),
            "asked": rng.normal(1_000, 300, n),
            "age": age,
            "purpose": purpose,
            "married": rng.random(n) < 0.5,
            "note": [f"note {number}" for number in range(n)],
        }
    )
    return to_histories(log, as_of=asked)


@pytest.fixture(scope="module")
def model(histories):
    """Train a model that uses all columns but the one that no feature is made of."""
    rng = np.random.default_rng(1)
    married = histories["married"].to_numpy()
    car = (histories["purpose"] == "car").to_numpy(dtype=bool)
    old = histories["age"].astype("Float64").fillna(45).to_numpy(np.float64)
    logit = (histories["asked"].to_numpy() - 1_000) / 200 + 1.5 * married + car - (old - 45) / 15
    y = (rng.random(len(histories)) < 1 / (1 + np.exp(1.5 - logit))).astype(int)
    with pytest.warns(UserWarning, match="'note'"):
        return train(histories, y, models=["logistic_regression"], cv=3).model


@pytest.fixture(scope="module")
def client(model):
    with TestClient(create_app(model, Settings())) as client:
        yield client


def request_of(histories) -> dict:
    """Write decisions as a request, with their applications."""
    body = body_of(histories)
    for customer, record in zip(body["customers"], to_records(histories), strict=True):
        customer["application"] = {name: record[name] for name in COLUMNS}
    return body


def test_an_application_is_scored_as_in_python(client, model, histories):
    """Probability, score and reasons are those of Python, whatever is missing."""
    some = histories.iloc[:150]
    answer = client.post("/predict", json=request_of(some))
    assert answer.status_code == 200, answer.text
    expected = model.score(some)
    got = pd.DataFrame(answer.json()["customers"])
    assert got["probability"].tolist() == expected["probability"].tolist()
    assert got["score"].tolist() == expected["score"].tolist()
    told = [[reason["reason"] for reason in reasons] for reasons in got["reasons"]]
    wanted = expected[["reason_1", "reason_2", "reason_3"]].to_numpy().tolist()
    assert told == [[reason for reason in reasons if reason] for reasons in wanted]
    features = {reason["feature"] for reasons in got["reasons"] for reason in reasons}
    assert "application__asked" in features


def test_a_large_request_is_cut_before_any_key(client, model, histories, monkeypatch):
    """Pieces of a large request give the same answers, where each begins with the application."""
    some = histories.iloc[:60]
    whole = client.post("/predict", json=request_of(some)).json()
    monkeypatch.setattr(bodies, "PIECE", 20_000)
    body = request_of(some)
    customers = [{"application": each.pop("application"), **each} for each in body["customers"]]
    body = json.dumps({"customers": customers}).encode()
    assert len(list(bodies._pieces(body))) > 3
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.json() == whole


def changed(change):
    return lambda customer: customer["application"].update(change)


@pytest.mark.parametrize(
    ("change", "field", "allowed"),
    [
        (lambda customer: customer.pop("application"), "application", "is required"),
        (lambda customer: customer.update(application=None), "application", "must be an object"),
        (lambda customer: customer["application"].pop("asked"), "application.asked", "is required"),
        (changed({"asked": "much"}), "application.asked", "must be a number or null; got text"),
        (changed({"asked": True}), "application.asked", "must be a number or null"),
        (changed({"asked": 1e300}), "application.asked", "must be from -1e+15 to 1e+15"),
        (changed({"purpose": 3}), "application.purpose", "must be true or false or text or null"),
        (changed({"purpose": ["car"]}), "application.purpose", "must be true or"),
        (changed({"askd": 3}), "application.askd", "is not a known field"),
    ],
)
def test_an_attribute_at_fault_is_named(client, histories, change, field, allowed):
    """What is missing, unknown or of another type is a 422 with its name, of the right customer."""
    body = request_of(histories.iloc[:3])
    change(body["customers"][1])
    answer = client.post("/predict", json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == f"customers[1].{field}"
    assert error["allowed"].startswith(allowed)


def test_a_model_without_applications_takes_none(card, histories):
    """An empty or absent application is nothing; one that the model does not know is refused."""
    body = body_of(histories[["as_of", "history"]].iloc[:2])
    with TestClient(create_app(card, Settings())) as client:
        plain = client.post("/predict", json=body)
        for nothing in ({}, None):
            body["customers"][0]["application"] = nothing
            assert client.post("/predict", json=body).json() == plain.json()
        body["customers"][0]["application"] = {"asked": 5}
        answer = client.post("/predict", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "customers[0].application.asked"


def test_the_document_and_the_card_describe_the_application(client):
    """Columns that are used are required; those that only the training had are allowed."""
    document = client.get("/openapi.json").json()
    request = document["components"]["schemas"]["PredictRequest"]
    customer = request["properties"]["customers"]["items"]
    assert "application" in customer["required"]
    application = customer["properties"]["application"]
    columns = client.get("/model").json()["application_columns"]
    assert application["required"] == list(columns)
    assert columns["asked"] == "number"
    assert set(application["properties"]) == set(COLUMNS)
    assert application["additionalProperties"] is False


def test_a_log_alone_is_not_enough(client):
    """A file without applications is refused, with the columns that are missing."""
    log = make_transactions(20, random_state=3).to_csv(index=False)
    answer = client.post("/score-file", content=log, headers={"content-type": "text/csv"})
    assert answer.status_code == 422
    assert "'asked'" in answer.json()["detail"]
    assert client.get("/pages/sample.csv").status_code == 409


@pytest.fixture(scope="module")
def table():
    """Give a plain table of applications."""
    rng = np.random.default_rng(2)
    columns = {
        "asked": rng.normal(1_000, 300, 300).round(2),
        "purpose": rng.choice(["01", "02", "NA"], 300),
        "married": rng.random(300) < 0.5,
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def of_table(table):
    rng = np.random.default_rng(3)
    odds = (table["asked"] - 1_000) / 200 + 2 * table["married"] + (table["purpose"] == "NA") - 2
    y = (rng.random(300) < 1 / (1 + np.exp(-odds))).astype(int)
    return train(table, y, models=["logistic_regression"], cv=3).model


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "features"])
def test_a_plain_table_is_served(of_table, table, kind):
    """A pasted table, a Parquet file and features give the scores of Python, and no time."""
    expected = of_table.score(read_applications(of_table, table))
    with TestClient(create_app(of_table, Settings())) as client:
        if kind == "features":
            records = table.assign(married=table["married"].map({True: "true", False: "false"}))
            customers = [
                {"customer_id": number, "features": record}
                for number, record in enumerate(records.to_dict("records"))
            ]
            answer = client.post("/predict/features", json={"customers": customers})
        elif kind == "parquet":
            headers = {"content-type": "application/vnd.apache.parquet"}
            answer = client.post("/score-file", content=table.to_parquet(), headers=headers)
        else:
            headers = {"content-type": "text/csv"}
            if kind == "json":
                headers["accept"] = "application/json"
            content = table.to_csv(index=False, sep=";", decimal=",")
            answer = client.post("/score-file", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    if kind in ("csv", "parquet"):
        got = pd.read_csv(io.StringIO(answer.text), dtype={"as_of": str})
    else:
        got = pd.DataFrame(answer.json()["customers"])
    assert got["score"].tolist() == expected["score"].tolist()
    assert got["as_of"].isna().all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.drop(columns="asked"), "column(s) 'asked' not found"),
        (lambda table: table.assign(secret=5), "column 4 is none that the training had"),
        (lambda table: table.assign(asked="secret"), "asked must hold numbers"),
        (lambda table: table.iloc[:0], "at least one"),
    ],
)
def test_a_table_at_fault_is_refused_without_its_values(of_table, table, change, told):
    """What is wrong is told by column; nothing of the file is repeated."""
    content = change(table).to_csv(index=False)
    with TestClient(create_app(of_table, Settings())) as client:
        headers = {"content-type": "text/csv"}
        answer = client.post("/score-file", content=content, headers=headers)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert "secret" not in answer.text
