"""The command line as a user runs it, in processes of its own where that matters."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions

RUN = [sys.executable, "-c", "from rfmrisk.cli import run; run()"]
QUICK = ["--models", "decision_tree", "--cv", "2"]


@pytest.fixture(scope="module")
def place(empty_store, tmp_path_factory):
    """Make a folder with a log, in which 50 rows are twice, and a training of it."""
    folder = tmp_path_factory.mktemp("bank")
    log = make_transactions(n_customers=400, random_state=0)
    pd.concat([log, log[:50]]).to_csv(folder / "log.csv", index=False)
    shutil.copy(empty_store, folder)
    with pytest.MonkeyPatch.context() as patch, (folder / "out.txt").open("w") as said:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        with redirect_stdout(said):
            assert main(["train", "log.csv", *QUICK, "-o", "run", "--keep-tables"]) == 0
    return folder


@pytest.fixture
def at(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/mlflow.db")
    return place


def leftovers(folder: Path) -> list[str]:
    """Names in a folder that a failed command may not leave."""
    kept = {"log.csv", "run", "out.txt", "mlflow.db", "mlruns"}
    return sorted(path.name for path in folder.iterdir() if path.name not in kept)


def test_train_leaves_model_tables_and_report(place):
    """A training says where the model and the report are and what to type next."""
    said = (place / "out.txt").read_text(encoding="utf-8")
    assert "run/model.skops" in said
    assert "run/report.html" in said
    assert "rfmrisk score log.csv --model run" in said
    for name in ("model.skops", "model.json", "report.html", "metrics.csv", "customers.csv"):
        assert (place / "run" / name).stat().st_size > 0


def test_duplicates_are_dropped_on_demand(at, empty_store, tmp_path, capsys, monkeypatch):
    """A training says how many rows repeat another one, or drops them, as its model does."""
    store = shutil.copy(empty_store, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    said = (at / "out.txt").read_text(encoding="utf-8")
    assert "50 rows repeat another one in all columns: if they were delivered twice" in said
    assert "--duplicates drop" in said
    once = str(tmp_path / "once.csv")
    pd.read_csv("log.csv")[:-50].to_csv(once, index=False)
    run = str(tmp_path / "run")
    assert main(["train", "log.csv", *QUICK, "-o", run, "--duplicates", "drop"]) == 0
    said = capsys.readouterr().out
    assert "dropped 50 rows repeat another one in all columns\n" in said
    assert "mind    50" not in said
    page = (Path(run) / "report.html").read_text(encoding="utf-8")
    assert "Left out of the log: 50 rows repeat another one in all columns." in page
    for scored, name in (("log.csv", "twice"), (once, "once")):
        output = str(tmp_path / f"{name}.scores.csv")
        assert main(["score", scored, "--model", run, "-o", output]) == 0
    scores = [(tmp_path / f"{name}.scores.csv").read_bytes() for name in ("twice", "once")]
    assert scores[0] == scores[1]


def test_a_model_of_decisions_scores_decisions(place, empty_store, tmp_path, monkeypatch, capsys):
    """What train says to type next scores them; what is missing or of another type is named."""
    monkeypatch.chdir(tmp_path)
    store = shutil.copy(empty_store, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    shutil.copy(place / "log.csv", tmp_path)
    log = pd.read_csv("log.csv")
    ids = log["CustomerId"].unique()
    asked = pd.DataFrame({"borrower": ids, "day": "2019-03-01", "asked": range(len(ids))})
    asked["late"] = (asked["asked"] % 7 < 2 + asked["asked"] // 150).astype(int)
    asked.to_csv("asked.csv", index=False, sep=";")
    columns = ["--decision-customer", "borrower", "--decision-time", "day", "--target", "late"]
    command = ["train", "log.csv", "--decisions", "asked.csv", *columns, *QUICK, "--no-proxy"]
    assert main([*command, "-o", "decided"]) == 0
    said = capsys.readouterr().out
    following = next(line for line in said.splitlines() if line.startswith("next"))
    assert main(shlex.split(following)[2:]) == 0
    assert "400 decisions scored" in capsys.readouterr().out
    scores = pd.read_csv("scores.csv")
    assert scores["customer"].tolist() == ids.tolist()

    score = ["score", "log.csv", "--model", "decided", "-o", "other.csv", "--decisions", "new.csv"]
    for change, message in (
        (asked.drop(columns="asked"), "lack the column(s) ['asked']"),
        (asked.assign(shop="a"), "that those of the training had not, ['shop']"),
        (asked.assign(asked="much"), "'asked' of the decisions held numbers"),
    ):
        change.to_csv("new.csv", index=False)
        assert main(score) == 2
        assert message in capsys.readouterr().err
    assert main(score[:-2]) == 2
    assert "Give them by --decisions FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--numbers", "balance"], "--numbers must name columns of the log beside"),
        (["--categories", "Shop"], "beside time and amount; got 'Shop', and"),
        (["--durations", "a-b"], "--durations must name two dates of the log with a - between"),
        (["--durations", "BatchId-TransactionStartTime"], "'BatchId' must hold dates"),
        (["--decisions", "none.csv"], "--decisions FILE, or --table, and --target COLUMN go"),
        (["--decisions", "none.csv", "--target", "late"], "there is no file of decisions"),
    ],
)
def test_fields_and_decisions_that_are_not_there(tmp_path, monkeypatch, capsys, given, message):
    """What is asked for and is not in the log is named; nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    make_transactions(n_customers=30, random_state=0).to_csv("log.csv", index=False)
    assert main(["train", "log.csv", *QUICK, *given]) == 2
    assert message in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("rfmrisk-run")]


