"""The store of MLflow: quiet, and named without its password."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

from rfmrisk.training.store import store_uri


@pytest.mark.parametrize(
    ("chosen", "expected"), [(None, "True"), pytest.param("false", "False", marks=pytest.mark.slow)]
)
def test_telemetry_is_off_unless_the_user_turned_it_on(chosen, expected):
    """MLflow calls nobody, but where the user has set its variable."""
    code = (
        "from rfmrisk.training.store import quiet_mlflow; quiet_mlflow(); "
        "from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY as off; print(off.get())"
    )
    kept = {name: text for name, text in os.environ.items() if name != "MLFLOW_DISABLE_TELEMETRY"}
    if chosen is not None:
        kept["MLFLOW_DISABLE_TELEMETRY"] = chosen
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("http://mlflow:5000", "http://mlflow:5000"),
        ("https://ann:s3cret@mlflow.example", "https://ann:***@mlflow.example"),
        ("postgresql+psycopg://ann:s3cret@db:5432/x", "postgresql+psycopg://ann:***@db:5432/x"),
    ],
)
def test_a_store_is_named_without_its_password(monkeypatch, uri, shown):
    """No message repeats what lets others in."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert store_uri() == shown
