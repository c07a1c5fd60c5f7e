"""The registry, on a real SQLite store."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

import mlflow

from rfmrisk import read_transactions, to_histories
from rfmrisk.cli import main
from rfmrisk.training import alias_of, load_model
from rfmrisk.training.exchange import read_histories, to_records, write_histories
from tests.training.conftest import QUICK, kill, wait_for

NAME = "credit_scoring_model"


def aliases(store, name=NAME):
    """Return the version of each alias."""
    client = mlflow.MlflowClient(f"sqlite:///{store}/mlflow.db")
    found = client.search_registered_models(f"name = '{name}'")
    return {alias: str(version) for model in found for alias, version in model.aliases.items()}


@pytest.fixture(scope="module")
def trained(bank, tmp_path_factory):
    """Make a store with one training, the champion."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        assert main(["train", str(bank), *QUICK, "-o", "run"]) == 0
    return folder


@pytest.fixture
def at(trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained}/mlflow.db")
    return trained


def test_histories_survive_json_and_parquet(bank, tmp_path):
    """What is written is read as the same histories, times as ISO text included."""
    histories = to_histories(read_transactions(bank))
    write_histories(histories, tmp_path / "histories.parquet")
    again = read_histories(tmp_path / "histories.parquet")
    pd.testing.assert_series_equal(again["as_of"], histories["as_of"])
    assert again["history"].tolist() == histories["history"].tolist()
    assert again.index.tolist() == histories.index.tolist()
    record = json.loads(json.dumps(to_records(histories)))[0]
    assert record["history"][0]["time"] == histories["history"].iloc[0][0]["time"].isoformat()


def test_the_champion_is_whole(at):
    """The first model is champion, with signature, input example, tags and a dataset."""
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias(NAME, "champion")
    assert str(version.version) == "1"
    metadata = json.loads((at / "run" / "model.json").read_text(encoding="utf-8"))
    assert version.tags["rfmrisk.data_fingerprint"] == metadata["data"]["fingerprint"]
    assert version.tags["rfmrisk.windows"] == ", ".join(w or "all" for w in metadata["windows"])
    assert version.tags["rfmrisk.outcome"] == "30D, 60D, 90D"
    assert "ProxyLabeler(directions=None, n_clusters=3," in version.tags["rfmrisk.label"]
    assert "stable" in version.tags["rfmrisk.label_stability"]
    info = mlflow.models.get_model_info(f"models:/{NAME}@champion")
    assert info.signature.inputs.input_names() == ["as_of", "history"]
    assert info.saved_input_example_info is not None
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    dataset = run.inputs.dataset_inputs[0].dataset
    assert dataset.digest == metadata["data"]["fingerprint"][:32]


def test_the_champion_scores_by_its_alias(at, bank):
    """Scoring by the alias gives what scoring by the folder gives."""
    uri = f"models:/{NAME}@champion"
    assert main(["score", str(bank), "--model", uri, "-o", "a.csv"]) == 0
    assert main(["score", str(bank), "--model", "run", "-o", "b.csv"]) == 0
    assert (at / "a.csv").read_text() == (at / "b.csv").read_text()


def test_pyfunc_agrees_with_python(at, bank):
    """MLflow's own loader gives the same probabilities, from Python and from JSON."""
    histories = to_histories(read_transactions(bank)).iloc[:20]
    expected = load_model("run").pipeline.predict_proba(histories)
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    np.testing.assert_array_equal(model.predict(histories), expected)
    records = json.loads(json.dumps(to_records(histories)))
    np.testing.assert_array_equal(model.predict(pd.DataFrame(records)), expected)


