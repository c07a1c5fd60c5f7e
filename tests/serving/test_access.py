"""Who gets in, how often, and what is written down of it."""

import hashlib
import json
import logging
import shutil
from dataclasses import replace

import pytest
from litestar.testing import TestClient

from rfmrisk.persistence import TRUSTED_TYPES
from rfmrisk.serving import Settings, create_app
from rfmrisk.serving.guard import RateLimiter

from .conftest import eventually, small_body

KEYS = ("first-key-of-the-bank", "second-key-of-the-bank")
JSON = {"content-type": "application/json"}


def with_keys(**more) -> Settings:
    hashed = "sha256:" + hashlib.sha256(KEYS[1].encode()).hexdigest()
    return Settings.from_environment({"RFMRISK_API_KEYS": f"{KEYS[0]}, {hashed}", **more})


def test_only_known_keys_get_in(card):
    """With keys, all that shows or takes data asks for one; any of them is good."""
    with TestClient(create_app(card, with_keys())) as client:
        for path in ("/", "/health", "/ready", "/docs", "/openapi.json", "/pages/page.js"):
            assert client.get(path).status_code == 200
        for path in ("/model", "/metrics", "/nope"):
            assert client.get(path).status_code == 401
        for path in ("/predict", "/predict/features", "/score-file", "/reload"):
            refused = client.post(path, content=small_body(), headers=JSON)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"]
        for key, status in ((KEYS[0], 200), (KEYS[1], 200), ("x", 401)):
            answer = client.get("/model", headers={"X-API-Key": key})
            assert answer.status_code == status


def test_settings_hold_no_key():
    """Only hashes are kept."""
    settings = with_keys()
    assert all(key not in repr(settings) for key in KEYS)
    assert settings.key_hashes == tuple(hashlib.sha256(key.encode()).digest() for key in KEYS)


