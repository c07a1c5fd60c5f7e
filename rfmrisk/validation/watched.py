"""A model as validation sees it: its answers, and the bins whose shares are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from rfmrisk.metrics import stability_cuts
from rfmrisk.scorecard import Scorecard, probability_to_score
from rfmrisk.scoring import ScoringModel
from rfmrisk.woe.bins import bin_labels
from rfmrisk.woe.inputs import as_levels, as_numbers, column_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rfmrisk.validation.targets import Floats

_SUREST = 1e-6
_OTHER = "other"
_MISSING = "missing"


@dataclass(frozen=True)
class Characteristic:
    """A feature in bins.

    Attributes
    ----------
    name : str
    labels : list of str
        Of the bins.
    expected : ndarray
        Customers of the reference in each bin.
    points : ndarray or None
        What a scorecard gives in each bin.
    not_given : ndarray of bool
        The bins of missing values, and of levels unknown in training.
    """

    name: str
    labels: list[str]
    expected: Floats
    points: Floats | None
    not_given: NDArray[np.bool_]


class WatchedModel:
    """A fitted model and the reference that it is compared with.

    Parameters
    ----------
    model : ScoringModel or fitted classifier
        What gives a probability of being bad of the rows.
    reference : DataFrame or None
        Rows like those of its training; None takes what the model itself knows of them.

    Attributes
    ----------
    characteristics : list of Characteristic
        The features of a scorecard that count; of other models those of the reference, and none
        without one.
    score_cuts, score_expected : ndarray
        Bins of the score, and the customers of the reference in each.
    """

    def __init__(self, model: Any, reference: pd.DataFrame | None = None) -> None:
        if not isinstance(model, ScoringModel) and not hasattr(model, "predict_proba"):
            raise TypeError(
                "model must be a ScoringModel, as load_model gives it, or a fitted classifier "
                f"with predict_proba; got {type(model).__name__}"
            )
        self.model = model
        pipeline = model.pipeline if isinstance(model, ScoringModel) else model
        steps = list(pipeline) if isinstance(pipeline, Pipeline) else [pipeline]
        self._before, last = steps[:-1], steps[-1]
        self._card = last if isinstance(last, Scorecard) else None
        self._readers: list[Callable[[pd.DataFrame], NDArray[np.intp]]] = []
        self.characteristics: list[Characteristic] = []
        self.score_cuts, self.score_expected = self._known_scores()
        if self._card is not None:
            self.characteristics = _of_card(self._card)
        if reference is not None:
            self._take(reference)
        elif self.score_cuts is None:
            raise ValueError(
                f"a {type(last).__name__} keeps no distribution of its training scores: give "
                "reference=, rows like those that it was trained on"
            )

    def answers(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return probability, score (higher is safer), grade if any, and if a row is high-risk."""
        rows = self._asked(rows)
        if isinstance(self.model, ScoringModel):
            found = self.model.score(rows, n_reasons=0)
            shown = ["probability", "score", "grade", "is_high_risk"]
            return found.filter(shown).reset_index(drop=True)
        probability = self.model.predict_proba(rows)[:, 1]
        if self._card is not None:
            score = self._card.predict_score(self._table(rows))
        else:
            score = np.rint(probability_to_score(np.clip(probability, _SUREST, 1 - _SUREST)))
        high = np.asarray(self.model.predict(rows)) == np.max(self.model.classes_)
        return pd.DataFrame(
            {"probability": probability, "score": score, "is_high_risk": high.astype(np.int64)}
        )

    def score_counts(self, score: Any) -> NDArray[np.int64]:
        """Count scores in the bins of the reference."""
        codes = np.searchsorted(self.score_cuts, np.asarray(score), side="right")
        return np.bincount(codes, minlength=len(self.score_cuts) + 1)

    def codes(self, rows: pd.DataFrame) -> NDArray[np.intp]:
        """Return the bin of each row in each characteristic, shape (n, k)."""
        if not self.characteristics:
            return np.empty((len(rows), 0), dtype=np.intp)
        table = self._table(rows)
        if self._card is not None:
            used = self._card.used_
            return self._card.encoder_.bin_numbers(table, used)[:, used]
        return np.column_stack([read(table) for read in self._readers])

    def counts(self, codes: NDArray[np.intp]) -> list[NDArray[np.int64]]:
        """Count rows in the bins of each characteristic."""
        return [
            np.bincount(codes[:, k], minlength=len(each.labels))
            for k, each in enumerate(self.characteristics)
        ]

    def _asked(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the columns that the model was fitted on, where it names them."""
        names = getattr(self.model, "feature_names_in_", None)
        if names is None or "history" in rows.columns:
            return rows
        lacking = [name for name in names if name not in rows.columns]
        if lacking:
            raise ValueError(f"the rows lack the columns {', '.join(map(str, lacking))}")
        return rows[list(names)]

    def _table(self, rows: pd.DataFrame) -> Any:
        rows = self._asked(rows)
        if isinstance(self.model, ScoringModel) and self._card is None:
            return self.model.features(rows)
        for step in self._before:
            rows = step.transform(rows)
        return rows

    def _known_scores(self) -> tuple[Any, Any]:
        """Return the distribution of the training scores, where the model keeps it."""
        if self._card is not None:
            return self._card.score_cuts_, self._card.score_counts_
        kept = self.model.metadata.scores if isinstance(self.model, ScoringModel) else None
        return (np.array(kept.cuts), np.array(kept.counts)) if kept else (None, None)

    def _take(self, reference: pd.DataFrame) -> None:
        """Take the shares of a sample in the place of those of the training."""
        if not len(reference):
            raise ValueError("reference has no rows")
        score = self.answers(reference)["score"].to_numpy(dtype=np.float64)
        if self.score_cuts is None:
            self.score_cuts = stability_cuts(score, None, 10)
        self.score_expected = self.score_counts(score).astype(np.float64)
        if self._card is None:
            features = (
                self.model.features(reference)
                if isinstance(self.model, ScoringModel)
                else self._features(reference)
            )
            found = [_binned(features[name], str(name)) for name in features.columns]
            self.characteristics = [each for each, _ in found]
            self._readers = [read for _, read in found]
        counts = self.counts(self.codes(reference))
        self.characteristics = [
            Characteristic(c.name, c.labels, n.astype(np.float64), c.points, c.not_given)
            for c, n in zip(self.characteristics, counts, strict=True)
        ]

    def _features(self, reference: pd.DataFrame) -> pd.DataFrame:
        """Return the rows themselves, or the features of a pipeline that begins with histories."""
        if "history" not in reference.columns:
            self._before = []
            return reference
        self._before = self._before[:1]
        return self._table(reference)


def _of_card(card: Scorecard) -> list[Characteristic]:
    names = card.encoder_.column_names()
    found = []
    for j in card.used_.tolist():
        column = card.encoder_.bins_[j]
        labels = bin_labels(column)
        expected = np.zeros(len(labels))
        trained = column["goods"] + column["bads"]
        expected[: len(trained)] = trained
        not_given = np.arange(len(labels)) >= len(trained) - 1
        points = np.asarray(card.points_[j], dtype=np.float64)[: len(labels)]
        found.append(Characteristic(names[j], labels, expected, points, not_given))
    return found


def _binned(
    column: pd.Series, name: str
) -> tuple[Characteristic, Callable[[pd.DataFrame], NDArray[np.intp]]]:
    """Put a feature into tenths, or its levels, with bins for missing and unknown values."""
    if column_kind(column, name) == "numeric":
        cuts = stability_cuts(as_numbers(column, name), None, 10)
        bounds = [f"{cut:g}" for cut in cuts]
        labels = [
            f"[{low}, {high})"
            for low, high in zip(["-inf", *bounds], [*bounds, "inf"], strict=True)
        ]

        def read(table: pd.DataFrame) -> NDArray[np.intp]:
            x = as_numbers(table[column.name], name)
            codes = np.searchsorted(cuts, x, side="right")
            return np.where(np.isnan(x), len(cuts) + 1, codes)
    else:
        levels = list(as_levels(column, name)[1])
        position = {level: k for k, level in enumerate(levels)}
        labels = [*map(str, levels), _OTHER]

        def read(table: pd.DataFrame) -> NDArray[np.intp]:
            codes, found = as_levels(table[column.name], name)
            new = np.array([position.get(level, len(levels)) for level in found] + [-1])
            return np.where(codes < 0, len(levels) + 1, new[codes])

    labels = [*labels, _MISSING]
    n = len(labels)
    not_given = np.isin(labels, [_MISSING]) | (np.array(labels) == _OTHER)
    return Characteristic(name, labels, np.zeros(n), None, not_given), read
