"""What an application holds beside the history is scored as in Python, and checked by name."""

import io

import numpy as np
import pandas as pd
import pytest
from litestar.testing import TestClient

from rfmrisk import cli, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.scoring.table_files import read_applications
from rfmrisk.serving import Settings, create_app
from rfmrisk.training import train
from rfmrisk.training.exchange import to_records

from .conftest import QUICK, body_of

PARQUET = "application/vnd.apache.parquet"
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
    options = {"proxy": False, **QUICK}
    with pytest.warns(UserWarning, match="'note'"):
        return train(histories, y, models=["logistic_regression"], **options).model


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


def test_fields_may_come_in_any_order(client, histories):
    """A request gives the same answers where each customer begins with the application."""
    body = request_of(histories.iloc[:60])
    whole = client.post("/predict", json=body).json()
    customers = [{"application": each.pop("application"), **each} for each in body["customers"]]
    assert client.post("/predict", json={"customers": customers}).json() == whole


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
    return train(table, y, models=["logistic_regression"], **QUICK).model


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


def test_a_model_of_a_table_says_which_path_takes_its_columns(of_table):
    """Whatever is sent to /predict, which is for histories, is told where it belongs."""
    application = {"asked": 900.0, "purpose": "01", "married": True}
    with TestClient(create_app(of_table, Settings())) as client:
        for customer in (
            {"customer_id": 1, "transactions": [], "application": application},
            {"customer_id": 1, "features": application},
        ):
            answer = client.post("/predict", json={"customers": [customer]})
            assert answer.status_code == 422
            assert "POST /predict/features takes its columns" in answer.json()["detail"]


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


@pytest.fixture(scope="module")
def asked(histories):
    """Give new decisions, at several times, of known and unknown customers."""
    asked = histories.drop(columns="history").iloc[:150].reset_index()
    asked = asked.rename(columns={"customer": "CustomerId"})
    asked["as_of"] += pd.to_timedelta(np.arange(len(asked)) % 40 - 60, unit="D")
    again = asked.iloc[:20].assign(as_of=pd.Timestamp("2019-03-05 10:30:00"))
    strangers = asked.iloc[:3].assign(CustomerId=["new 1", "new 2", "new 3"])
    return pd.concat([asked, again, strangers], ignore_index=True)


def written(frame, path) -> bytes:
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path.read_bytes()


def form(log, decisions, kinds=("text/csv", "text/csv")):
    """Write a form of two files."""
    parts = zip(("log", "decisions"), (log, decisions), kinds, strict=True)
    return {name: (f"{name}.file", content, kind) for name, content, kind in parts}


@pytest.mark.parametrize(
    ("suffix", "own_times"), [(".csv", True), (".csv", False), (".parquet", True)]
)
def test_decisions_beside_a_log_are_scored_as_the_command_does(  # noqa: PLR0917
    client, model, asked, tmp_path, suffix, own_times
):
    """Each decision has the line of `rfmrisk score LOG --decisions`, in order, to the last bit."""
    log = make_transactions(400, random_state=3)
    asked = asked.rename(columns={"CustomerId": "who", "as_of": "when"})
    given = {"decision_customer": "who", "decision_time": "when"}
    if not own_times:
        asked, given = asked.drop(columns="when"), given | {"as_of": "2019-02-20"}
    files = [tmp_path / f"{name}{suffix}" for name in ("log", "asked")]
    bodies = [written(frame, file) for frame, file in zip((log, asked), files, strict=True)]
    model.save(tmp_path)
    output = tmp_path / "scores.csv"
    flags = [
        text for name, value in given.items() for text in (f"--{name.replace('_', '-')}", value)
    ]
    command = ["score", str(files[0]), "--decisions", str(files[1]), "--model", str(tmp_path)]
    assert cli.main([*command, *flags, "-o", str(output)]) == 0
    expected = pd.read_csv(output, dtype=str, keep_default_na=False)

    for kind in ("application/octet-stream", {".csv": "text/csv"}.get(suffix, PARQUET)):
        answer = client.post("/score-file", params=given, files=form(*bodies, (kind, kind)))
        assert answer.status_code == 200, answer.text
        got = pd.read_csv(io.StringIO(answer.text), dtype=str, keep_default_na=False)
        assert len(got) == len(asked)
        pd.testing.assert_series_equal(
            pd.to_datetime(got.pop("as_of"), format="ISO8601"),
            pd.to_datetime(expected["as_of"], format="ISO8601"),
        )
        pd.testing.assert_frame_equal(got, expected.drop(columns="as_of"))
    answer = client.post(
        "/score-file", params=given, files=form(*bodies), headers={"accept": "application/json"}
    )
    if suffix == ".csv":
        told = [str(each["probability"]) for each in answer.json()["customers"]]
        assert told == expected["probability"].tolist()


