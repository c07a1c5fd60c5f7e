"""A trained pipeline with all that scoring needs beside it: probability, score, reasons."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from rfmrisk.aggregation import ApplicationColumns
from rfmrisk.histories.flat import flatten
from rfmrisk.histories.whole_files import write_whole
from rfmrisk.metrics import stability_cuts
from rfmrisk.persistence import ModelFileError, dump, loads
from rfmrisk.scorecard import Grades, Scorecard
from rfmrisk.scoring.contributions import uncalibrated
from rfmrisk.scoring.features import FeatureRecipe
from rfmrisk.scoring.metadata import ModelMetadata, ScoreDistribution
from rfmrisk.scoring.raters import pipelines_of
from rfmrisk.scoring.reasons import PhraseBook
from rfmrisk.scoring.scorer import Scorer, Scores, check_servable

__all__ = ["ScoringModel"]

_BELOW = {
    "best": "below the best bin of the feature",
    "average": "below the average of the training customers",
    "cutoff": "below training customers at the cut-off",
}
MODEL_FILE = "model.skops"
METADATA_FILE = "model.json"


@dataclass(frozen=True)
class ScoringModel:
    """A fitted pipeline from histories to a probability, and its metadata.

    Attributes
    ----------
    pipeline : Pipeline or OutcomeUpdatedClassifier
        A pipeline whose first step makes the customer feature table; or a proxy that is updated
        by outcomes, of two such pipelines.
    metadata : ModelMetadata
        The threshold, the scaling of the score, the typical value of each feature, the
        distribution of scores, how the model was trained.
    """

    pipeline: Any
    metadata: ModelMetadata

    def score(
        self,
        histories: pd.DataFrame,
        n_reasons: int = 3,
        reasons: str | Path | dict[str, Any] | PhraseBook | None = None,
    ) -> pd.DataFrame:
        """Score customers, with the reasons that cost each of them most.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.
        n_reasons : int, default=3
            How many reasons to give.
        reasons : str, Path, mapping, PhraseBook or None, default=None
            The sentences of the reasons, or the JSON file that holds them; see `PhraseBook`. None
            takes those that come with the package.

        Returns
        -------
        DataFrame of shape (n_customers, 4 + 2 * n_reasons), or one column more
            Index ``customer``; ``as_of``, ``probability`` of being high-risk, ``score``
            (higher is safer), ``grade`` where the model has grades, ``is_high_risk`` at the
            model's threshold, ``reason_1`` and on: sentences that a customer understands, of
            what costs most points first, and ``code_1`` and on: a short code of each; empty
            where nothing costs.

        Raises
        ------
        FileNotFoundError, ValueError
            The histories or the reasons are not as they must be.

        Notes
        -----
        `reasons_note` says what the points of the reasons are. For a scorecard they are those
        lost against the best attainable bin of each feature. XGBoost and LightGBM give each
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
        ['as_of', 'probability', 'score', 'is_high_risk', 'reason_1', 'reason_2', 'reason_3',
         'code_1', 'code_2', 'code_3']
        """
        book = PhraseBook.read(reasons)
        scores = self.scorer.score(flatten(histories), n_reasons, book)
        return scores_table(histories, scores, n_reasons, book)

    def save(self, folder: str | Path, *, trusted: Sequence[str] = ()) -> None:
        """Write ``model.skops`` and ``model.json`` into a folder.

        The second holds the hash of the first, so that files of two models are never taken for
        one.

        Parameters
        ----------
        folder : str or Path
            An existing folder.
        trusted : sequence of str, default=()
            Types of one's own that it may hold; see `rfmrisk.persistence.dump`.
        """
        file = Path(folder) / MODEL_FILE
        dump(self.pipeline, file, trusted=trusted)
        metadata = replace(self.metadata, model_sha256=_sha256(file.read_bytes()))
        write_whole(Path(folder) / METADATA_FILE, metadata.to_json())

    @classmethod
    def load(cls, folder: str | Path, *, trusted: Sequence[str] = ()) -> "ScoringModel":
        """Load what `save` wrote.

        Parameters
        ----------
        folder : str or Path
        trusted : sequence of str, default=()
            Types of one's own that it may hold; see `rfmrisk.persistence.load`.

        Returns
        -------
        ScoringModel

        Raises
        ------
        ModelFileError
            A file is missing, broken, of another model than the other one, or of types that are
            not trusted.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ModelFileError(f"there is no model folder {str(folder)!r}")
        file, beside = folder / MODEL_FILE, folder / METADATA_FILE
        if not file.is_file():
            raise ModelFileError(f"there is no model file {str(file)!r}")
        data = file.read_bytes()
        pipeline = loads(data, str(file), trusted=trusted)
        try:
            metadata = ModelMetadata.from_json(beside.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = error.strerror if isinstance(error, OSError) else error
            raise ModelFileError(f"{str(beside)!r} cannot be read: {message}") from error
        if metadata.model_sha256 != _sha256(data):
            raise ModelFileError(
                f"{str(beside)!r} is not of the model beside it: its model_sha256 is not the hash "
                f"of {MODEL_FILE}; copy both files of one training"
            )
        model = cls(pipeline, metadata)
        model.check()
        return model

    def features(self, histories: pd.DataFrame) -> pd.DataFrame:
        """Return the features that the model looks at, each once.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, n_columns)

        Returns
        -------
        DataFrame of shape (n_customers, n_features)
        """
        return features_of(self.pipeline, histories)

    def check(self) -> None:
        """Refuse a pipeline and metadata that do not go together.

        Raises
        ------
        ModelFileError
            The pipeline is none that can be scored, or makes other features than the metadata
            have.
        """
        try:
            check_servable(self.pipeline)
            made = FeatureRecipe([each[0] for each in pipelines_of(self.pipeline)]).names
        except ModelFileError:
            raise
        except ValueError as error:
            raise ModelFileError(str(error)) from error
        except Exception as error:
            message = f"the pipeline cannot be scored by ({type(error).__name__})"
            raise ModelFileError(message) from error
        if made != self.metadata.features:
            raise ModelFileError(
                f"the metadata are of another model: they have {len(self.metadata.features)} "
                f"features, and the pipeline makes {len(made)} or others"
            )

    @cached_property
    def scorer(self) -> Scorer:
        """What scores customers from flat arrays, for all that call this model."""
        metadata = self.metadata
        return Scorer(
            self.pipeline,
            metadata.typical,
            metadata.scale,
            metadata.threshold,
            from_proxy=metadata.asked.get("target") == "proxy",
            grades=self.grades,
        )

    @property
    def grades(self) -> Grades | None:
        """The grades of the score, such as ``Scorecard.to_sql(grades=...)`` takes them, or None."""
        scale = self.metadata.grades
        return None if scale is None else scale.fitted()

    @property
    def of_table(self) -> bool:
        """Whether the model was trained on a plain table of applications, without a log."""
        first = [pipeline[0] for pipeline in pipelines_of(self.pipeline)]
        return all(isinstance(step, ApplicationColumns) for step in first)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made anew."""
        return {name: value for name, value in vars(self).items() if name != "scorer"}

    @property
    def reasons_from(self) -> Literal["points", "contributions"] | None:
        """What reasons are made of: a scorecard's points, a model's contributions, or nothing."""
        if not self.scorer.reference:
            return None
        lasts = [uncalibrated(steps[1:])[-1] for steps in pipelines_of(self.pipeline)]
        cards = all(isinstance(last, Scorecard) for last in lasts)
        return "points" if cards else "contributions"

    @property
    def reasons_note(self) -> str:
        """What the points of the reasons are, or why there are none."""
        source, steps = self.reasons_from, pipelines_of(self.pipeline)[-1][1:]
        if source is None:
            kind = self.metadata.title or type(steps[-1]).__name__
            return (
                f"This kind of model ({kind}) has neither points nor contributions of its "
                "features, so no reasons are given."
            )
        if source == "points":
            note = f"Points of the scorecard, {_BELOW[self.scorer.reference]}"
        else:
            customer = self.scorer.reference
            note = f"The model's own contributions, in points below the {customer} customer"
        return f"{note}{'' if uncalibrated(steps) is steps else ', before the calibration'}."


def version_of_folder(folder: str | Path) -> str:
    """Return what identifies the model of a folder: the start of its files' SHA-256.

    Raises
    ------
    ModelFileError
        There is no such file.
    """
    digest = hashlib.sha256()
    for file in (Path(folder) / MODEL_FILE, Path(folder) / METADATA_FILE):
        if not file.is_file():
            raise ModelFileError(f"there is no model file {str(file)!r}")
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def scores_table(
    histories: pd.DataFrame, scores: Scores, n_reasons: int, book: PhraseBook
) -> pd.DataFrame:
    """Return scores as the table of `ScoringModel.score`."""
    texts = np.full((2, n_reasons, len(histories)), "", dtype=object)
    for row, found in enumerate(scores.reasons):
        for rank, reason in enumerate(found):
            texts[:, rank, row] = book.sentence(reason), reason.code
    columns = {
        "as_of": histories["as_of"],
        "probability": scores.probability,
        "score": scores.score,
    }
    if scores.grade is not None:
        columns["grade"] = scores.grade
    columns["is_high_risk"] = scores.high_risk.astype(np.int64)
    for name, ranked in zip(("reason", "code"), texts, strict=True):
        columns |= {f"{name}_{rank + 1}": ranked[rank] for rank in range(n_reasons)}
    return pd.DataFrame(columns, index=histories.index)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def features_of(model: Any, histories: pd.DataFrame) -> pd.DataFrame:
    """Return the features of one fitted pipeline, or of those of an updated proxy, each once."""
    tables = [each[0].transform(histories) for each in pipelines_of(model)]
    whole = tables[0] if len(tables) == 1 else pd.concat(tables, axis=1)
    return whole.loc[:, ~whole.columns.duplicated()]


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
