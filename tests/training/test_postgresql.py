"""The registry on a real PostgreSQL server, where one is installed."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")
pytest.importorskip("psycopg", reason="psycopg is not installed")

import mlflow

from rfmrisk.cli import main
from tests.training.conftest import QUICK

pytestmark = pytest.mark.slow


def binary(name):
    """Return a program of PostgreSQL, which Debian keeps off the path."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(places[-1]) if places else shutil.which(name)


@pytest.fixture
def address():
    """Run a server of our own on a free port; give the address of its database."""
    if not binary("initdb") or not binary("pg_ctl"):
        pytest.skip("PostgreSQL is not installed")
    # The server refuses to run as the superuser.
    other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="rfmrisk-pg"))
    folder.chmod(0o777)
    data = str(folder / "data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program, *arguments):
        subprocess.run(
            [*other, binary(program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )

    run("initdb", "-D", data, "-U", "postgres", "--auth", "trust")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


def test_training_tracks_and_registers_in_postgresql(store, bank, address, monkeypatch, capsys):
    """A store in PostgreSQL has the runs and the champion, and a model is scored from it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert main(["train", str(bank), *QUICK, "-o", "run"]) == 0
    assert "version 1 is champion" in capsys.readouterr().out
    client = mlflow.MlflowClient()
    assert {run.info.status for run in client.search_runs(["1"])} == {"FINISHED"}
    uri = "models:/credit_scoring_model@champion"
    assert main(["score", str(bank), "--model", uri, "-o", "scores.csv"]) == 0
    assert (store / "scores.csv").exists()
