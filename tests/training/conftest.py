"""What the tests of the training room start from: a small bank on disk, and a store of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from rfmrisk import RFMAggregator, read_transactions, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.training import Tracker, save_run, train
from tests.conftest import made_once
from tests.training.small import SMALL

RUN = [sys.executable, "-c", "from rfmrisk.cli import run; run()"]
QUICK = ["--models", "decision_tree", "--cv", "2"]


@pytest.fixture(scope="session")
def bank(tmp_path_factory):
    """Give the path of a small transaction log."""
    path = tmp_path_factory.mktemp("bank") / "log.csv"
    make_transactions(n_customers=300, random_state=0).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def two_runs(bank, empty_store, tmp_path_factory):
    """Give a function that trains twice, with a share of the customers held out.

    It gives the folder of both, ``first`` and ``second``. No store that a test opens knows of them.
    """

    def trained_once(test_size):
        def make(folder):
            folder.mkdir()
            histories = to_histories(read_transactions(bank))
            options = {"models": {"decision_tree": SMALL["decision_tree"]}, "cv": 2}
            options |= {"features": RFMAggregator(), "outcome": "30D", "n_cutoffs": 1}
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shutil.copy(empty_store, folder)}")
                for seed, name in enumerate(("first", "second")):
                    chosen = {"random_state": seed, "test_size": test_size, "tracker": Tracker()}
                    save_run(train(histories, **options, **chosen), folder / name)

        return made_once(tmp_path_factory, f"runs-{test_size}", make)

    return trained_once


@pytest.fixture(scope="session")
def runs(two_runs):
    """Give the folder of two trainings."""
    return two_runs(0.5)


@pytest.fixture
def store(new_store, empty_store):
    """Work in a folder with a SQLite store of its own, without a run; give the folder."""
    shutil.copy(empty_store, new_store)
    return new_store


@pytest.fixture
def new_store(tmp_path, monkeypatch):
    """Work in an empty folder where a SQLite store is to be made; give the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    for name in ("MODEL_NAME", "MODEL_STAGE", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def rfmrisk(*arguments, **options):
    """Run the command line in a process of its own."""
    return subprocess.run(
        [*RUN, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


@contextmanager
def mlflow_server(folder, port=None):
    """Run a real tracking server with SQLite behind it; give its address and its process."""
    if port is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    files = ["--artifacts-destination", str(folder / "artifacts")]
    options = [*store, *files, "--workers", "1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_TRACKING_URI": "",
        },
        start_new_session=True,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/health", process)
        yield address, process
    finally:
        kill(process)


def wait_for(address, process, seconds=90):
    """Wait until an address answers, or fail."""
    for _ in range(seconds * 5):
        assert process.poll() is None, "the server ended at once"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{address} never answered")


def kill(process):
    """Kill a server with all its workers."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
