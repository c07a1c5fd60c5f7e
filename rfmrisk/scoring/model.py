"""A trained pipeline with all that scoring needs beside it: probability, score, reasons."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from rfmrisk.metrics import stability_cuts
from rfmrisk.persistence import ModelFileError, dump, load
from rfmrisk.scorecard.scorecard import Scorecard, probability_to_score
from rfmrisk.scoring.contributions import Contributions, encode, tell_most, uncalibrated
from rfmrisk.scoring.metadata import ModelMetadata, ScoreDistribution

__all__ = ["ScoringModel"]

MODEL_FILE = "model.skops"
METADATA_FILE = "model.json"
SUREST = 1e-6


@dataclass(frozen=True)
class ScoringModel:
    """A fitted pipeline from histories to a probability, and its metadata.

    Attributes
    ----------
    pipeline : Pipeline
        Its first step makes the customer feature table.
    metadata : ModelMetadata
        The threshold, the scaling of the score, the typical value of each feature, the
        distribution of scores, how the model was trained.
    """

    pipeline: Pipeline
    metadata: ModelMetadata

    def score(self, histories: pd.DataFrame, n_reasons: int = 3) -> pd.DataFrame:
        """Score customers, with the reasons that cost each of them most.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.
        n_reasons : int, default=3
            How many reasons to give.

        Returns
        -------
        DataFrame of shape (n_customers, 4 + n_reasons)
            Index ``customer``; ``as_of``, ``probability`` of being high-risk, ``score``
            (higher is safer), ``is_high_risk`` at the model's threshold, and ``reason_1`` and
            on: a feature, its value, and the points that it costs; empty where nothing costs.

        Notes
        -----
        `reasons_note` says what the points of the reasons are. For a scorecard they are those
        lost against the best attainable bin of each feature. XGBoost and LightGBM tell each
        customer's SHAP values, against the average of the training customers; a logistic
        regression's contributions are its coefficients times the distance to the typical
        customer, of median or most frequent values. Other models have no reasons.

        Examples
        --------
        >>> from rfmrisk import to_histories
        >>> from rfmrisk.datasets import make_transactions
        >>> from rfmrisk.training import train
        >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
        >>> model = train(histories, models=["decision_tree"], cv=3).model
        >>> list(model.score(histories).columns)
        ['as_of', 'probability', 'score', 'is_high_risk', 'reason_1', 'reason_2', 'reason_3']
        """
        table = self.pipeline[0].transform(histories)
        rest = self.pipeline[1:]
        probability = bad_probability(rest, table)
        if isinstance(rest[-1], Scorecard):
            score = rest[-1].predict_score(table)
        else:
            score = np.rint(bounded_score(probability, **self.metadata.scale)).astype(np.int64)
        reasons = np.full((len(table), n_reasons), "", dtype=object)
        if n_reasons and self.reasons_from:
            self._tell(uncalibrated(rest), table, reasons)
        decided = {
            "as_of": histories["as_of"],
            "probability": probability,
            "score": score,
            "is_high_risk": (probability >= self.metadata.threshold).astype(np.int64),
        }
        named = {f"reason_{place + 1}": reasons[:, place] for place in range(n_reasons)}
        return pd.DataFrame({**decided, **named}, index=histories.index)

    def save(self, folder: str | Path) -> None:
        """Write ``model.skops`` and ``model.json`` into a folder.

        Parameters
        ----------
        folder : str or Path
            An existing folder.
        """
        dump(self.pipeline, Path(folder) / MODEL_FILE)
        (Path(folder) / METADATA_FILE).write_text(self.metadata.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "ScoringModel":
        """Load what `save` wrote.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        ScoringModel

        Raises
        ------
        ModelFileError
            A file is missing, broken, or of types that are not trusted.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ModelFileError(f"there is no model folder {str(folder)!r}")
        pipeline = load(folder / MODEL_FILE)
        try:
            metadata = ModelMetadata.from_json((folder / METADATA_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelFileError(
                f"{str(folder / METADATA_FILE)!r} cannot be read: {error}"
            ) from error
        return cls(pipeline, metadata)

    @property
    def reasons_from(self) -> Literal["points", "contributions"] | None:
        """What reasons are made of: a scorecard's points, a model's contributions, or nothing."""
        steps = uncalibrated(self.pipeline[1:])
        if isinstance(steps[-1], Scorecard):
            return "points"
        names = list(map(str, self.pipeline[0].get_feature_names_out()))
        return "contributions" if Contributions.known(steps, names) else None

    @property
    def reasons_note(self) -> str:
        """What the points of the reasons are, or why there are none."""
        source, steps = self.reasons_from, self.pipeline[1:]
        if source is None:
            kind = self.metadata.title or type(steps[-1]).__name__
            return (
                f"This kind of model ({kind}) has neither points nor contributions of its "
                "features, so no reasons are given."
            )
        inside = uncalibrated(steps)
        if source == "points":
            note = "Points of the scorecard, below the best bin of the feature"
        else:
            customer = "typical" if isinstance(inside[-1], LogisticRegression) else "average"
            note = f"The model's own contributions, in points below the {customer} customer"
        return f"{note}{'' if inside is steps else ', before the calibration'}."

    def _tell(self, steps: Pipeline, table: pd.DataFrame, reasons: np.ndarray) -> None:
        """Write the reasons of each customer into an array of shape (n, n_reasons)."""
        n_reasons = reasons.shape[1]
        if isinstance(steps[-1], Scorecard):
            told = steps[-1].reasons(table.reset_index(drop=True), n_reasons)
            reasons[told.index.to_numpy(), told["rank"].to_numpy() - 1] = told["reason"].to_numpy()
            return
        names = list(map(str, table.columns))
        typical, pdo = self.metadata.typical, self.metadata.pdo
        contributions = Contributions(steps, names, typical=typical, pdo=pdo)
        lost = contributions.lost(encode(steps, table))
        values = table.to_numpy(dtype=object)
        found = tell_most(
            names, lost, lambda *place: values[place], contributions.against, n_reasons
        )
        for row, most in zip(reasons, found, strict=True):
            row[: len(most)] = [reason for _, reason, _ in most]


def bad_probability(model: Any, table: pd.DataFrame) -> np.ndarray:
    """Return the probability of being bad, which depends on a customer's own row alone.

    Matrix libraries add the terms of a row in an order that depends on where it stands among the
    others, and so give it another last bit in another batch. The product of a sparse matrix adds
    them one after another.
    """
    last = model[-1] if isinstance(model, Pipeline) else model
    if isinstance(last, LogisticRegression) and len(last.classes_) == 2:
        behind = isinstance(model, Pipeline) and len(model) > 1
        encoded = model[:-1].transform(table) if behind else table
        log_odds = sparse.csr_array(encoded) @ last.coef_[0] + last.intercept_[0]
        return expit(log_odds)
    return model.predict_proba(table)[:, 1]


def bounded_score(probability: np.ndarray, **scale: float) -> np.ndarray:
    """Turn probabilities into scores, none surer than one in a million.

    A tree is certain of customers like those that it has seen, and 0 and 1 have no finite odds.
    """
    return probability_to_score(np.clip(probability, SUREST, 1 - SUREST), **scale)


def score_quantiles(score: np.ndarray) -> ScoreDistribution:
    """Return cuts between scores and how many lie between them, for a stability index.

    They are those of `rfmrisk.metrics.population_stability_index` with ten bins, or fewer where
    a tenth of the scores would be a handful: chance alone then moves the index.

    Examples
    --------
    >>> score_quantiles(np.arange(60))
    ScoreDistribution(cuts=[20.0, 40.0], counts=[20.0, 20.0, 20.0])
    """
    values = np.rint(score)
    cuts = stability_cuts(values, None, min(max(len(values) // 20, 2), 10))
    places = np.searchsorted(cuts, values, side="right")
    counts = np.bincount(places, minlength=len(cuts) + 1).astype(float)
    return ScoreDistribution(cuts=cuts.tolist(), counts=counts.tolist())


def typical_values(table: pd.DataFrame) -> dict[str, Any]:
    """Return the median of each numeric column and the most frequent value of the others."""
    typical: dict[str, Any] = {}
    for name, column in table.items():
        values = column.dropna()
        if not len(values):
            typical[str(name)] = None
        elif pd.api.types.is_integer_dtype(column):
            typical[str(name)] = int(values.median())
        elif pd.api.types.is_numeric_dtype(column):
            typical[str(name)] = float(values.median())
        else:
            typical[str(name)] = str(values.mode().iloc[0])
    return typical
