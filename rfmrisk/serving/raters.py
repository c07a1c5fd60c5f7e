"""Classifiers behind an encoding of the feature table, with the reasons that they have."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.scoring.contributions import Contributions, tell_most, uncalibrated
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import bad_probability, bounded_score
from rfmrisk.serving.cards import CardRater
from rfmrisk.serving.encoding import Encoding
from rfmrisk.serving.features import Columns, value_of
from rfmrisk.serving.reasons import N_REASONS, Reason

Rating = tuple[np.ndarray, np.ndarray, list[list[Reason]]]


class PlainRater:
    """Any classifier over the feature table; it has no reasons.

    Parameters
    ----------
    rest : Pipeline
        The fitted steps after the features.
    names : list of str
        The features.
    metadata : ModelMetadata
        Those of the model.

    Attributes
    ----------
    used : set of str
        The features that it needs.
    independent : bool
        Whether no customer's rating depends on who is rated with it, to the last bit.
    """

    independent = False

    def __init__(self, rest: Pipeline, names: list[str], metadata: ModelMetadata) -> None:
        self.names = names
        self.used = set(names)
        self.classifier = rest[-1]
        self.encode = Encoding(rest[:-1], names, metadata.typical)
        self.scale = metadata.scale

    def rate(self, columns: Columns) -> Rating:
        """Return the probability, score and reasons of each customer."""
        encoded = self.encode(columns)
        probability = bad_probability(self.classifier, encoded)
        score = np.rint(bounded_score(probability, **self.scale)).astype(np.int64)
        return probability, score, self._reasons(columns, encoded)

    def _reasons(self, columns: Columns, encoded: Any) -> list[list[Reason]]:
        return [[] for _ in range(encoded.shape[0])]


class ContributionRater(PlainRater):
    """A classifier whose log-odds of being bad are a sum over its features."""

    def __init__(self, rest: Pipeline, names: list[str], metadata: ModelMetadata) -> None:
        super().__init__(rest, names, metadata)
        self.contributions = Contributions(
            rest, names, typical=metadata.typical, pdo=self.scale["pdo"]
        )

    def _reasons(self, columns: Columns, encoded: Any) -> list[list[Reason]]:
        told = tell_most(
            self.names,
            self.contributions.lost(encoded),
            lambda customer, place: value_of(columns[self.names[place]], customer),
            self.contributions.against,
            N_REASONS,
        )
        return [
            [Reason(name, reason, round(points, 2)) for name, reason, points in customer]
            for customer in told
        ]


class CalibratedRater(PlainRater):
    """A calibrated classifier, with the reasons of the model inside the calibration."""

    def __init__(self, rest: Pipeline, names: list[str], metadata: ModelMetadata) -> None:
        super().__init__(rest, names, metadata)
        self.inside = rater_of(uncalibrated(rest), names, metadata)

    def _reasons(self, columns: Columns, encoded: Any) -> list[list[Reason]]:
        return self.inside.rate(columns)[2]


Rater = CardRater | PlainRater


def rater_of(rest: Pipeline, names: list[str], metadata: ModelMetadata) -> Rater:
    """Return what rates customers as the steps after the features do."""
    if len(rest) == 1 and isinstance(rest[-1], Scorecard):
        return CardRater(rest[-1], names)
    if uncalibrated(rest) is not rest:
        return CalibratedRater(rest, names, metadata)
    kind = ContributionRater if Contributions.known(rest, names) else PlainRater
    return kind(rest, names, metadata)
