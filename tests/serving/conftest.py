"""Models to serve, and apps in this process or in one of their own."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

pytest.importorskip("litestar", reason="the extra 'serve' is not installed")

import httpx
from litestar.testing import TestClient

from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.scoring import ScoringModel
from rfmrisk.serving import Settings, create_app
from rfmrisk.training import train
from tests.conftest import made_once

# Of a training whose search does not matter.
QUICK = {"cv": 2, "search": "random", "n_iter": 1}


@pytest.fixture(scope="session")
def many_histories():
    """Give the histories of 500 customers."""
    return to_histories(make_transactions(500, random_state=1))


@pytest.fixture(scope="session")
def model_of(many_histories, tmp_path_factory):
    """Give a function that trains a model of the catalogue, once for all workers."""
    options = {"outcome": "30D", "n_cutoffs": 1, **QUICK}

    def trained_once(name):
        def make(folder):
            folder.mkdir()
            train(many_histories, models=[name], **options).model.save(folder)

        return ScoringModel.load(made_once(tmp_path_factory, f"served-{name}", make))

    return trained_once


@pytest.fixture(scope="session")
def trained(card, model_of):
    """Train a model of each kind that gives reasons in its own way."""
    names = ["decision_tree", "logistic_regression"]
    names += [kind for kind in ("xgboost", "lightgbm") if find_spec(kind)]
    return {"scorecard": card} | {name: model_of(name) for name in names}


@pytest.fixture(scope="session")
def card(model_of):
    return model_of("scorecard")


@pytest.fixture(scope="session")
def folder(card, tmp_path_factory):
    """Save the scorecard."""
    folder = tmp_path_factory.mktemp("model")
    card.save(folder)
    return folder


@pytest.fixture(scope="session")
def settings():
    return Settings()


@pytest.fixture(scope="session")
def client(card, settings):
    """Open an app of the scorecard without keys."""
    with TestClient(create_app(card, settings)) as client:
        yield client


def body_of(histories) -> dict:
    """Write histories as a request."""
    customers = []
    for customer, row in histories.iterrows():
        transactions = [
            {
                name: f"{value.isoformat()}Z" if name == "time" else value
                for name, value in transaction.items()
            }
            for transaction in row["history"]
        ]
        as_of = f"{row['as_of'].isoformat()}Z"
        customers.append({"customer_id": customer, "as_of": as_of, "transactions": transactions})
    return {"customers": customers}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def running(model, *options, **environment):
    """Run `rfmrisk serve` in a process of its own; give its address and the process."""
    command = [sys.executable, "-c", "from rfmrisk.cli import run; run()", "serve"]
    return started([*command, "--model", str(model), *options], **environment)


@contextmanager
def started(command, path="/ready", **environment):
    """Run a command that serves the app; give its address and the process once a path answers."""
    port = free_port()
    output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed at the end
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env=os.environ | environment,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    process.output = output
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{address}{path}").status_code == 200:
                    break
            except httpx.TransportError:
                assert process.poll() is None, output.seek(0) or output.read()
            time.sleep(0.05)
        yield address, process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)
        output.close()


def said(process) -> list[str]:
    """Return the lines that a process has written."""
    process.output.seek(0)
    return process.output.read().splitlines()


def eventually(condition, seconds=20):
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def small_body() -> bytes:
    """Write a request of one customer for a model of the sample bank."""
    transactions = [
        {
            "time": f"2019-01-{day:02}T10:00:00Z",
            "amount": 100.0 * day,
            "ProviderId": "ProviderId_4",
            "ProductId": "ProductId_3",
            "ProductCategory": "airtime",
            "ChannelId": "ChannelId_3",
        }
        for day in range(1, 11)
    ]
    return json.dumps({"customers": [{"customer_id": "a", "transactions": transactions}]}).encode()