def test_kept_tables_can_be_checked_by_hand(place):
    """Each table has the customer's id; the parts make up the whole; labels follow clusters."""
    tables = {p.stem: pd.read_csv(p, index_col="customer") for p in place.glob("run/tables/*.csv")}
    assert set(tables) == {
        "rfm",
        "rfm_clusters",
        "rfm_labels",
        "labels",
        "features_target",
        "train",
        "test",
    }
    flagged = tables["rfm_clusters"]["cluster"] == 2
    assert (tables["rfm_labels"]["is_high_risk"] == flagged).all()
    whole = pd.concat([tables["train"], tables["test"]]).sort_index()
    pd.testing.assert_frame_equal(whole, tables["features_target"].sort_index())
    log = pd.read_csv(place / "log.csv")
    gross = log["Amount"].abs().groupby(log["CustomerId"]).sum()
    assert tables["rfm"]["monetary"].le(gross.loc[tables["rfm"].index] + 1e-6).all()


def test_score_gives_probability_score_and_reasons(at):
    """A log is scored from the folder alone and the roles are remembered."""
    assert main(["score", "log.csv", "--model", "run", "-o", "scores.csv"]) == 0
    scores = pd.read_csv("scores.csv")
    assert list(scores.columns) == [
        "customer",
        "as_of",
        "probability",
        "score",
        "is_high_risk",
        "reason_1",
        "reason_2",
        "reason_3",
        "code_1",
        "code_2",
        "code_3",
    ]
    assert scores["probability"].between(0, 1).all()
    assert scores["score"].between(0, 1_000).all()
    riskiest = scores.sort_values("probability", ascending=False)
    assert riskiest["score"].is_monotonic_increasing
    Path("scores.csv").unlink()


def test_mlflow_holds_the_runs_and_the_same_model(at):
    """The store has parent, child and candidate runs, and its model scores the same."""
    import mlflow

    runs = mlflow.search_runs(search_all_experiments=True)
    parent = runs[runs["tags.mlflow.parentRunId"].isna()].iloc[0]
    assert parent["status"] == "FINISHED"
    assert 0.5 < parent["metrics.test_roc_auc"] <= 1
    assert "metrics.recency_alone_roc_auc" in parent
    assert (runs["tags.mlflow.parentRunId"] == parent["run_id"]).sum() == 1
    assert len(runs) == 2 + 8
    assert runs["params.features__spend__windows"].nunique() == 2
    models = mlflow.search_logged_models(["1"], output_format="list")
    assert main(["score", "log.csv", "--model", models[0].model_uri, "-o", "a.csv"]) == 0
    assert main(["score", "log.csv", "--model", "run", "-o", "b.csv"]) == 0
    assert Path("a.csv").read_text() == Path("b.csv").read_text()
    Path("a.csv").unlink()
    Path("b.csv").unlink()


