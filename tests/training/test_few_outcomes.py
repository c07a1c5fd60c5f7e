"""Outcomes that are few update a proxy, in training, in scores and in the app."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rfmrisk import OutcomeUpdatedClassifier, ProxyTargetClassifier, RFMAggregator, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.scoring.probability import bad_probability
from rfmrisk.training import CATALOGUE, load_model, save_run, train
from rfmrisk.training.few_outcomes import is_wanted
from rfmrisk.training.training_options import TrainingOptions
from tests.training.small import SMALL

SMALL_CARD = {"models": {"scorecard": SMALL["scorecard"]}, "features": RFMAggregator(), "cv": 2}


@pytest.fixture(scope="module")
def histories():
    return to_histories(make_transactions(n_customers=400, random_state=0))


@pytest.fixture(scope="module")
def outcomes(histories):
    """Give outcomes that follow recency, half of them unknown."""
    rng = np.random.default_rng(0)
    last = histories["history"].map(lambda own: own[-1]["time"])
    days = (histories["as_of"] - pd.to_datetime(last)).dt.days.to_numpy()
    y = (days + rng.normal(0, 30, len(days)) > 40).astype(float)
    y[rng.random(len(y)) < 0.5] = np.nan
    return y


@pytest.fixture(scope="module")
def result(histories, outcomes):
    return train(histories, outcomes, **SMALL_CARD, outcome="30D", n_cutoffs=1)


@pytest.mark.parametrize(
    ("proxy", "y", "wanted"),
    [
        (None, [0.0, 1.0, np.nan], True),
        (None, [0.0, 1.0] * 199, True),
        (None, [0.0, 1.0] * 200, False),
        (False, [0.0, 1.0, np.nan], False),
        (True, [0.0, 1.0] * 200, True),
    ],
)
def test_a_proxy_is_updated_where_outcomes_are_few_or_unknown(proxy, y, wanted):
    """Fewer than 200 bads, or any unknown outcome, are enough, unless told otherwise."""
    assert is_wanted(TrainingOptions(proxy=proxy), np.array(y)) is wanted


def test_the_updated_model_stands_beside_both_that_it_is_made_of(result):
    """Its row comes first, those of the supervised model and of the proxy behind it."""
    assert result.metrics.index.tolist() == [
        "updated",
        "scorecard",
        "proxy",
        "rfm_rank",
        "recency alone",
    ]
    assert result.model.metadata.model == "updated"
    assert result.curve is None or result.model.metadata.outcome_curve == result.curve.verdict


@pytest.mark.filterwarnings("ignore:each bin of:UserWarning")
@pytest.mark.parametrize("n_bad", [1, 2, 3, 4])
def test_a_card_that_selects_updates_a_proxy_from_the_first_bad_on(histories, n_bad):
    """Each fold has to leave two bads: with fewer than three the proxy is weighed alone."""
    y = np.full(len(histories), np.nan)
    y[:30] = 0.0
    y[:n_bad] = 1.0
    proxy = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    risk = ProxyTargetClassifier(proxy, outcome="30D", n_cutoffs=1)
    model = OutcomeUpdatedClassifier(risk, CATALOGUE["scorecard"].pipeline()).fit(histories, y)
    assert (model.classifier_ is not None) == (n_bad > 2)
    assert np.isfinite(model.predict_proba(histories)).all()


def test_an_updated_model_is_scored_as_it_answers(result, histories, tmp_path):
    """Probabilities are those of the classifier to the last bit, before and after saving."""
    model = result.model
    scores = model.score(histories)
    np.testing.assert_array_equal(scores["probability"], bad_probability(model.pipeline, histories))
    assert scores["reason_1"].ne("").any()
    again = load_model(save_run(result, tmp_path / "run"))
    pd.testing.assert_frame_equal(again.score(histories), scores)


def test_reasons_of_an_updated_model_weigh_the_points_of_both(result, histories):
    """What a feature costs is the weighed sum of what it costs in either scorecard."""
    scorer = result.model.scorer
    assert scorer.reference == "best"
    assert set(scorer.recipe.names) == set(result.model.metadata.features)


def test_the_app_answers_with_an_updated_model(result, histories):
    """A request has the probability that Python gives."""
    testing = pytest.importorskip("litestar.testing", reason="the extra 'serve' is not installed")
    from rfmrisk.serving import Settings, create_app
    from tests.serving.conftest import body_of

    some = histories.iloc[:5]
    with testing.TestClient(create_app(result.model, Settings())) as client:
        answer = client.post("/predict", json=body_of(some))
    assert answer.status_code < 300, answer.text
    told = [each["probability"] for each in answer.json()["customers"]]
    assert told == result.model.score(some)["probability"].tolist()


def test_without_a_proxy_the_outcomes_stand_alone(histories, outcomes):
    """``proxy=False`` trains on the known outcomes and nothing else."""
    result = train(histories, outcomes, **SMALL_CARD, proxy=False)
    assert result.model.metadata.model == "scorecard"