@pytest.mark.slow
def test_mlflow_serves_a_json_body_of_histories(at, bank):
    """``mlflow models serve`` answers with the probabilities that Python gives."""
    histories = to_histories(read_transactions(bank)).iloc[:5]
    port = 5000 + np.random.default_rng().integers(20_000)
    options = ["-m", f"models:/{NAME}@champion", "--env-manager", "local", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # MLflow starts uvicorn by its name.
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/ping", process)
        body = json.dumps({"dataframe_records": to_records(histories)}).encode()
        request = urllib.request.Request(  # noqa: S310
            f"{address}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            told = json.load(answer)["predictions"]
    finally:
        kill(process)
    expected = load_model("run").pipeline.predict_proba(histories)
    np.testing.assert_allclose(np.array(told), expected, rtol=0, atol=0)


def test_a_worse_model_is_challenger_until_promoted(at, bank, runs, capsys):
    """The alias moves by the margin or by hand, and the output says why."""
    assert main(["train", str(bank), *QUICK, "--stage", "Production", "-o", "second"]) == 0
    said = capsys.readouterr().out
    assert "version 2 is challenger: it does not beat the champion, version 1: ROC-AUC" in said
    assert "rfmrisk promote 2 makes it champion" in said
    assert aliases(at) == {"champion": "1", "challenger": "2"}
    assert main(["promote", "2"]) == 0
    assert "version 2 of credit_scoring_model is champion; it was version 1" in (
        capsys.readouterr().out
    )
    assert aliases(at) == {"champion": "2"}
    assert main(["upload", str(runs / "first"), "--margin", "-1"]) == 0
    assert "version 3 is champion: it beats the champion, version 2," in capsys.readouterr().out
    assert aliases(at) == {"champion": "3"}


@pytest.mark.parametrize(
    ("size", "seen"),
    [(0.5, "without the"), pytest.param(0.2, "which flatters", marks=pytest.mark.slow)],
)
def test_the_champion_is_judged_where_it_has_not_been_trained(store, two_runs, capsys, size, seen):
    """Customers that the champion knows are left out where enough remain, or else counted."""
    folders = [two_runs(size) / name for name in ("first", "second")]
    assert [main(["upload", str(folder)]) for folder in folders] == [0, 0]
    said = capsys.readouterr().out
    parts = [pd.read_csv(folder / "customers.csv", index_col="customer") for folder in folders]
    trained, held_out = (
        set(table.index[table["part"] == part])
        for table, part in zip(parts, ("train", "test"), strict=True)
    )
    n_seen = len(trained & held_out)
    assert 0 < n_seen < len(held_out)
    assert f"{n_seen:,}" in said
    assert seen in said
    n_judged = len(held_out) - n_seen if "without" in seen else len(held_out)
    assert f"on {n_judged:,} held-out customers" in said


def test_uploading_twice_registers_once(at, capsys):
    """The same training is one version, however often it is uploaded."""
    before = aliases(at)
    assert main(["upload", "run"]) == 0
    assert "version 1 is" in capsys.readouterr().out
    client = mlflow.MlflowClient()
    versions = {v.version for v in client.search_model_versions(f"name = '{NAME}'")}
    assert main(["upload", "run"]) == 0
    assert {v.version for v in client.search_model_versions(f"name = '{NAME}'")} == versions
    client.set_registered_model_alias(NAME, "champion", before["champion"])


def test_a_champion_that_cannot_be_loaded_stays(store, runs, capsys):
    """A champion of an older version is not replaced unjudged; the output says what to do."""
    assert main(["upload", str(runs / "first")]) == 0
    client = mlflow.MlflowClient()
    first = client.get_model_version_by_alias(NAME, "champion")
    folder = mlflow.artifacts.download_artifacts(f"models:/{first.source.split('/')[-1]}")
    (Path(folder) / "model.skops").write_bytes(b"a format of former times")
    capsys.readouterr()
    assert main(["upload", str(runs / "second")]) == 0
    said = capsys.readouterr().out
    assert "version 2 is challenger: the champion, version 1, could not be compared" in said
    assert "rfmrisk promote 2 makes it champion" in said
    assert aliases(store) == {"champion": "1", "challenger": "2"}


def test_a_champion_of_an_older_version_is_compared(store, runs, capsys):
    """Where an older champion can be loaded, it is judged, and the output names its version."""
    former = Path(shutil.copytree(runs / "first", "former")) / "model.json"
    metadata = json.loads(former.read_text(encoding="utf-8"))
    metadata["versions"]["rfmrisk"] = "0.0.9"
    former.write_text(json.dumps(metadata), encoding="utf-8")
    assert main(["upload", "former"]) == 0
    capsys.readouterr()
    assert main(["upload", str(runs / "second")]) == 0
    said = capsys.readouterr().out
    assert "it does not beat the champion, version 1, of rfmrisk 0.0.9: ROC-AUC" in said


def test_a_model_of_its_own_label_is_never_champion(store, bank, capsys):
    """Without an outcome window a model is for comparison only, the first one included."""
    assert main(["train", str(bank), *QUICK, "--outcome", "none", "-o", "run"]) == 0
    assert "is challenger: a model of its own label" in capsys.readouterr().out
    assert aliases(store) == {"challenger": "1"}


def test_no_champion_is_one_message(store, bank, capsys):
    """Scoring without a champion, and promoting what is not there, end with code 2."""
    assert main(["score", str(bank), "--model", f"models:/{NAME}@champion", "-o", "s.csv"]) == 2
    assert "has no model 'models:/credit_scoring_model@champion'" in capsys.readouterr().err
    assert main(["promote", "7"]) == 2
    assert "no version '7'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stage", "v3"], "alias"),
        (["--model-name", "a/b"], "a/b"),
        (["--missed-bad-cost", "-1"], "missed_bad_cost must be above 0"),
        (["--margin", "nan"], "the margin must be a difference of ROC-AUC"),
        (["--scoring", "roc_acu"], "scoring must be one of"),
        (["--models", "forest"], "models must be names of"),
        (["--n-iter", "0"], "n_iter must be an integer of at least 1; got 0"),
        (["--test-size", "2"], "test_size must be a share between 0 and 1; got 2.0"),
    ],
)
def test_bad_options_are_refused_before_training(new_store, bank, capsys, options, message):
    """What would be refused at the end is refused at the start, and the store hears nothing."""
    assert main(["train", str(bank), *QUICK, *options, "-o", "run"]) == 2
    assert message in capsys.readouterr().err
    assert list(new_store.iterdir()) == []