def test_report_is_made_again_from_the_folder(at):
    """The report needs nothing but the folder, and says no more than its tables."""
    before = Path("run/report.html").read_text(encoding="utf-8")
    Path("run/report.html").unlink()
    assert main(["report", "run"]) == 0
    after = Path("run/report.html").read_text(encoding="utf-8")
    assert len(after) == pytest.approx(len(before), rel=0.01)
    assert "http" not in after.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "none.csv"], "there is no file 'none.csv'"),
        (["train", "mlflow.db"], "unknown type"),
        (["train", "log.csv", "--customer", "Klant"], "'Klant'.* not found .*the columns are"),
        (["train", "log.csv", "--time", "ProductId"], "without a readable time"),
        (["train", "log.csv", "--amount", "ProductId"], "without a finite number"),
        (["train", "log.csv", "--as-of", "1990-01-01"], "no transaction lies before"),
        (["train", "log.csv", "--outcome", "9000D"], "no customer was known 9000D earlier"),
        (["train", "log.csv", "--outcome", "soon"], "duration such as '30D'; got 'soon'"),
        (["train", "log.csv", "--models", "oracle"], "models must be names of"),
        (["train", "log.csv", "-o", "run"], "exists already"),
        (["train", "log.csv", "-o", "out.txt/run"], "cannot be written"),
        (["score", "log.csv", "--model", "none", "-o", "s.csv"], "no model folder 'none'"),
        (["score", "log.csv", "--model", "run", "-o", "s.doc"], "a .csv or .parquet file"),
        (["score", "log.csv", "--model", "run", "-o", "no/s.csv"], "does not exist"),
        (["score", "log.csv", "--model", "models:/no/1", "-o", "s.csv"], "no model"),
        (["report", "mlruns"], "is not the folder of a training"),
    ],
)
def test_bad_input_is_one_message_and_code_2(at, capsys, arguments, message):
    """Bad input ends with code 2 and one line, and leaves nothing behind."""
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert pd.Series([said]).str.contains(message).all(), said
    assert "Traceback" not in said
    assert leftovers(at) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: log.iloc[:0], "empty"),
        (lambda log: log[log["CustomerId"] == log["CustomerId"].iloc[0]], "1 customer"),
        (lambda log: log.assign(Amount=0), "amounts are zero"),
        (lambda log: log.assign(Amount=log["Amount"].where(log.index > 2)), "finite number"),
        (lambda log: log.assign(CustomerId=log["CustomerId"].where(log.index > 2)), "CustomerId"),
        (lambda log: log.drop(columns="Amount"), "'Amount'.* not found"),
    ],
)
def test_bad_logs_are_one_message_and_code_2(at, capsys, change, message):
    """A bad log ends with code 2 and one line, and leaves nothing behind."""
    change(pd.read_csv("log.csv")).to_csv("bad.csv", index=False)
    assert main(["train", "bad.csv", *QUICK, "-o", "bad-run"]) == 2
    assert pd.Series([capsys.readouterr().err]).str.contains(message).all()
    Path("bad.csv").unlink()
    assert leftovers(at) == []


@pytest.mark.slow
def test_an_interrupt_leaves_nothing_half_done(tmp_path):
    """Ctrl-C in the middle ends with code 130, no folder, and a run marked KILLED."""
    import mlflow

    process = subprocess.Popen(
        [
            *RUN,
            "train",
            "--models",
            "random_forest",
            "--search",
            "random",
            "--n-iter",
            "60",
            "-o",
            "run",
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"},
    )
    store = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    found, patience = [], time.monotonic() + 500
    while len(found) < 2 and process.poll() is None and time.monotonic() < patience:
        time.sleep(0.2)
        with suppress(mlflow.MlflowException):
            found = store.search_runs(["1"]) if (tmp_path / "mlflow.db").exists() else []
    assert len(found) >= 2, "the search never began"
    said = b""
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=60)
            break
        except subprocess.TimeoutExpired:
            # Python drops an interrupt inside the callback of a weak reference; one more, then.
            continue
    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith(b"rfmrisk: interrupted"), said
    runs = store.search_runs(["1"])
    assert {run.info.status for run in runs} <= {"KILLED", "FAILED"}
    assert [r.info.status for r in runs if "mlflow.parentRunId" not in r.data.tags] == ["KILLED"]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name not in ("mlruns",)) == ["mlflow.db"]
