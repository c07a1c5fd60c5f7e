"""The model comes beside the requests: a registry that is slow or silent holds up nothing."""

import http.client
import json
import signal
import socket
import sys
import threading
import time
from contextlib import closing

import httpx
import pytest
from litestar.testing import TestClient

from rfmrisk.datasets import make_transactions
from rfmrisk.serving import Settings, app, champion, create_app
from rfmrisk.training import addresses

from .conftest import eventually, free_port, running, small_body, started

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}


@pytest.fixture
def silent_registry(monkeypatch):
    """Let the registry not answer until the test ends."""
    answer = threading.Event()
    asked = threading.Event()

    def identify(source):
        asked.set()
        answer.wait()
        raise champion.ModelFileError("the test is over")

    monkeypatch.setattr(champion, "_identify", identify)
    yield asked
    answer.set()


def test_it_lives_while_the_first_model_is_loaded(silent_registry, monkeypatch):
    """/health answers before there is a model, and /ready says that there is none yet."""
    monkeypatch.setattr(champion, "FIRST_SECONDS", 0.1)
    with TestClient(create_app("models:/risk@champion", Settings())) as client:
        assert silent_registry.is_set()
        assert client.get("/health").json()["model"] is None
        ready = client.get("/ready")
        assert ready.status_code == 503
        assert ready.headers["retry-after"] == "5"


def test_a_silent_registry_holds_up_no_request(card, silent_registry):
    """Calls of the registry that do not return take no thread from large requests."""
    settings = Settings(model="models:/risk@champion", reload_seconds=0.01)
    log = make_transactions(20, random_state=5).to_csv(index=False)
    with TestClient(create_app(card, settings)) as client:
        eventually(silent_registry.is_set)
        for _ in range(4):
            assert client.post("/score-file", content=log, headers=CSV).status_code == 200


def test_a_reload_is_not_waited_for_without_end(card, silent_registry, monkeypatch):
    """Who asks for a reload is told after a while that there is no new model yet."""
    monkeypatch.setattr(app, "RELOAD_SECONDS", 0.1)
    key = "a-key-of-the-bank"
    settings = Settings.from_environment({"MODEL_PATH": "none", "RFMRISK_API_KEYS": key})
    with TestClient(create_app(card, settings)) as client:
        answer = client.post("/reload", headers={"X-API-Key": key})
    assert answer.status_code == 502
    assert "not loaded within 0.1 seconds, the old one goes on" in answer.json()["detail"]


def test_an_unexpected_error_is_told_by_its_kind(folder, monkeypatch, caplog):
    """The message of an error that nobody foresaw may hold a secret, and is told nowhere."""

    def fail(_):
        raise RuntimeError("secret")

    monkeypatch.setattr(champion, "_load", fail)
    with TestClient(create_app(folder, Settings())) as client:
        told = client.get("/health").json()["load_error"]
    assert told == f"{folder.name!r} cannot be loaded: RuntimeError"
    assert "test_loading.py:" in caplog.text
    assert str(folder) not in caplog.text
    assert "secret" not in caplog.text


def test_where_no_model_is_configured_none_is_promised():
    """Without a model's name there is nothing to wait for."""
    with TestClient(create_app(settings=Settings())) as client:
        ready = client.get("/ready")
    assert "set MODEL_PATH" in ready.json()["detail"]
    assert "retry-after" not in ready.headers


def test_without_a_model_it_lives_and_tries_again(card, tmp_path, monkeypatch):
    """A model that is not there leaves an app that says so, and takes it when it comes."""
    monkeypatch.setattr(champion, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(champion, "RETRY_SECONDS", 20)
    with TestClient(create_app(tmp_path / "model", Settings())) as client:
        assert client.get("/health").json()["load_error"].startswith("there is no model file")
        for answer in (
            client.get("/ready"),
            client.post("/predict", content=small_body(), headers=JSON),
        ):
            assert answer.status_code == 503
            assert 10 < int(answer.headers["retry-after"]) <= 20
        assert client.get("/openapi.json").status_code == 200

    monkeypatch.setattr(champion, "RETRY_SECONDS", 0.2)
    with TestClient(create_app(tmp_path / "model", Settings())) as client:
        assert client.get("/ready").headers["retry-after"] == "1"
        (tmp_path / "model").mkdir()
        card.save(tmp_path / "model")
        eventually(lambda: client.get("/ready").status_code == 200)
        assert client.get("/health").json()["load_error"] is None


@pytest.mark.parametrize("name", ["models:/risk@champion", "models:/risk/3", "runs:/0/model"])
def test_a_registry_out_of_reach_is_told_to_be(monkeypatch, name):
    """That it cannot be reached is another thing than that it has no such model."""
    mlflow = pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = f"http://bank:secret@127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    try:
        with TestClient(create_app(name, Settings())) as client:
            eventually(lambda: client.get("/health").json()["load_error"])
            told = client.get("/health").json()["load_error"]
    finally:
        mlflow.set_tracking_uri(None)
    assert "cannot be reached" in told
    assert name in told
    assert "secret" not in told


def test_a_registry_that_refuses_is_told_to():
    """A registry that wants another key is neither silent nor without the model."""
    exceptions = pytest.importorskip(
        "mlflow.exceptions", reason="the extra 'train' is not installed"
    )
    refused = exceptions.MlflowException("no", error_code=1004)  # PERMISSION_DENIED
    told = addresses.told_of_registry(refused, "models:/risk@champion")
    assert str(told).endswith("refuses to give 'models:/risk@champion': PERMISSION_DENIED")


def test_an_unknown_alias_is_told_to_be(tmp_path, monkeypatch):
    """A registry that answers is said to have no such model."""
    mlflow = pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    try:
        with TestClient(create_app("models:/risk@champion", Settings())) as client:
            eventually(lambda: client.get("/health").json()["load_error"])
            told = client.get("/health").json()["load_error"]
    finally:
        mlflow.set_tracking_uri(None)
    assert told == "the registry has no 'models:/risk@champion'"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_stop_does_not_wait_for_the_registry():
    """SIGTERM ends a process whose registry has never answered."""
    pytest.importorskip("mlflow", reason="the extra 'train' is not installed")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes calls, and says nothing
        command = [sys.executable, "-c", "from rfmrisk.cli import run; run()", "serve"]
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started(command, "/health", MLFLOW_TRACKING_URI=uri) as (address, process):
            assert httpx.get(f"{address}/ready").status_code == 503
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) in (0, -signal.SIGTERM)


@pytest.mark.slow
def test_a_reload_reaches_all_workers(trained, tmp_path):
    """Soon after one worker was told to reload, all of them have the new model."""
    key = {"X-API-Key": "a-key-of-the-bank"}
    trained["scorecard"].save(tmp_path)
    with running(tmp_path, "--workers", "2", RFMRISK_API_KEYS=key["X-API-Key"]) as (address, _):

        def names():
            return {name_by_any_worker(address) for _ in range(60)}

        eventually(lambda: names() == {"scorecard"})
        trained["decision_tree"].save(tmp_path)
        assert names() == {"scorecard"}
        reloaded = httpx.post(f"{address}/reload", headers=key)
        assert reloaded.json()["model"]["name"] == "decision_tree"
        time.sleep(3)
        assert names() == {"decision_tree"}


def name_by_any_worker(address) -> str | None:
    """Ask for the model on a connection of its own, which any worker may take."""
    host, port = address.removeprefix("http://").split(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=20)) as connection:
        connection.request("GET", "/health")
        model = json.loads(connection.getresponse().read())["model"]
    return model and model["name"]
