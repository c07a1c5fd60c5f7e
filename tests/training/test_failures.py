"""What goes wrong outside: servers, disks, interrupts, candidates; each with the real part."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress

import pandas as pd
import pytest
from scipy.stats import uniform

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

import mlflow

from rfmrisk import to_histories
from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.training import CATALOGUE, train
from rfmrisk.training.catalogue import CatalogueModel
from tests.training.conftest import QUICK, RUN, kill, mlflow_server, rfmrisk

NAME = "credit_scoring_model"
SLOW = ["--models", "random_forest", "--cv", "5"]
ONE = {"outcome": "30D", "n_cutoffs": 1}


def champion(address):
    """Return the version that is champion."""
    return str(mlflow.MlflowClient(address).get_model_version_by_alias(NAME, "champion").version)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def small_filesystem(folder, size):
    """Mount a real filesystem that is soon full; give its folder."""
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a small filesystem cannot be mounted: not the superuser")
    folder.mkdir()
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip(f"a small filesystem cannot be mounted: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        # This process may have the store in it open still.
        subprocess.run([shutil.which("umount"), "--lazy", str(folder)], check=True)


def wait_for_runs(client, n):
    """Wait until the store has n runs."""
    for _ in range(3_000):
        time.sleep(0.1)
        try:
            if len(client.search_runs(["1"])) >= n:
                return
        except mlflow.MlflowException:
            continue
    raise AssertionError(f"the store never had {n} runs")


@pytest.mark.slow
def test_a_server_that_is_down_costs_the_tracking_only(store, bank):
    """The model and the report are there, the code is 1, and upload works once a server is up."""
    port = free_port()
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    done = rfmrisk("train", bank, *QUICK, "-o", "run", env=env)
    assert done.returncode == 1
    assert "rfmrisk upload run" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert (store / "run" / "report.html").exists()
    assert (store / "run" / "model.skops").exists()
    with mlflow_server(store, port) as (address, _):
        done = rfmrisk("upload", "run", env=env)
        assert done.returncode == 0, done.stderr
        assert "version 1 is champion" in done.stdout
        assert champion(address) == "1"
        done = rfmrisk("score", bank, "--model", f"models:/{NAME}@champion", "-o", "s.csv", env=env)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_server_that_dies_in_the_middle(store, bank):
    """A server killed during the search costs the tracking only; upload goes on with the run."""
    port = free_port()
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with mlflow_server(store, port) as (address, server):
        process = subprocess.Popen(
            [*RUN, "train", str(bank), *SLOW, "-o", "run"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        wait_for_runs(mlflow.MlflowClient(address), 2)
        kill(server)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "rfmrisk upload run" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert (store / "run" / "report.html").exists()
    with mlflow_server(store, port) as (address, _):
        client = mlflow.MlflowClient(address)
        assert client.search_registered_models() == []
        done = rfmrisk("upload", "run", env=env)
        assert done.returncode == 0, done.stderr
        assert champion(address) == "1"
        parents = [
            run.info.status
            for run in client.search_runs(["1"])
            if "mlflow.parentRunId" not in run.data.tags
        ]
        assert parents == ["FINISHED"]


@pytest.mark.slow
def test_a_database_that_is_down_is_told_at_once(store, bank, runs):
    """A database server that nobody answers for costs the tracking, and is not waited for."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    run = runs / "first"
    address = f"postgresql+psycopg://me:secret@127.0.0.1:{free_port()}/x"
    env = {**os.environ, "MLFLOW_TRACKING_URI": address}
    uri = f"models:/{NAME}@champion"
    for command, code, message in (
        (["upload", run], 1, f"when MLflow is back, rfmrisk upload {run}"),
        (["promote", "1"], 1, "MLflow cannot promote"),
        (["score", bank, "--model", uri, "-o", "s.csv"], 2, "cannot be reached"),
    ):
        # MLflow itself would try for a minute and a half.
        done = rfmrisk(*command, env=env, timeout=60)
        assert done.returncode == code
        assert message in done.stderr.splitlines()[-1]
        assert "secret" not in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_full_store_costs_the_tracking_only(store, bank, tmp_path, monkeypatch):
    """The model and the report are there, the registry is as it was, and upload works later."""
    with small_filesystem(tmp_path / "small", "8m") as small:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{small}/mlflow.db")
        assert rfmrisk("train", bank, *QUICK, "-o", "first").returncode == 0
        with (small / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(1_000))
        done = rfmrisk("train", bank, *QUICK, "--margin", "-1", "-o", "second")
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert "rfmrisk upload second" in done.stderr.splitlines()[-1]
        assert (store / "second" / "report.html").exists()
        (small / "filler").unlink()
        known = mlflow.MlflowClient().search_model_versions(f"name = '{NAME}'")
        assert [str(version.version) for version in known] == [champion(None)] == ["1"]
        done = rfmrisk("upload", "second", "--margin", "-1")
        assert done.returncode == 0, done.stderr
        assert champion(None) == "2"


