"""Files, metrics, the document of the interface, and the page in a real browser."""

import io
import json
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from litestar.testing import TestClient
from sklearn.pipeline import make_pipeline

from rfmrisk import Scorecard, SpendAggregator
from rfmrisk.datasets import make_transactions
from rfmrisk.histories import to_histories
from rfmrisk.metrics import population_stability_index
from rfmrisk.scoring import ScoringModel
from rfmrisk.scoring.metadata import MasterScale
from rfmrisk.serving import Settings, create_app
from rfmrisk.serving.monitor import ScoreMonitor
from rfmrisk.validation import monitor_model

from .conftest import body_of, running, small_body

CSV = {"content-type": "text/csv"}
JSON = {"content-type": "application/json"}
ROLES = {"customer": "who", "time": "when", "amount": "paid"}


@pytest.fixture(scope="module")
def log():
    return make_transactions(60, random_state=5)


def test_a_csv_log_is_scored_as_the_command_does(client, card, log):
    """Every customer of a CSV log comes back with the columns of `rfmrisk score`."""
    answer = client.post("/score-file", content=log.to_csv(index=False).encode(), headers=CSV)
    assert answer.headers["content-type"].startswith("text/csv")
    # As text: pandas reads floats to the last bit in its later versions only.
    read = {"index_col": "customer", "keep_default_na": False, "dtype": "str"}
    got = pd.read_csv(io.StringIO(answer.text), **read)
    expected = card.score(to_histories(log))
    assert list(got.columns) == list(expected.columns)
    assert got.index.tolist() == expected.index.tolist()
    for column, kind in (("probability", float), ("score", int), ("is_high_risk", int)):
        assert got[column].map(kind).tolist() == expected[column].tolist()
    for column in ("reason_1", "reason_2", "reason_3"):
        assert got[column].tolist() == expected[column].tolist()


def test_a_parquet_log_with_other_names_gives_json(client, card, log):
    """Columns can be named, and JSON asked for."""
    renamed = log.rename(columns={"CustomerId": "who", "TransactionStartTime": "when"})
    kind = {"content-type": "application/vnd.apache.parquet", "accept": "application/json"}
    answer = client.post(
        "/score-file?customer=who&time=when&as_of=2019-03-01",
        content=renamed.to_parquet(index=False),
        headers=kind,
    )
    expected = card.score(to_histories(log, as_of="2019-03-01"))
    got = [customer["probability"] for customer in answer.json()["customers"]]
    assert got == expected["probability"].tolist()
    assert answer.json()["customers"][0]["as_of"] == "2019-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("Amount", "Amuont"), "column(s) 'Amount' not found"),
        (lambda text: text.replace("ProductId,", "Product,"), "column(s) 'ProductId' not found"),
        (lambda text: re.sub(r"2018-[-\dT:]+Z", "Jane Doe", text, count=1), "row"),
        (lambda text: text.splitlines()[0] + "\n", "at least one is needed"),
        (lambda text: "", "the first row of a CSV must be a header"),
        (lambda text: "a,b\n1\n1,2,3\n", "the first row of a CSV must be a header"),
    ],
)
def test_a_bad_log_is_refused_without_its_values(client, log, change, told):
    """What is wrong is told by column and row; no value of the log is repeated."""
    text = change(log.to_csv(index=False))
    answer = client.post("/score-file", content=text.encode(), headers=CSV)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert "Jane" not in answer.text


