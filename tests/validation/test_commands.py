"""The commands validate and monitor."""

import shutil

import pandas as pd
import pytest

from rfmrisk import to_histories
from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.training import train
from tests.training.small import SMALL

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

ROLES = {"customer": "CustomerId", "time": "TransactionStartTime"}


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Give a folder with a log, its decisions and outcomes, and a model of its proxy."""
    folder = tmp_path_factory.mktemp("bank")
    log, defaults = make_transactions(400, return_defaults=True, random_state=0)
    log.to_parquet(folder / "log.parquet")
    moments = pd.to_datetime(log[ROLES["time"]]).dt.tz_localize(None)
    decisions = pd.DataFrame(
        {
            "who": defaults.index,
            "decided": moments.max() - pd.to_timedelta(range(len(defaults)), "h") * 4,
            "bad": defaults.to_numpy(),
            "region": ["north", "south"] * (len(defaults) // 2),
        }
    )
    decisions.to_csv(folder / "loans.csv", index=False)
    (folder / "run").mkdir()
    models = {"scorecard": SMALL["scorecard"]}
    train(to_histories(log), models=models, cv=2).model.save(folder / "run")
    return folder


@pytest.fixture(autouse=True)
def store(empty_store, tmp_path_factory, monkeypatch):
    """Give each test a store of its own for the runs of MLflow."""
    import mlflow

    uri = f"sqlite:///{shutil.copy(empty_store, tmp_path_factory.mktemp('store'))}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return mlflow.MlflowClient(uri)


def _asked(bank, command, output, *more):
    named = ["--decision-customer", "who", "--decision-time", "decided"]
    given = [str(bank / "log.parquet"), "--model", str(bank / "run"), "-o", str(output)]
    loans = ["--decisions", str(bank / "loans.csv"), "--target", "bad", *named]
    return [command, *given, *loans, *more]


def test_validate_writes_a_report(bank, tmp_path, capsys):
    """The page and the tables are there, and the verdicts are said."""
    assert main(_asked(bank, "validate", tmp_path, "--groups", "region")) == 0
    said = capsys.readouterr().out
    for question in ("ranking", "calibration", "stability", "fairness", "label"):
        assert question in said
    assert (tmp_path / "validation.html").exists()
    assert len(pd.read_csv(tmp_path / "fairness.csv")) == 2


def test_a_validation_is_a_run(bank, tmp_path, capsys, store):
    """MLflow keeps the page and the tables, the verdicts as tags, and the figures."""
    assert main(_asked(bank, "validate", tmp_path)) == 0
    said = capsys.readouterr().out
    (experiment,) = [e for e in store.search_experiments() if e.name == "rfmrisk"]
    (run,) = store.search_runs([experiment.experiment_id])
    assert f"MLflow  run {run.info.run_id}" in said
    assert run.info.status == "FINISHED"
    assert run.data.tags["verdict.ranking"] in said
    ranking = pd.read_csv(tmp_path / "ranking.csv", index_col=0)
    assert run.data.metrics["auc"] == pytest.approx(ranking.loc["auc", "value"])
    assert run.data.params["target"] == "bad"
    kept = {file.path for file in store.list_artifacts(run.info.run_id, "validation")}
    assert {"validation/validation.html", "validation/ranking.csv"} <= kept


def test_any_file_of_decisions_is_read_as_in_training(bank, tmp_path, capsys):
    """Semicolons, words for outcomes and day-first times give what the plain file gives."""
    assert main(_asked(bank, "validate", tmp_path / "plain")) == 0
    loans = pd.read_csv(bank / "loans.csv", parse_dates=["decided"])
    loans["decided"] = loans["decided"].dt.strftime("%d/%m/%Y %H:%M:%S")
    loans["bad"] = loans["bad"].map({0: "paid", 1: "lost"})
    loans.to_csv(tmp_path / "wild.csv", index=False, sep=";", encoding="utf-16")
    asked = _asked(bank, "validate", tmp_path / "wild", "--bad", "lost")
    asked[asked.index(str(bank / "loans.csv"))] = str(tmp_path / "wild.csv")
    assert main(asked) == 0, capsys.readouterr().err
    plain, wild = (tmp_path / name / "ranking.csv" for name in ("plain", "wild"))
    assert plain.read_text(encoding="utf-8") == wild.read_text(encoding="utf-8")


def test_monitor_of_decisions_ends_with_three_where_it_is_red(bank, tmp_path, capsys):
    """The status is 3 exactly where the latest period is red."""
    code = main(_asked(bank, "monitor", tmp_path))
    light = pd.read_csv(tmp_path / "periods.csv")["light"].iloc[-1]
    assert code == (3 if light == "red" else 0)
    assert capsys.readouterr().out.startswith(light)


def test_monitor_of_a_log_alone_looks_at_the_beginning_of_each_month(bank, tmp_path):
    """Without decisions, the customers known at the beginning of each month are scored."""
    main(["monitor", str(bank / "log.parquet"), "--model", str(bank / "run"), "-o", str(tmp_path)])
    periods = pd.read_csv(tmp_path / "periods.csv")
    assert list(periods["period"]) == [
        "2018-12",
        "2019-01",
        "2019-02",
        "2019-03",
        "2019-04",
        "2019-05",
    ]
    assert periods["n"].is_monotonic_increasing


def test_what_is_missing_is_named_in_the_words_of_the_command(bank, tmp_path, capsys):
    """A wrong column or option ends with 2 and says which."""
    wrong = _asked(bank, "validate", tmp_path)
    wrong[wrong.index("bad")] = "worse"
    assert main(wrong) == 2
    assert "no column 'worse' for --target" in capsys.readouterr().err
    asked = ["monitor", str(bank / "log.parquet"), "--model", str(bank / "run"), "--target", "bad"]
    assert main(asked) == 2
    assert "give --decisions" in capsys.readouterr().err