@pytest.mark.slow
def test_an_interrupt_while_logging_keeps_the_folder(store, bank):
    """Ctrl-C after the folder is whole keeps it, registers nothing, and upload works."""
    process = subprocess.Popen(
        [*RUN, "train", str(bank), *QUICK, "-o", "run"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (store / "run").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    if process.returncode == 0 and "Exception ignored" in said:
        pytest.skip("Python threw the interrupt away: it came in a weak reference's callback")
    assert process.returncode == 130, said
    assert "run is whole, and rfmrisk upload run logs it" in said
    assert "Traceback" not in said
    assert mlflow.MlflowClient().search_registered_models() == []
    assert main(["upload", "run"]) == 0
    assert champion(None) == "1"


@pytest.mark.slow
def test_two_trainings_at_once_on_one_new_store(new_store, bank):
    """Both end well, with two versions and one champion."""
    both = [
        subprocess.Popen(
            [*RUN, "train", str(bank), *QUICK, "--seed", str(seed), "-o", f"run{seed}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    client = mlflow.MlflowClient()
    assert len(client.search_model_versions(f"name = '{NAME}'")) == 2
    assert champion(None) in ("1", "2")
    assert {run.info.status for run in client.search_runs(["1"])} == {"FINISHED"}


@pytest.mark.slow
def test_a_full_disk_leaves_no_half_folder(store, bank, tmp_path):
    """A folder on a full filesystem ends with code 1 and nothing left in it."""
    with small_filesystem(tmp_path / "small", "64k") as small:
        done = rfmrisk("train", bank, *QUICK, "-o", small / "run")
        assert list(small.iterdir()) == []
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    runs = mlflow.MlflowClient().search_runs(["1"])
    assert [r.info.status for r in runs if "mlflow.parentRunId" not in r.data.tags] == ["FAILED"]


def test_a_store_of_files_gets_plain_advice(new_store, bank, monkeypatch, capsys):
    """A ``file:`` store is refused before anything begins, with what to use instead."""
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    for uri in ("file:./mlruns", "./mlruns"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert main(["train", str(bank), *QUICK, "-o", "run"]) == 2
        assert "MLFLOW_TRACKING_URI=sqlite:///mlflow.db" in capsys.readouterr().err
    assert list(new_store.iterdir()) == []


@pytest.fixture(scope="module")
def histories():
    return to_histories(make_transactions(n_customers=300, random_state=0))


def with_depths(depths):
    """Return the decision tree of the catalogue, searched over some depths."""
    tree = CATALOGUE["decision_tree"]
    return CatalogueModel(
        tree.title,
        tree.make,
        {"classifier__max_depth": depths},
        {"classifier__ccp_alpha": uniform()},
    )


def test_candidates_that_fail_in_part_are_left_out(histories, monkeypatch):
    """A candidate that cannot be fitted is named in a warning, and the rest is judged."""
    monkeypatch.setitem(CATALOGUE, "decision_tree", with_depths([-1, 3]))
    with pytest.warns(UserWarning, match="1 of 2 candidates failed and are left out .*max_depth"):
        result = train(histories, **ONE, models=["decision_tree"], cv=2)
    assert result.candidates["mean_score"].isna().tolist() == [False, True]
    assert '"classifier__max_depth": 3' in result.model.metadata.parameters


def test_a_model_whose_candidates_all_fail_does_not_stop_the_others(histories, monkeypatch):
    """The other models are judged, and what failed is in the metadata."""
    monkeypatch.setitem(CATALOGUE, "decision_tree", with_depths([-1]))
    with pytest.warns(UserWarning, match="decision_tree: every candidate failed"):
        result = train(histories, **ONE, models=["decision_tree", "logistic_regression"], cv=2)
    assert result.model.metadata.model == "logistic_regression"
    assert "decision_tree: every candidate failed" in result.model.metadata.failed[0]


def test_a_search_whose_candidates_all_fail_says_why(store, bank, histories, monkeypatch, capsys):
    """No model is an error that names the reason, and nothing is left or registered."""
    monkeypatch.setitem(CATALOGUE, "decision_tree", with_depths([-1]))
    assert main(["train", str(bank), *QUICK, "-o", "run"]) == 2
    said = capsys.readouterr().err
    assert "all candidates of all models failed" in said
    assert "max_depth" in said
    assert not (store / "run").exists()
    client = mlflow.MlflowClient()
    assert client.search_registered_models() == []
    runs = client.search_runs(["1"])
    assert [r.info.status for r in runs if "mlflow.parentRunId" not in r.data.tags] == ["FAILED"]


def test_a_log_that_fails_before_training_makes_no_run(new_store, capsys):
    """What is wrong with the log is said before the store hears of it."""
    pd.DataFrame({"a": [1]}).to_csv("bad.csv")
    assert main(["train", "bad.csv", "-o", "run"]) == 2
    assert "not found" in capsys.readouterr().err
    assert not (new_store / "mlflow.db").exists()
