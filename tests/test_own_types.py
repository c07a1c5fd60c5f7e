"""A model of one's own types: trained, kept, scored and served by those who trust them by name."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

from rfmrisk import customer_features, to_histories
from rfmrisk.aggregation.union import CustomerFeatures
from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring import ScoringModel
from rfmrisk.training import CatalogueModel, Tracker, load_model, save_run, train
from tests.training.small import SMALL

ROOT = Path(__file__).parents[1]
TYPE = "own_aggregators.ConcentrationAggregator"
CARD = {"scorecard": SMALL["scorecard"]}
OPTIONS = {"models": CARD, "cv": 2, "outcome": "30D", "n_cutoffs": 1}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Write the aggregator of CONTRIBUTING.md into a module of one's own, and a log."""
    place = tmp_path_factory.mktemp("own")
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (place / "own_aggregators.py").write_text(code, encoding="utf-8")
    make_transactions(300, random_state=3).to_csv(place / "log.csv", index=False)
    sys.path.insert(0, str(place))
    yield place
    sys.path.remove(str(place))
    sys.modules.pop("own_aggregators", None)


@pytest.fixture(scope="module")
def features(place):
    """Put one's own features beside those of the package."""
    from own_aggregators import ConcentrationAggregator

    parts = [*customer_features().transformer_list, ("own", ConcentrationAggregator())]
    return CustomerFeatures(parts).set_output(transform="pandas")


@pytest.fixture(scope="module")
def histories():
    return to_histories(make_transactions(300, random_state=3))


@pytest.fixture(scope="module")
def run(place, features, histories):
    """Train and keep a model with the type trusted."""
    result = train(histories, features=features, **OPTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RFMRISK_TRUSTED", TYPE)
        return save_run(result, place / "run")


def command(place, *arguments):
    """Run the command line as a process of its own, which finds the module."""
    paths = os.pathsep.join([str(place), str(ROOT)])
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from rfmrisk.cli import main; raise SystemExit(main())",
            *arguments,
        ],
        cwd=place,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nobody_trusts_a_type_by_itself(run, place, monkeypatch, capsys):
    """Without its name a model is refused, and the error says how it is trusted."""
    monkeypatch.delenv("RFMRISK_TRUSTED", raising=False)
    with pytest.raises(ModelFileError, match="types that are not trusted"):
        load_model(run)
    score = ["score", str(place / "log.csv"), "--model", str(run), "-o", str(place / "no.csv")]
    assert main(score) == 2
    assert TYPE in capsys.readouterr().err
    assert not (place / "no.csv").exists()


def test_a_file_is_scored_as_python_scores(run, place, histories, monkeypatch):
    """The command line, told of the type, gives the scores of Python, in parts too."""
    monkeypatch.delenv("RFMRISK_TRUSTED", raising=False)
    monkeypatch.chdir(place)
    expected = ScoringModel.load(run, trusted=[TYPE]).score(histories)
    score = ["score", "log.csv", "--model", str(run), "--trust", TYPE]
    done = command(place, *score, "-o", "whole.csv")
    assert done.returncode == 0, done.stderr
    assert main([*score, "-o", "parts.csv", "--rows-per-part", "1000"]) == 0
    for name in ("whole.csv", "parts.csv"):
        found = pd.read_csv(name, index_col="customer")
        assert found["score"].to_numpy() == pytest.approx(expected["score"].to_numpy())


def test_is_served(run, histories, monkeypatch):
    """The app, told of the type in its settings, answers as Python does."""
    pytest.importorskip("litestar", reason="the extra 'serve' is not installed")
    from litestar.testing import TestClient

    from rfmrisk.serving import Settings, create_app
    from tests.serving.conftest import body_of

    monkeypatch.setenv("RFMRISK_TRUSTED", TYPE)
    model = load_model(run)
    with TestClient(create_app(model, Settings.from_environment())) as client:
        answer = client.post("/predict", json=body_of(histories[:5])).json()
    expected = model.score(histories[:5])["score"].tolist()
    assert [each["score"] for each in answer["customers"]] == pytest.approx(expected)


def test_goes_to_the_registry_where_it_is_trusted(
    features, histories, empty_store, tmp_path, monkeypatch
):
    """A tracked training is refused before it starts, or registers a model that can be loaded."""
    tracker = Tracker(f"sqlite:///{shutil.copy(empty_store, tmp_path)}")
    monkeypatch.delenv("RFMRISK_TRUSTED", raising=False)
    told = rf"'scorecard' could not be kept: it holds types .*{TYPE}.*--trust or RFMRISK_TRUSTED"
    with pytest.raises(ValueError, match=told):
        train(histories, features=features, tracker=tracker, **OPTIONS)
    assert tracker.mlflow.search_runs(search_all_experiments=True).empty


def test_what_cannot_be_scored_is_refused_before_the_search(histories):
    """A model without probabilities, or of features that are none, is not searched at all."""
    by_hand = CatalogueModel(
        title="Mine",
        make=lambda _: make_pipeline(StandardScaler()),
        grid={"standardscaler__with_mean": [True]},
        distributions={},
    )
    with pytest.raises(ValueError, match=r"'mine' could not be scored: .* predict_proba; got"):
        train(histories, models={"mine": by_hand}, cv=2)
    scaled = make_pipeline(customer_features(), StandardScaler())
    with pytest.raises(ValueError, match=r"'scorecard' could not be scored: .* an aggregator"):
        train(histories, features=scaled, **OPTIONS)


@pytest.mark.parametrize("names", ["my aggregator", "mine.", "a;b"])
def test_a_name_that_is_none_is_told(names, run, place, monkeypatch, capsys):
    """A type is named by its module and its class."""
    monkeypatch.delenv("RFMRISK_TRUSTED", raising=False)
    out = str(place / "no.csv")
    log = str(place / "log.csv")
    assert main(["score", log, "--model", str(run), "-o", out, "--trust", names]) == 2
    assert "RFMRISK_TRUSTED must be a list of types by name" in capsys.readouterr().err
    assert "RFMRISK_TRUSTED" not in os.environ


def test_a_module_that_is_not_there_is_told(run, monkeypatch):
    """Where the type is trusted and its module is missing, the error names the module."""
    monkeypatch.setattr(sys, "path", sys.path[1:])
    monkeypatch.delitem(sys.modules, "own_aggregators")
    with pytest.raises(ModelFileError, match="no module 'own_aggregators'; put the folder of it"):
        ScoringModel.load(run, trusted=[TYPE])
