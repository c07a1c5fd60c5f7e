"""A log as a file: what is wrong with it is told before the answer begins, without its values."""

import csv
import io
import re
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pytest
from litestar.testing import TestClient
from pyarrow import parquet

from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.serving import Settings, create_app, logs
from rfmrisk.training import train

from .conftest import QUICK

CSV = {"content-type": "text/csv"}
PARQUET = {"content-type": "application/vnd.apache.parquet"}
JSON = {"accept": "application/json"}


@pytest.fixture(scope="module")
def log():
    return make_transactions(30, random_state=5)


def as_csv(log) -> bytes:
    return log.to_csv(index=False).encode()


def as_parquet(log, **columns) -> bytes:
    table = pa.table({name: pa.array(column) for name, column in log.items()} | columns)
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def probabilities(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    read = pd.read_csv(io.StringIO(answer.text), dtype=str)
    return read["probability"].tolist()


@pytest.mark.parametrize(
    "level", ["2019-01-31", "10:20:30", "2019-01-31T10:00:00Z", "2019-01-31 10:00:00.123"]
)
def test_levels_that_look_like_dates_are_text(client, log, level):
    """A level column of a CSV is text, whatever all its values happen to look like."""
    plain = client.post("/score-file", content=as_csv(log.assign(ProductId="new")), headers=CSV)
    dated = client.post("/score-file", content=as_csv(log.assign(ProductId=level)), headers=CSV)
    assert probabilities(dated) == probabilities(plain)


def test_duplicates_are_dropped_as_in_the_training(client, card, log):
    """A model of a log without its duplicates scores a file without them."""
    twice = pd.concat([log, log[::3]])
    roles = card.metadata.roles | {"duplicates": "drop"}
    dropping = replace(card, metadata=replace(card.metadata, roles=roles))
    plain = probabilities(client.post("/score-file", content=as_csv(log), headers=CSV))
    with TestClient(create_app(dropping, Settings())) as other:
        for body, headers in ((as_csv(twice), CSV), (as_parquet(twice), PARQUET)):
            assert probabilities(other.post("/score-file", content=body, headers=headers)) == plain
            kept = client.post("/score-file", content=body, headers=headers)
            assert probabilities(kept) != plain
        renamed = as_csv(twice.assign(order=1))
        answer = other.post("/score-file", content=renamed, headers=CSV)
        assert answer.status_code == 422
        assert "['order'] have the name of a role" in answer.text


def test_orders_are_those_of_the_training(log):
    """A model of orders finds their column in a file under the name that it has there."""
    log = log.assign(InvoiceNo=[f"I{k // 2}" for k in range(len(log))])
    many = make_transactions(200, random_state=0)
    many["InvoiceNo"] = [f"I{k // 2}" for k in range(len(many))]
    options = {"models": ["scorecard"], "outcome": "30D", "n_cutoffs": 1}
    model = train(to_histories(many, order="InvoiceNo"), **options, **QUICK).model
    expected = model.score(to_histories(log, order="InvoiceNo"))["probability"].tolist()
    with TestClient(create_app(model, Settings())) as client:
        for body, headers in ((as_csv(log), CSV), (as_parquet(log), PARQUET)):
            answer = client.post("/score-file", content=body, headers=headers)
            assert list(map(float, probabilities(answer))) == expected
        lacking = as_csv(log.drop(columns="InvoiceNo"))
        answer = client.post("/score-file", content=lacking, headers=CSV)
        assert answer.status_code == 422
        assert "column(s) 'InvoiceNo' not found" in answer.text


@pytest.mark.parametrize("headers", [{}, JSON])
def test_a_level_that_is_no_text_is_named(client, log, headers):
    """A column without usable levels is refused by name, whatever form the answer was to have."""
    n = len(log)
    odd = {
        "list": pa.array([["x"]] * n),
        "struct": pa.array([{"x": 1}] * n),
        "date": pa.array([18_000] * n, pa.date32()),
        "binary": pa.array([b"\xff"] * n),
        "float": pa.array([1.5] * n),
        "text": pa.Array.from_buffers(
            pa.string(), n, pa.array([b"\xff"] * n, pa.binary()).buffers()
        ),
    }
    bodies = [(as_parquet(log, ProductId=column), PARQUET) for column in odd.values()]
    for body, kind in bodies:
        answer = client.post("/score-file", content=body, headers=kind | headers)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "ProductId"


def test_what_fails_at_first_has_an_honest_status(card, log, monkeypatch, caplog):
    """A fault with the first customers is a 500, not an answer that breaks off."""
    with TestClient(create_app(card, Settings())) as client:
        fail_at(client, monkeypatch, 1)
        answer = client.post("/score-file", content=as_csv(log), headers=CSV)
    assert answer.status_code == 500
    assert "test_score_file.py" in caplog.text


def test_the_place_of_a_late_fault_is_logged(card, log, monkeypatch, caplog):
    """The log names the line where a stream broke, and not that of the framework."""
    monkeypatch.setattr(logs, "BATCH", 10)
    with TestClient(create_app(card, Settings())) as client:
        fail_at(client, monkeypatch, 2)
        with pytest.raises(ConnectionAbortedError):
            client.post("/score-file", content=as_csv(log), headers=CSV)
    assert "RuntimeError at" in caplog.text
    assert "test_score_file.py" in caplog.text


def fail_at(client, monkeypatch, call):
    """Let the scorer fail at one of its calls."""
    scorer, calls = client.app.service.champion().scorer, []
    score = scorer.score

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise RuntimeError("Jane Doe")
        return score(*arguments)

    monkeypatch.setattr(scorer, "score", failing)


SECRET = "Jane Doe"  # noqa: S105 - stands for what no answer or log line may repeat


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: SECRET + text.partition("\n")[2], "first row of a CSV must be a header"),
        (lambda text: text.replace("BatchId", SECRET).replace("AccountId", SECRET), "columns 2"),
        (lambda text: text.replace("CustomerId_1,", f'"{SECRET}\n,', 1), "cannot be divided"),
        (lambda text: re.sub(r"2018-[-\dT:]+Z", SECRET, text, count=1), "row"),
        (lambda text: re.sub(r"(2018-[-\dT:]+)Z", rf"\1{SECRET}", text), "must have a time"),
    ],
)
def test_nothing_of_a_csv_is_repeated(client, log, caplog, change, told):
    """Neither a value nor the name of a column is told, as a file may have no header."""
    answer = client.post("/score-file", content=change(log.to_csv(index=False)), headers=CSV)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert SECRET not in answer.text + caplog.text


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("CustomerId", 1.5, "CustomerId must hold ids"),
        ("CustomerId", b"1.5", "CustomerId must hold ids"),
        ("TransactionStartTime", 1.5, "must hold timestamps"),
        ("Amount", True, "Amount must hold numbers"),
    ],
)
def test_nothing_of_a_parquet_file_is_repeated(client, log, column, values, told):
    """A column of a wrong type is refused by name and by what it must hold."""
    body = as_parquet(log, **{column: pa.array([values] * len(log))})
    answer = client.post("/score-file", content=body, headers=PARQUET)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"] == column
    assert "1.5" not in answer.text


