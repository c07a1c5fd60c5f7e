"""Bins that keep their order in every quarter, through a whole training."""

import numpy as np
import pandas as pd
import pytest

from rfmrisk import to_histories
from rfmrisk.aggregation import ApplicationColumns
from rfmrisk.datasets import make_transactions
from rfmrisk.histories.plain_table import table_histories
from rfmrisk.scoring import ScoringModel
from rfmrisk.training import TrainingOptions, save_run, train
from tests.woe.test_over_time import decisions

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

OPTIONS = {
    "features": ApplicationColumns(),
    "models": ["scorecard"],
    "cv": 3,
    "proxy": False,
}


@pytest.fixture(scope="module")
def bank():
    """Give two years of decisions, as of the start of their quarters, and their outcomes."""
    X, y, quarter = decisions(3_000)
    histories = table_histories(X)
    histories["as_of"] = pd.Series(quarter.dt.start_time.to_numpy()).astype("datetime64[us]")
    return histories, y


@pytest.mark.parametrize("calibrate", [None, pytest.param("sigmoid", marks=pytest.mark.slow)])
def test_the_card_keeps_its_order_in_every_quarter(bank, calibrate, tmp_path):
    """No bin of the card changes its order, also where it is calibrated, kept and loaded."""
    histories, y = bank
    result = train(histories, y, stability=np.inf, calibrate=calibrate, **OPTIONS)
    loaded = ScoringModel.load(save_run(result, tmp_path / "run"))
    for pipeline in (result.model.pipeline, loaded.pipeline):
        encoder = pipeline[-1].encoder_
        assert encoder.periods_ == [f"{year}Q{k}" for year in (2023, 2024) for k in (1, 2, 3, 4)]
        tables = [encoder.binning_table(name) for name in encoder.column_names()]
        assert [table["reversals"].iloc[-1] for table in tables] == [0] * len(tables)
    assert loaded.metadata.asked["stability"] == "inf"
    assert loaded.score(histories).equals(result.model.score(histories))
    free = train(histories, y, calibrate=calibrate, **OPTIONS)
    assert free.model.pipeline[-1].encoder_.periods_ == []


def test_months_where_all_decisions_are_of_one_quarter(bank):
    """The months of a single quarter are periods; a single month has none."""
    histories, y = bank
    within = histories.iloc[:375].copy()
    within["as_of"] += pd.to_timedelta(np.arange(375) % 3 * 31, "D")
    model = train(within, y[:375], stability=0.001, **OPTIONS).model
    assert model.pipeline[-1].encoder_.periods_ == ["2023-01", "2023-02", "2023-03"]
    with pytest.raises(ValueError, match="all decisions are of 2023-01"):
        train(histories.iloc[:375], y[:375], stability=0.001, **OPTIONS)


def test_an_updated_proxy_has_no_price():
    """Outcomes that update a proxy are refused, with what to use instead."""
    log, y = make_transactions(600, random_state=0, return_defaults=True)
    histories = to_histories(log)
    with pytest.raises(ValueError, match="use proxy=False"):
        train(histories, y.loc[histories.index], proxy=True, stability=0.001)


@pytest.mark.parametrize("price", [-1, np.nan, "much", True])
def test_prices_are_numbers_from_0(price):
    """What is no price is refused before anything is trained."""
    with pytest.raises(ValueError, match="stability must be a price in information value from 0"):
        TrainingOptions(stability=price)