def test_the_run_has_all_that_was_asked_for(at):
    """The parameters of the run are those of the training, with the command and the columns."""
    client = mlflow.MlflowClient()
    run = client.get_run(client.get_model_version(NAME, "1").run_id)
    assert run.info.run_name == "train log.csv"
    params = run.data.params
    assert params["command"].startswith("rfmrisk train ")
    assert params["customer"] == "CustomerId"
    assert params["models"] == "decision_tree"
    assert params["test_size"] == "0.2"
    assert params["cv"] == "2"
    assert "n_clusters=3" in params["labeler"]
    child = next(
        each
        for each in client.search_runs([run.info.experiment_id])
        if each.info.run_name == "decision_tree"
    )
    assert child.data.params["cv"].startswith("StratifiedGroupKFold(n_splits=2")
    dataset = run.inputs.dataset_inputs[0].dataset
    assert dataset.name == "log.csv"


def test_a_failing_registration_leaves_no_version(store, runs, monkeypatch, capsys):
    """When the alias cannot be set, the version is taken back, and upload works later."""
    run = str(runs / "first")

    def fail(*_, **__):
        raise mlflow.MlflowException("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "set_registered_model_alias", fail)
        assert main(["upload", run]) == 1
    said = capsys.readouterr().err
    assert "the disk is full" in said
    assert f"rfmrisk upload {run}" in said
    assert mlflow.MlflowClient().search_registered_models() == []
    assert main(["upload", run]) == 0
    assert aliases(store) == {"champion": "1"}


def test_stages_of_former_times_are_aliases(monkeypatch):
    """``Production`` means the champion; MODEL_STAGE is the default."""
    assert alias_of("Production") == "champion"
    assert alias_of("shadow") == "shadow"
    monkeypatch.setenv("MODEL_STAGE", "production")
    assert alias_of() == "champion"


def test_a_folder_that_is_not_whole_cannot_be_uploaded(at, capsys):
    """A missing folder, or one without its held-out histories, ends with code 2."""
    assert main(["upload", "nowhere"]) == 2
    assert "no model folder 'nowhere'" in capsys.readouterr().err
    shutil.copytree("run", "part")
    Path("part/held_out.parquet").unlink()
    assert main(["upload", "part"]) == 2
    assert "held_out.parquet" in capsys.readouterr().err
    shutil.copytree("run", "damaged")
    for name, command in (
        ("metrics.csv", "upload"),
        ("samples.csv", "upload"),
        ("metrics.csv", "report"),
        ("drift.csv", "report"),
    ):
        whole = Path("damaged", name).read_text(encoding="utf-8")
        Path("damaged", name).write_text("x\n1\n", encoding="utf-8")
        assert main([command, "damaged"]) == 2
        assert f"{name} is not the table that a training wrote" in capsys.readouterr().err
        Path("damaged", name).write_text(whole, encoding="utf-8")