def test_a_model_without_applications_takes_decisions(card):
    """Decisions are then customers and times alone."""
    log = make_transactions(30, random_state=5)
    asked = pd.DataFrame({"CustomerId": log["CustomerId"].unique()[:9], "as_of": "2019-03-01"})
    expected = card.score(to_histories(log, as_of=asked))
    files = form(log.to_csv(index=False), asked.to_csv(index=False))
    with TestClient(create_app(card, Settings())) as client:
        answer = client.post("/score-file", files=files, headers={"accept": "application/json"})
        alone = client.post("/score-file", files={"log": files["log"]})
    got = [customer["probability"] for customer in answer.json()["customers"]]
    assert got == expected["probability"].tolist()
    assert len(alone.text.splitlines()) == 1 + log["CustomerId"].nunique()


def wide(decisions):
    names = [f"c{number}" for number in range(1_001)]
    return pd.DataFrame(1, index=decisions.index, columns=names)


SECRET = "Jane Doe"  # noqa: S105 - stands for what no answer or log line may repeat


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        (lambda d: d.drop(columns="asked"), 422, "column(s) 'asked' not found in the decisions"),
        (lambda d: d.drop(columns="as_of"), 422, "decisions: as_of"),
        (lambda d: d.drop(columns="CustomerId"), 422, "decisions: CustomerId"),
        (lambda d: d.assign(**{SECRET: 1}), 422, "decisions: column 8 is none that the training"),
        (lambda d: d.assign(asked=SECRET), 422, "decisions: asked must hold numbers"),
        (lambda d: d.assign(asked=1e300), 422, "decisions: asked, row 1 must be from -1e+15"),
        (lambda d: d.assign(as_of=SECRET), 422, "decisions: as_of, row 1 must have a time"),
        (lambda d: d.assign(as_of="0019-01-01"), 422, "decisions: as_of, row 1 must be from 1900"),
        (lambda d: d.assign(as_of="2001-01-01"), 422, "must be after the first transaction"),
        (lambda d: d.assign(CustomerId=""), 422, "decisions: CustomerId, row 1 must have an id"),
        (lambda d: d.iloc[:0], 422, "the decisions holds no application"),
        (lambda d: pd.concat([d] * 9), 413, "rows may be at most 9,999"),
        (lambda d: pd.concat([d, wide(d)], axis=1), 413, "columns may be at most"),
    ],
)
def test_decisions_at_fault_are_refused_by_file_and_column(  # noqa: PLR0917
    model, asked, caplog, capfd, change, status, told
):
    """What is wrong is told by file, column and row; nothing of the file is repeated."""
    log = make_transactions(400, random_state=3)
    asked = pd.concat([asked] * 7, ignore_index=True)
    files = form(log.to_csv(index=False), change(asked).to_csv(index=False))
    limits = Settings(max_transactions=9_999)
    assert len(asked) < len(log) < limits.max_transactions < 9 * len(asked)
    with TestClient(create_app(model, limits)) as client:
        answer = client.post("/score-file", files=files)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert told in problem["detail"] + str(problem.get("errors"))
    assert SECRET not in answer.text + caplog.text + "".join(capfd.readouterr())


def test_a_form_at_fault_is_refused(client, of_table, asked, table):
    """Parts are the log and the decisions, each once, of a known type, and whole."""
    log, decisions = make_transactions(9, random_state=0).to_csv(), asked.to_csv(index=False)
    whole = form(log, decisions)
    type_of_form = {"content-type": "multipart/form-data; boundary=x"}
    for sent, status, told in (
        ({"files": {"decisions": whole["decisions"]}}, 422, "log is required"),
        ({"files": {"log": whole["log"]}}, 422, "a second file, of decisions"),
        ({"files": whole | {"third": whole["log"]}}, 400, "not a whole form"),
        ({"files": {"logs": whole["log"]}}, 422, "logs must be log or decisions"),
        ({"files": form(log, decisions, ("text/csv", "image/png"))}, 415, "decisions must be text"),
        ({"content": b"--x\r\n", "headers": type_of_form}, 400, "not a whole form"),
        ({"content": b"", "headers": type_of_form}, 400, "not a whole form"),
        ({"content": b"", "headers": {"content-type": "multipart/form-data"}}, 400, "not a whole"),
    ):
        answer = client.post("/score-file", **sent)
        assert answer.status_code == status, (told, answer.text)
        assert told in answer.json()["detail"]
    both = client.post("/score-file?as_of=2019-02-01", files=whole)
    assert both.json()["errors"][0]["field"] == "as_of"
    with TestClient(create_app(of_table, Settings())) as another:
        answer = another.post("/score-file", files=form(table.to_csv(index=False), decisions))
    assert answer.status_code == 422
    assert "needs no decisions" in answer.json()["detail"]
