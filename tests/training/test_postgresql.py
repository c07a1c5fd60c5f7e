"""The registry on a real PostgreSQL server, where one is installed."""

import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")
pytest.importorskip("psycopg", reason="psycopg is not installed")

import mlflow

from rfmrisk.cli import main
from tests.training.conftest import QUICK

pytestmark = pytest.mark.slow


def test_training_tracks_and_registers_in_postgresql(store, bank, postgresql, monkeypatch, capsys):
    """A store in PostgreSQL has the runs and the champion, and a model is scored from it."""
    address = postgresql.replace("postgresql", "postgresql+psycopg", 1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert main(["train", str(bank), *QUICK, "-o", "run"]) == 0
    assert "version 1 is champion" in capsys.readouterr().out
    client = mlflow.MlflowClient()
    assert {run.info.status for run in client.search_runs(["1"])} == {"FINISHED"}
    uri = "models:/credit_scoring_model@champion"
    assert main(["score", str(bank), "--model", uri, "-o", "scores.csv"]) == 0
    assert (store / "scores.csv").exists()
