"""Reasons against the best bin, the average, and an applicant at the cut-off."""

import numpy as np
import pandas as pd
import pytest

from rfmrisk import Scorecard


@pytest.fixture(scope="module")
def sample():
    """Make customers of two columns that count."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(3_000, 2)), columns=["income", "age"])
    y = (rng.random(3_000) < 1 / (1 + np.exp(2 + X["income"] + X["age"]))).astype(int)
    return X, y


@pytest.fixture(scope="module")
def card(sample):
    """Fit a card with points that are not rounded."""
    return Scorecard(rounded=False, codes={"age": "A1"}).fit(*sample)


def test_against_the_average(sample, card):
    """The reference is the mean points of the training customers."""
    X, _ = sample
    mean = card.feature_points(X).mean()
    assert card.reference_points("average") == pytest.approx(mean.to_numpy(), abs=0.006)
    told = card.reasons(X, 2, against="average")
    lost = (mean - card.feature_points(X)).clip(lower=0)
    found = told.groupby(level=0)["lost"].sum()
    expected = lost.sum(axis=1)[found.index]
    assert found.to_numpy() == pytest.approx(expected.to_numpy(), abs=0.02)
    assert told["reason"].str.contains("points below the average").all()


@pytest.mark.parametrize("cutoff", [520, 560])
def test_against_the_cutoff(sample, card, cutoff):
    """The reference adds up to the cut-off, with points that customers have."""
    X, _ = sample
    reference = card.reference_points("cutoff", cutoff)
    assert reference.sum() + card.base_points_ == pytest.approx(cutoff, abs=0.02)
    points = card.feature_points(X)
    assert (points.min() <= reference).all()
    assert (reference <= points.max()).all()
    below = card.predict_score(X) < cutoff
    told = card.reasons(X[below], 2, against="cutoff", cutoff=cutoff)
    assert set(told.index) == set(X.index[below])


def test_codes_and_the_best(sample, card):
    """A feature has its code, or its name; the best is what it was."""
    told = card.reasons(sample[0].iloc[:200], 2)
    assert set(told["code"]) == {"A1", "income"}
    assert (told["code"] == told["feature"].replace("age", "A1")).all()
    assert told["reason"].str.endswith("points below the best").all()


def test_the_cards_own_reference(sample, card):
    """What a card is set to holds wherever it gives reasons, after calibration and in JSON too."""
    X, _ = sample
    own = Scorecard(against="cutoff", cutoff=540).fit(*sample)
    again = Scorecard.from_json(own.to_json())
    pd.testing.assert_frame_equal(own.reasons(X), own.reasons(X, against="cutoff", cutoff=540))
    pd.testing.assert_frame_equal(again.reasons(X), own.reasons(X))
    fresh = own.calibrate(prior=0.05)
    reference = fresh.reference_points().sum() + fresh.base_points_
    assert reference == pytest.approx(540, abs=1)


@pytest.mark.parametrize("spread_base", [False, True])
def test_spread_base_points_change_no_reason(sample, spread_base):
    """Points that are lost do not depend on where the base points stand."""
    X, _ = sample
    card = Scorecard(spread_base=spread_base, rounded=False).fit(*sample)
    lost = card.reasons(X, 1, against="average")["lost"].sum()
    plain = Scorecard(rounded=False).fit(*sample).reasons(X, 1, against="average")["lost"].sum()
    assert lost == pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"against": "worst"}, "against must be 'best', 'average' or 'cutoff'; got 'worst'"),
        ({"against": "cutoff"}, "needs a cutoff"),
        ({"against": "cutoff", "cutoff": np.nan}, "needs a cutoff"),
    ],
)
def test_refuses(sample, card, options, message):
    """What is no reference says what is."""
    with pytest.raises(ValueError, match=message):
        card.reasons(sample[0], **options)
