"""What must not be told, left behind or waited for: passwords, folders, runs, stores."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

import mlflow

from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring.passwords import without_passwords
from rfmrisk.training import load_model
from rfmrisk.training.registry import check_names
from rfmrisk.training.store import alone_with_store
from tests.training.conftest import QUICK, RUN, mlflow_server, rfmrisk


@pytest.mark.parametrize(
    "text",
    [
        "API request to http://ann:s3cr@t/word@host/api/2.0 failed",
        "could not connect to postgresql+psycopg://ann:s3cr@t/word@db:5432/x",
        "Invalid credentials s3cr@t/word for ann",
        "no login with s3cr%40t%2Fword",
        "https://host/?token=s3cr@t/word&x=1",
    ],
)
def test_no_text_holds_a_password(monkeypatch, text):
    """However a library writes it, alone or in an address, encoded or not."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cr%40t%2Fword@host")
    told = without_passwords(text)
    assert "s3cr" not in told
    assert "***" in told


@pytest.mark.parametrize("command", ["train", "upload", "promote", "score"])
@pytest.mark.slow
def test_no_command_prints_the_password_of_the_store(store, bank, runs, command):
    """MLflow's own text has the address too, right behind the masked one."""
    asked = {
        "train": ["train", bank, *QUICK, "-o", "second"],
        "upload": ["upload", runs / "first"],
        "promote": ["promote", "1"],
        "score": ["score", bank, "--model", "models:/credit_scoring_model@champion", "-o", "s.csv"],
    }
    for address in ("http://ann:s3cret-word@127.0.0.1:9", "mysql://ann:s3cret-word@127.0.0.1:9/x"):
        env = {**os.environ, "MLFLOW_TRACKING_URI": address}
        done = rfmrisk(*asked[command], env=env, timeout=120)
        assert done.returncode
        assert "s3cret" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_loads_from_a_registry_leave_nothing(store, bank, tmp_path, monkeypatch):
    """Neither a model that is loaded, nor one that is broken, nor a judged champion."""
    with mlflow_server(tmp_path) as (address, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        (tmp_path / "tmp").mkdir()
        env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
        for run in ("first", "second"):
            done = rfmrisk("train", bank, *QUICK, "-o", run, env=env)
            assert done.returncode == 0, done.stderr
        code = "from rfmrisk.training import load_model; load_model('models:/{}@champion')"
        for name, expected in (("credit_scoring_model", 0), ("none", 1)):
            done = subprocess.run(
                [sys.executable, "-c", code.format(name)], env=env, capture_output=True, check=False
            )
            assert done.returncode == expected
        kept = {path.name for path in (tmp_path / "tmp").iterdir()}
        assert not {name for name in kept if not name.startswith("matplotlib")}


def test_a_name_with_a_quote_is_registered(store, runs):
    """MLflow's filters take it in quotes of the other kind; what they cannot take is told early."""
    assert main(["upload", str(runs / "first"), "--model-name", "o'brien"]) == 0
    assert main(["promote", "1", "--model-name", "o'brien"]) == 0
    assert load_model("models:/o'brien@champion").metadata.model == "decision_tree"
    with pytest.raises(ValueError, match="quotes of one kind"):
        check_names("a'b\"c", "champion")


@pytest.mark.parametrize("content", [None, b"this is no database at all" * 50])
def test_a_store_that_cannot_be_opened_is_told_at_once(store, bank, content):
    """Neither a folder that is not there nor a file of something else is waited for."""
    path = store / "away" / "mlflow.db"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{path}"}
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", env["MLFLOW_TRACKING_URI"])
        with pytest.raises(ModelFileError, match="cannot be reached"):
            load_model("models:/credit_scoring_model@champion")
    assert time.monotonic() - began < 60  # MLflow alone takes 110 s


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
def test_the_lock_of_a_store_follows_no_link(store, tmp_path, monkeypatch):
    """It needs no file of a name that others can guess."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    with alone_with_store():
        assert not list((tmp_path / "shared").iterdir())
    assert {path.name for path in store.iterdir()} == {"mlflow.db", "shared"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_training_that_is_stopped_leaves_nothing(store, bank, number):
    """Neither a folder nor a run that goes on for ever."""
    slow = ["--models", "random_forest", "--cv", "5", "-o", "run"]
    process = subprocess.Popen([*RUN, "train", bank, *slow], stderr=subprocess.PIPE, text=True)
    client = mlflow.MlflowClient()
    end = time.monotonic() + 120
    while len(client.search_runs(["1"]) if client.get_experiment_by_name("rfmrisk") else []) < 2:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 143, said
    assert "Traceback" not in said
    assert "stopped; nothing was kept" in said
    assert {run.info.status for run in client.search_runs(["1"])} <= {"KILLED", "FINISHED"}
    assert not [path for path in store.iterdir() if "run" in path.name and path.is_dir()]


@pytest.mark.skipif(sys.platform == "win32", reason="shells of POSIX")
def test_the_next_command_can_be_pasted(store, bank, capsys):
    """A folder with a space and a quote is one word of the shell."""
    assert main(["train", str(bank), *QUICK, "-o", "my run; it's"]) == 0
    said = capsys.readouterr().out
    command = next(line for line in said.splitlines() if line.startswith("next"))
    command = command.removeprefix("next").strip().replace("rfmrisk", '"$@"', 1)
    again = subprocess.run(["/bin/sh", "-c", command, "sh", *RUN], check=False, capture_output=True)
    assert again.returncode == 0, again.stderr
    assert len(pd.read_csv("scores.csv"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_a_closed_output_is_no_traceback(store, bank):
    """Whether it was never open, or its reader has gone."""
    run = " ".join(f"'{part}'" for part in RUN)
    for redirected in (">&-", "2>&-", "| true"):
        shell = f"{run} check '{bank}' {redirected}"
        done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_ids_that_are_no_text_are_no_traceback(store, tmp_path, capsys):
    """Ids of bytes that are not UTF-8 are refused by name, however they come."""
    import pyarrow as pa
    from pyarrow import parquet

    log = make_transactions(40, random_state=0).head(50)
    ids = pa.array([b"\xff\xfe"] * len(log), pa.binary())
    table = pa.table({"TransactionStartTime": log["TransactionStartTime"], "Amount": log["Amount"]})
    for column in (ids, ids.view(pa.string())):
        parquet.write_table(table.append_column("CustomerId", column), "log.parquet")
        (tmp_path / "log.csv").write_bytes(
            b"CustomerId,TransactionStartTime,Amount\n\xff\xfe,2018-11-15,5\n\x81\x00,2018-11-16,5\n"
        )
        for name in ("log.parquet", "log.csv"):
            assert main(["train", name, *QUICK, "-o", "run"]) in (1, 2)
            said = capsys.readouterr().err
            assert "Traceback" not in said
            assert said.startswith("rfmrisk: ")