@pytest.mark.parametrize("body", [b"", b"PAR1", b"PAR1xxxxPAR1"])
def test_what_is_no_parquet_file_is_refused(client, body):
    """Bytes that are no Parquet file are told to be none."""
    answer = client.post("/score-file", content=body, headers=PARQUET)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "the body is not a whole Parquet file"


@pytest.mark.parametrize(
    ("query", "field", "allowed"),
    [
        ("custmer=CustomerId", "custmer", "is not a known parameter; known are customer"),
        ("as_of=2019-03-01T00:00:00+01:00", "as_of", "must have no space after the T"),
        ("as_of=2019-03-01T00:00:00", "as_of", "must have a zone"),
        ("as_of=yesterday", "as_of", "must be ISO-8601 text"),
        ("as_of=0019-03-01", "as_of", "must be from 1900 to 2199"),
        ("as_of=2001-01-01", "as_of", "must be after the first transaction"),
        ("time=when", "when", "is required"),
    ],
)
def test_a_bad_parameter_is_named(client, log, query, field, allowed):
    """What is wrong with the query is told by name, and never by a moment of the log."""
    answer = client.post(f"/score-file?{query}", content=as_csv(log), headers=CSV)
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["field"] == field
    assert error["allowed"].startswith(allowed)
    assert log["TransactionStartTime"].min()[:10] not in answer.text