def test_each_key_has_its_own_rate(card):
    """A key that asks too often waits; another does not."""
    with TestClient(create_app(card, with_keys(RFMRISK_RATE_LIMIT="3"))) as client:
        answers = [client.get("/model", headers={"X-API-Key": KEYS[0]}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert client.get("/model", headers={"X-API-Key": KEYS[1]}).status_code == 200
        assert client.get("/health").status_code == 200


def test_guesses_at_a_key_have_a_rate(card):
    """Wrong keys are counted by address, and take nothing from those who know a key."""
    with TestClient(create_app(card, with_keys(RFMRISK_RATE_LIMIT="3"))) as client:
        answers = [client.get("/model", headers={"X-API-Key": f"guess {n}"}) for n in range(5)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert client.get("/model", headers={"X-API-Key": KEYS[0]}).status_code == 200


def test_a_slash_at_the_end_changes_nothing(card):
    """/health/ is /health: open to all, and counted under one name."""
    with TestClient(create_app(card, with_keys())) as client:
        for path in ("/health", "/health/", "/ready/", "/pages/page.js/"):
            assert client.get(path).status_code == 200
        for path in ("/model/", "/pages/sample.csv", "/pages/sample.csv/", "/pages//sample.csv"):
            assert client.get(path).status_code == 401
        key = {"X-API-Key": KEYS[0]}
        assert client.get("/pages/sample.csv", headers=key).status_code == 200
        text = client.get("/metrics/", headers=key).text
    assert 'rfmrisk_requests_total{method="GET",route="/health",status="200"} 2' in text


def test_a_bucket_fills_steadily():
    """After a minute's requests, one more is allowed every second at sixty a minute."""
    rates = RateLimiter(60)
    assert not any(rates.wait("a", 0.0) for _ in range(60))
    assert rates.wait("a", 0.1) == pytest.approx(0.9)
    assert rates.wait("a", 1.1) == 0
    assert rates.wait("a", 1.2) > 0


def test_the_access_log_is_structured_and_has_no_data(card, caplog):
    """Each request has one line of JSON with its id, and nothing of what was sent."""
    caplog.set_level(logging.INFO, logger="rfmrisk.access")
    body = small_body().replace(b'"a"', b'"Jane Doe"')
    with TestClient(create_app(card, with_keys())) as client:
        headers = JSON | {"X-API-Key": KEYS[0], "X-Request-ID": "order-66"}
        answer = client.post("/predict?name=Jane", content=body, headers=headers)
        client.get("/Jane")
        client.get("/health", headers={"X-Request-ID": "{injected}"})
    assert answer.headers["x-request-id"] == "order-66"
    lines = [json.loads(record.message) for record in caplog.records]
    assert [line["route"] for line in lines] == ["/predict", "other", "/health"]
    assert lines[0]["request_id"] == "order-66"
    assert lines[0]["status"] == 200
    assert lines[2]["request_id"] != "{injected}"
    assert "Jane" not in caplog.text
    assert KEYS[0] not in caplog.text


def test_a_new_champion_is_taken_without_a_restart(card, trained, tmp_path):
    """A reload takes the new model whole; one that cannot be loaded leaves the old one."""
    card.save(tmp_path)
    key = {"X-API-Key": KEYS[0]}
    with TestClient(create_app(tmp_path, with_keys())) as client:
        eventually(lambda: client.get("/ready").status_code == 200)
        first = client.get("/model", headers=key).json()
        assert client.post("/reload", headers=key).json() == {
            "model": first["model"],
            "changed": False,
        }
        trained["decision_tree"].save(tmp_path)
        changed = client.post("/reload", headers=key).json()
        assert changed["changed"]
        assert changed["model"]["name"] == "decision_tree"

        (tmp_path / "model.skops").write_bytes(b"no model")
        refused = client.post("/reload", headers=key)
        assert refused.status_code == 502
        assert "the old one goes on serving" in refused.json()["detail"]
        health = client.get("/health").json()
        assert health["model"] == changed["model"]
        assert "is not a whole model file" in health["load_error"]
        headers = JSON | key
        assert client.post("/predict", content=small_body(), headers=headers).status_code == 200

        shutil.rmtree(tmp_path)
        assert client.post("/reload", headers=key).status_code == 502


def test_a_reload_needs_keys(client):
    """Where there are no keys, nobody can reload."""
    assert client.post("/reload").status_code == 403


@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")
def test_a_model_is_loaded_from_the_registry(card, tmp_path, monkeypatch):
    """MODEL_NAME and MODEL_STAGE name a registered model; a moved alias is a new champion."""
    mlflow = pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    try:
        registry = mlflow.MlflowClient()
        with mlflow.start_run(experiment_id="0"):  # not that of another test
            for _ in range(2):
                logged = mlflow.sklearn.log_model(
                    card.pipeline,
                    name="model",
                    serialization_format="skops",
                    skops_trusted_types=TRUSTED_TYPES,
                    pip_requirements=["rfmrisk"],
                    metadata={"rfmrisk": card.metadata.to_dict()},
                )
                mlflow.register_model(logged.model_uri, "risk")
        registry.set_registered_model_alias("risk", "champion", "1")
        settings = with_keys(MLFLOW_TRACKING_URI=uri, MODEL_NAME="risk", RFMRISK_RELOAD_SECONDS="9")
        assert settings.model == "models:/risk@champion"
        with TestClient(create_app(settings=settings)) as client:
            eventually(lambda: client.get("/ready").status_code == 200)
            assert client.get("/health").json()["model"] == {"name": "risk", "version": "1"}
            registry.set_registered_model_alias("risk", "champion", "2")
            answer = client.post("/reload", headers={"X-API-Key": KEYS[0]})
            assert answer.json() == {"model": {"name": "risk", "version": "2"}, "changed": True}
    finally:
        mlflow.set_tracking_uri(None)


@pytest.mark.parametrize("written", ["sha256:", "SHA256:", "Sha256:"])
def test_a_hash_is_a_hash_in_any_letters(card, written):
    """Its text is no key, and the key that it is of is one."""
    digest = hashlib.sha256(KEYS[0].encode()).hexdigest().upper()
    settings = Settings.from_environment({"RFMRISK_API_KEYS": written + digest})
    with TestClient(create_app(card, settings)) as client:
        for key, status in ((KEYS[0], 200), (written + digest, 401), (digest, 401)):
            assert client.get("/model", headers={"X-API-Key": key}).status_code == status


@pytest.mark.parametrize("keys", [",", " , ", ",,,", "sha256:abc", "SHA256:" + "g" * 64])
def test_keys_that_are_none_let_nobody_in(keys):
    """A list without a key is a mistake, and so is a hash that is none."""
    with pytest.raises(ValueError, match="RFMRISK_API_KEYS"):
        Settings.from_environment({"RFMRISK_API_KEYS": keys})


def test_a_setting_that_is_none_is_told_with_the_one_that_is_meant():
    """A typing error does not leave the limit as it was."""
    with pytest.raises(ValueError, match=r"RFMRISK_RATE_LIMITS.*did you mean RFMRISK_RATE_LIMIT\?"):
        Settings.from_environment({"RFMRISK_RATE_LIMITS": "5"})
    with pytest.raises(ValueError, match="RFMRISK_API_KEYS"):
        Settings.from_environment({"RFMRISK_API_KEY": KEYS[0]})


def test_a_right_key_among_many_wrong_ones_is_not_found(card):
    """Beyond the limit an address is heard with keys alone that it has used before."""
    settings = replace(with_keys(), guess_limit=3)
    with TestClient(create_app(card, settings)) as client:
        assert client.get("/model", headers={"X-API-Key": KEYS[0]}).status_code == 200
        guesses = [client.get("/model", headers={"X-API-Key": f"guess-{n}"}) for n in range(5)]
        assert [answer.status_code for answer in guesses] == [401, 401, 401, 429, 429]
        assert int(guesses[-1].headers["retry-after"]) > 0
        assert client.get("/model", headers={"X-API-Key": KEYS[1]}).status_code == 429
        assert client.get("/model", headers={"X-API-Key": KEYS[0]}).status_code == 200


def test_the_columns_of_a_bank_are_told_with_a_key_alone(card):
    """The document of the interface is open; what the model needs is not."""
    with TestClient(create_app(card, with_keys())) as client:
        bare = client.get("/openapi.json")
        known = client.get("/openapi.json", headers={"X-API-Key": KEYS[0]})
    for field in card.scorer.recipe.fields:
        assert f'"{field}"' in known.text
        assert f'"{field}"' not in bare.text
    assert bare.json()["paths"].keys() == known.json()["paths"].keys()


def test_health_names_no_folder(tmp_path):
    """Who has no key learns nothing of the machine."""
    with TestClient(create_app(tmp_path / "model", Settings())) as client:
        told = client.get("/health")
    assert "there is no model file" in told.json()["load_error"]
    assert str(tmp_path) not in told.text