def test_a_model_with_grades_has_them_in_every_answer(card, client, log, settings):
    """JSON and CSV have those of `ScoringModel.score`; without grades there is no such field."""
    scale = MasterScale(edges=[500.0, 540.0], names=["C", "B", "A"])
    graded = ScoringModel(card.pipeline, replace(card.metadata, grades=scale))
    histories = to_histories(log)
    expected = graded.score(histories)["grade"].tolist()
    assert len(set(expected)) > 1
    file, body = log.to_csv(index=False).encode(), body_of(histories)
    with TestClient(create_app(graded, settings)) as other:
        answers = [
            other.post("/predict", json=body),
            other.post("/score-file", content=file, headers=CSV | {"accept": "application/json"}),
        ]
        for answer in answers:
            assert [c["grade"] for c in answer.json()["customers"]] == expected
        read = pd.read_csv(io.StringIO(other.post("/score-file", content=file, headers=CSV).text))
        assert list(read.columns[1:]) == list(graded.score(histories).columns)
        assert read["grade"].tolist() == expected
        features = card.features(histories)[sorted(card.scorer.used)]
        records = json.loads(features.to_json(orient="records"))
        asked = [{"customer_id": k, "features": each} for k, each in enumerate(records)]
        answer = other.post("/predict/features", json={"customers": asked})
        assert [c["grade"] for c in answer.json()["customers"]] == expected
        assert other.get("/model").json()["metadata"]["grades"]["edges"] == scale.edges
        schemas = other.get("/openapi.json").json()["components"]["schemas"]
        (prediction,) = (schemas[name] for name in schemas if name.endswith("Prediction"))
        assert prediction["properties"]["grade"]["oneOf"] == [{"type": "string"}]
        assert "grade" not in prediction["required"]
    assert "grade" not in client.post("/predict", json=body).json()["customers"][0]


def test_metrics_count_requests_scores_and_drift(card, log):
    """Requests by status, the latency, the scores, and their distance from training."""
    with TestClient(create_app(card, Settings())) as client:
        for _ in range(3):
            client.post("/predict", content=small_body(), headers=JSON)
        client.post("/predict", content=b"", headers=JSON)
        client.post("/score-file", content=log.to_csv(index=False).encode(), headers=CSV)
        monitor = client.app.service.champion().monitor
        text = client.get("/metrics").text
    assert 'rfmrisk_requests_total{method="POST",route="/predict",status="200"} 3' in text
    assert 'rfmrisk_requests_total{method="POST",route="/predict",status="400"} 1' in text
    assert 'rfmrisk_request_seconds_count{route="/predict"} 4' in text
    n_scores = 3 + log["CustomerId"].nunique()
    assert f"rfmrisk_score_count {n_scores}" in text
    psi = float(re.search(r"^rfmrisk_score_psi (\S+)$", text, re.MULTILINE)[1])
    scorecard = card.pipeline[-1]
    places = range(len(scorecard.score_counts_))
    recent = pd.Series(list(monitor.recent))
    bins = scorecard.score_cuts_.searchsorted(recent, side="right")
    expected = population_stability_index(
        list(places), bins, bins=list(places)[1:], expected_weight=scorecard.score_counts_
    )
    assert psi == pytest.approx(expected, rel=1e-4)


def test_drift_is_told_of_every_model_with_a_score(trained, many_histories):
    """Scores like those of the held-out customers have a low index; the riskiest a high one.

    The app and the monitor give the same index of the same requests.
    """
    for name, model in trained.items():
        riskiest = model.score(many_histories)["score"].nsmallest(100).index
        index = {}
        for which, some in (("all", many_histories), ("risky", many_histories.loc[riskiest])):
            with TestClient(create_app(model, Settings())) as client:
                assert client.post("/predict", json=body_of(some)).status_code == 200
                text = client.get("/metrics").text
            index[which] = float(re.search(r"^rfmrisk_score_psi (\S+)$", text, re.MULTILINE)[1])
            watched = monitor_model(model, some, proxy=True).periods
            assert index[which] == pytest.approx(watched["psi"].item(), rel=1e-9), name
            (n_high_risk,) = re.findall(r"^rfmrisk_high_risk_total (\S+)$", text, re.MULTILINE)
            refused = (1 - watched["approved"].item()) * len(some)
            assert float(n_high_risk) == pytest.approx(refused), name
        assert index["all"] < 0.25 < index["risky"], name


def test_scores_are_counted_from_several_threads():
    """No score is lost where large and small requests are counted at once."""
    monitor = ScoreMonitor(np.array([500.0]), np.array([1.0, 1.0]))
    scores, high = np.full(50, 600.0), np.zeros(50, dtype=bool)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: (monitor.add(scores, high), monitor.psi()), range(800)))
    assert monitor.registry.get_sample_value("rfmrisk_score_count") == 800 * 50


