"""The two files of a model: they are one, or are refused."""

import json
import shutil

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rfmrisk import RFMAggregator, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring import ModelMetadata, ScoringModel
from rfmrisk.scoring.features import check_names
from rfmrisk.training import train


def fitted(seed):
    """Fit a small model, with its metadata."""
    histories = to_histories(make_transactions(n_customers=60, random_state=seed))
    pipeline = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    pipeline.fit(histories, [row % 2 for row in range(len(histories))])
    names = [str(name) for name in pipeline[0].get_feature_names_out()]
    metadata = ModelMetadata(
        threshold=0.1 * seed, features=names, typical=dict.fromkeys(names, 1.0)
    )
    return ScoringModel(pipeline, metadata)


@pytest.fixture
def folders(tmp_path):
    """Save two models."""
    made = [tmp_path / "old", tmp_path / "new"]
    for seed, folder in enumerate(made, start=1):
        folder.mkdir()
        fitted(seed).save(folder)
    return made


def test_both_files_come_back(folders):
    """What is loaded is what was saved."""
    assert ScoringModel.load(folders[0]).metadata == fitted(1).metadata


@pytest.mark.parametrize("name", ["model.skops", "model.json"])
def test_files_of_two_models_are_no_model(folders, name):
    """A model with the threshold of another is refused, and taken when both files are there."""
    old, new = folders
    shutil.copy(new / name, old / name)
    with pytest.raises(ModelFileError, match="is not of the model beside it"):
        ScoringModel.load(old)
    for each in ("model.skops", "model.json"):
        shutil.copy(new / each, old / each)
    assert ScoringModel.load(old).metadata == fitted(2).metadata


def test_metadata_of_no_model_are_refused(folders):
    """Without the hash nobody knows whose they are."""
    path = folders[0] / "model.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    del values["model_sha256"]
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ModelFileError, match="model_sha256 is not the hash"):
        ScoringModel.load(folders[0])


@pytest.mark.parametrize("text", ["{}", "[]", "", '{"threshold": NaN}', "\ud800", "[" * 100_000])
def test_a_file_that_is_no_metadata_is_refused(folders, text):
    """Whatever it holds, one error names the file."""
    data = text.encode("utf-8", "surrogatepass")
    (folders[0] / "model.json").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"model\.json"):
        ScoringModel.load(folders[0])


def test_a_pipeline_that_scores_nothing_is_refused(folders):
    """A file of the right form may still hold no model of histories."""
    model = fitted(1)
    for pipeline in (make_pipeline(LogisticRegression()), model.pipeline[0], model.pipeline[:-1]):
        ScoringModel(pipeline, model.metadata).save(folders[0])
        with pytest.raises(ModelFileError):
            ScoringModel.load(folders[0])


def test_features_of_another_model_are_refused(folders):
    """The metadata name the features that the pipeline makes, in its order."""
    model = fitted(1)
    other = ModelMetadata(threshold=0.5, features=["age"], typical={"age": 41.0})
    ScoringModel(model.pipeline, other).save(folders[0])
    with pytest.raises(ModelFileError, match="metadata are of another model"):
        ScoringModel.load(folders[0])


@pytest.mark.parametrize("name", ['net "price"', "a\\b", "a\nb", "a\tb"])
def test_a_name_that_no_request_can_have_is_refused_before_the_training(name):
    """A model that uses such a column would train and could never be served."""
    log = make_transactions(n_customers=60, random_state=0)
    histories = to_histories(log.rename(columns={"ChannelId": name}))
    with pytest.raises(ValueError, match="could not be served; rename them"):
        check_names(histories)
    with pytest.raises(ValueError, match="could not be served; rename them"):
        train(histories, models=["decision_tree"], cv=2)
