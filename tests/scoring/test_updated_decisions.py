"""A proxy that a few outcomes update scores decisions in a file as in Python."""

import numpy as np
import pandas as pd
import pytest

from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import OutcomeUpdatedClassifier
from rfmrisk.scoring.files import score_file
from rfmrisk.training import train
from tests.training.small import SMALL


@pytest.mark.slow
def test_a_few_outcomes_of_decisions(tmp_path):
    """All columns of the training are known, whichever of the two models uses them."""
    log = make_transactions(n_customers=150, random_state=0)
    log.to_parquet(tmp_path / "log.parquet")
    rng = np.random.default_rng(0)
    ids = log["CustomerId"].unique()
    loans = pd.DataFrame({"customer": ids, "as_of": "2019-04-15", "asked": rng.random(len(ids))})
    y = (rng.random(len(ids)) < loans["asked"] / 2).astype(float).to_numpy()
    histories = to_histories(log, as_of=loans)
    tree = {"decision_tree": SMALL["decision_tree"]}
    model = train(histories, y, models=tree, cv=2, outcome="30D", n_cutoffs=1).model
    assert isinstance(model.pipeline, OutcomeUpdatedClassifier)
    assert not model.of_table
    assert model.scorer.known_columns == ["asked"]
    score_file(model, tmp_path / "log.parquet", tmp_path / "scores.csv", decisions=loans)
    assert (tmp_path / "scores.csv").read_text() == model.score(histories).to_csv()
    wrong = loans.assign(asked="much")
    with pytest.raises(ValueError, match="'asked' of the decisions held numbers"):
        score_file(model, tmp_path / "log.parquet", tmp_path / "other.csv", decisions=wrong)