def test_the_sample_fits_the_model_or_is_refused(card, many_histories):
    """The sample has the columns that the model needs; where it cannot, the problem says so."""
    named = ScoringModel(card.pipeline, replace(card.metadata, roles=ROLES))
    with TestClient(create_app(named, Settings())) as client:
        sample = client.get("/pages/sample.csv")
        assert sample.text.startswith("who,when,paid,")
        scored = client.post("/score-file", content=sample.content, headers=CSV)
        assert len(scored.text.splitlines()) == 41

    lists = many_histories["history"].map(
        lambda history: [each | {"balance": each["amount"]} for each in history]
    )
    spend = SpendAggregator(columns=["amount", "balance"], windows=(None,), stats=("sum",))
    y = np.arange(len(lists)) % 3 == 0
    pipeline = make_pipeline(spend, Scorecard()).fit(many_histories.assign(history=lists), y)
    with TestClient(create_app(ScoringModel(pipeline, card.metadata), Settings())) as client:
        if "balance" not in client.get("/model").json()["transaction_fields"]:
            pytest.skip("the scorecard does not use the further column")
        answer = client.get("/pages/sample.csv")
        assert answer.status_code == 409
        assert "does not fit this model" in answer.json()["detail"]


def test_metrics_can_be_parsed(client):
    """Prometheus' own parser reads the metrics."""
    parser = pytest.importorskip("prometheus_client.parser")
    families = {
        family.name for family in parser.text_string_to_metric_families(client.get("/metrics").text)
    }
    assert {"rfmrisk_requests", "rfmrisk_request_seconds", "rfmrisk_score"} <= families


def test_pages_load_nothing_from_elsewhere(client):
    """The page and the documentation need no other host, and no file outside is served."""
    for path in ("/", "/docs", "/pages/page.js", "/pages/page.css", "/pages/docs.js"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert not re.search(r"(src|href|url)\s*[=(:]\s*[\"']?(https?:)?//", answer.text)
    for path in ("/pages/swagger-ui-bundle.js", "/pages/swagger-ui.css"):
        assert client.get(path).status_code == 200
    for path in ("/pages/app.py", "/pages/..%2fapp.py", "/pages/", "/pages/.html"):
        assert client.get(path).status_code == 404


def test_the_document_names_what_the_model_needs(client):
    """The fields that the model uses are required of each transaction."""
    document = client.get("/openapi.json").json()
    request = document["components"]["schemas"]["PredictRequest"]
    customer = request["properties"]["customers"]["items"]
    transaction = customer["properties"]["transactions"]["items"]
    fields = client.get("/model").json()["transaction_fields"]
    assert transaction["required"] == ["time", "amount", *fields]


@pytest.mark.slow
def test_schemathesis_finds_nothing(folder):
    """Whatever schemathesis sends, the answers are those that the document declares.

    A request that fits the schema may still be refused, as no schema can say that transactions
    are in order of time; so that one check is left out.
    """
    schemathesis = pytest.importorskip("schemathesis")
    hypothesis = pytest.importorskip("hypothesis")
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    key = {"X-API-Key": "k" * 16}
    chosen = CHECKS.get_by_names(
        [
            "not_a_server_error",
            "status_code_conformance",
            "content_type_conformance",
            "response_headers_conformance",
            "response_schema_conformance",
            "negative_data_rejection",
            "unsupported_method",
        ]
    )
    with running(folder, RFMRISK_API_KEYS=key["X-API-Key"]) as (address, _), ignored_warnings():
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        for found in schema.get_all_operations():

            @hypothesis.settings(
                max_examples=15,
                deadline=None,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(case=found.ok().as_strategy())
            def check(case):
                case.call_and_validate(checks=chosen, headers=key)

            check()


@contextmanager
def ignored_warnings():
    """Leave the warnings of the tools to their makers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