def test_columns_have_one_use_each(client, log):
    """One column cannot be two roles, nor a role and a field of the model."""
    for query in ("customer=Amount", "customer=ProductId"):
        answer = client.post(f"/score-file?{query}", content=as_csv(log), headers=CSV)
        assert answer.status_code == 422
        assert "different columns" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("Amount", 1e16, "must be from -1e+15 to 1e+15"),
        ("Amount", "1e400", "must have a finite number"),
        ("TransactionStartTime", "0019-01-01T00:00:00Z", "must be from 1900 to 2199"),
        ("TransactionStartTime", "2018-12-01T00:00:00", "must hold times that all have a zone"),
    ],
)
def test_a_file_has_the_ranges_of_a_request(client, log, column, value, told):
    """What /predict refuses, a file may not hold either."""
    changed = log.astype({column: object})
    changed.loc[3, column] = value
    answer = client.post("/score-file", content=as_csv(changed), headers=CSV)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert column in answer.json()["errors"][0]["field"]


def test_the_moment_of_decision_has_the_zone_of_the_times(client, log):
    """A date alone goes with any log; a moment needs a zone where the times have one, only."""
    naive = log.assign(TransactionStartTime=log["TransactionStartTime"].str.rstrip("Z"))
    typed = naive.assign(TransactionStartTime=pd.to_datetime(naive["TransactionStartTime"]))
    utc = typed.assign(TransactionStartTime=typed["TransactionStartTime"].dt.tz_localize("UTC"))
    zoned, plain = "2019-03-01T00:00:00Z", "2019-03-01T00:00:00"
    expected = probabilities(
        client.post("/score-file?as_of=2019-03-01", content=as_csv(log), headers=CSV)
    )
    for frame, good, bad in (
        (log, zoned, plain),
        (utc, zoned, plain),
        (naive, plain, zoned),
        (typed, plain, zoned),
    ):
        for as_of in ("2019-03-01", good, bad):
            answer = client.post(
                f"/score-file?as_of={as_of}",
                content=frame.to_parquet(index=False),
                headers=PARQUET,
            )
            if as_of != bad:
                assert probabilities(answer) == expected
                continue
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == "as_of"


def test_a_file_needs_no_disk(client, log, monkeypatch):
    """A log is read from memory: the app runs where nothing can be written."""
    monkeypatch.setattr("tempfile.mkdtemp", None)
    monkeypatch.setattr("tempfile.mkstemp", None)
    monkeypatch.setattr("pathlib.Path.write_bytes", None)
    for body, headers in ((as_csv(log), CSV), (as_parquet(log), PARQUET)):
        assert client.post("/score-file", content=body, headers=headers).status_code == 200


def test_an_id_is_one_cell_for_every_reader(client):
    """A carriage return in an id is quoted, and a formula is defused where that is asked for."""
    ids = ["Ada\rGrace,x", "=1+1", "plain"]
    log = make_transactions(60, random_state=0)
    wanted = log["CustomerId"].unique()[: len(ids)]
    log = log[log["CustomerId"].isin(wanted)]
    log["CustomerId"] = log["CustomerId"].map(dict(zip(wanted, ids, strict=True)))
    body = io.BytesIO()
    log.to_parquet(body)
    headers = PARQUET
    answer = client.post("/score-file", content=body.getvalue(), headers=headers)
    assert answer.status_code == 200, answer.text
    rows = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert [row[0] for row in rows[1:]] == sorted(ids)
    path = "/score-file?spreadsheet=true"
    defused = client.post(path, content=body.getvalue(), headers=headers)
    assert [row[0] for row in csv.reader(io.StringIO(defused.text, newline=""))][1:] == [
        "'=1+1",
        "Ada\rGrace,x",
        "plain",
    ]
    path = "/score-file?spreadsheet=perhaps"
    assert client.post(path, content=body.getvalue(), headers=headers).status_code == 422
