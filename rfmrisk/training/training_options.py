"""What a training can be asked for."""

import argparse
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal, Self

import numpy as np

from rfmrisk.aggregation import customer_features
from rfmrisk.histories.integers import check_integer, is_integer
from rfmrisk.proxy.target import N_CUTOFFS, OUTCOMES
from rfmrisk.scorecard import Grades
from rfmrisk.training.catalogue import CATALOGUE, CatalogueModel
from rfmrisk.woe import read_classing

SCORINGS = (
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "f1",
    "matthews_corrcoef",
    "neg_brier_score",
    "neg_log_loss",
    "precision",
    "recall",
    "roc_auc",
)
"""scikit-learn's scores of a classifier of two classes; all are better when greater."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What `train` is asked for; each field is a keyword of `train` and checked when it is set.

    Parameters
    ----------
    outcome : str, timedelta, "auto", None or sequence of durations, default=("30D", "60D", "90D")
        Length of the outcome window, or several, whose samples are stacked; see
        `ProxyTargetClassifier`. None labels by the RFM of the very histories that the features
        see, which measures how well a model learns the definition of its label, and is there for
        comparison only.
    n_cutoffs : int, default=3
        The most cut-offs of each length; see `ProxyTargetClassifier`.
    models : sequence of str or dict of str to CatalogueModel, default=("scorecard", "xgboost")
        Names in `rfmrisk.training.CATALOGUE`, or models with search spaces of your own.
    search : {"grid", "random"}, default="grid"
        GridSearchCV or RandomizedSearchCV.
    n_iter : int, default=20
        Candidates per model of a random search.
    cv : int or splitter, default=5
        Number of stratified folds; a customer who appears more than once stays in one. Or a
        splitter, such as `rfmrisk.proxy.rolling_origin` returns, or one of scikit-learn: it is
        asked for splits of all rows (with ``y=None``, of all samples), customers being the groups,
        of which the training customers' rows are taken.
    scoring : str, default="roc_auc"
        The score that chooses among candidates and models, as named by scikit-learn: one of
        those for two classes, such as ``"average_precision"`` or ``"neg_log_loss"``.
    choose : {"simplest", "best"}, default="simplest"
        Which candidate and which model is chosen: the simplest of those whose score is within
        one standard error of the best (of the differences, over the folds), or the best itself.
        Of models the first in `CATALOGUE`, or in a dict of your own, is the simplest.
    features : transformer or None, default=None
        From histories to the feature table; None is ``customer_features(monetary=monetary)``.
        Parameters in a search space that it does not have are left out.
    labeler : estimator or None, default=None
        See `ProxyTargetClassifier`.
    proxy : bool or None, default=None
        Whether outcomes that are given update a proxy (`OutcomeUpdatedClassifier`), whose target
        needs none. None does so where some outcomes are not known, or fewer than 200 are bad, and
        where they have no weights.
    monetary : {"gross", "net"}, default="gross"
        Of the RFM that a labeler gets, and of the default features.
    class_weight : {"balanced"} or None, default=None
        Whether goods and bads weigh the same in all. Probabilities are then those of a bank
        with as many bads as goods, unless they are calibrated.
    calibrate : {"sigmoid", "isotonic"} or None, default=None
        Put a calibration behind each model, fitted on out-of-fold answers
        (`sklearn.calibration.CalibratedClassifierCV`). With "sigmoid" the points of a scorecard are
        issued again, so that they add up to its score; with "isotonic" no points can.
    classing : dict, str, Path or None, default=None
        Bins by hand for the scorecard, as `WOEEncoder` takes them, or the file that holds them.
        Candidates without one of its columns fail and are left out.
    grades : int, sequence of float, Grades or None, default=None
        The grades of the score, which every answer of the model then has: at most so many, from
        2 to 26, found by the exact program of `Grades`; or ascending scores, each the least of a
        grade; or `Grades` with parameters of your own. What depends on scores is found on
        out-of-fold scores of the training customers.
    stability : float, default=0
        For the scorecard, the price of a quarter (of a month, where all decisions are of one
        quarter) in which two neighbouring bins are the other way round; see `WOEEncoder`.
    missed_bad_cost : float or None, default=None
        What a missed bad costs, where a refused good costs 1. The threshold is that of the
        least cost on out-of-fold probabilities of the training customers
        (`sklearn.model_selection.TunedThresholdClassifierCV`); None takes the one where KS is
        reached.
    test_size : float, default=0.2
        Share of customers held out.
    random_state : int, default=42
        Seeds the split, the folds, the random search and the models.
    n_jobs : int or None, default=None
        Processes of the search; the result does not depend on it.

    Examples
    --------
    >>> from rfmrisk.training import TrainingOptions
    >>> TrainingOptions(cv=3).cv
    3
    >>> TrainingOptions(n_iter=0)
    Traceback (most recent call last):
    ...
    ValueError: n_iter must be an integer of at least 1; got 0
    """

    outcome: str | dt.timedelta | Sequence[str | dt.timedelta] | None = OUTCOMES
    n_cutoffs: int = N_CUTOFFS
    models: Sequence[str] | Mapping[str, CatalogueModel] = ("scorecard", "xgboost")
    search: Literal["grid", "random"] = "grid"
    n_iter: int = 20
    cv: Any = 5
    scoring: str = "roc_auc"
    choose: Literal["simplest", "best"] = "simplest"
    features: Any = None
    labeler: Any = None
    proxy: bool | None = None
    monetary: Literal["gross", "net"] = "gross"
    class_weight: Literal["balanced"] | None = None
    calibrate: Literal["sigmoid", "isotonic"] | None = None
    classing: Mapping[str, Any] | str | Path | None = None
    grades: int | Sequence[float] | Grades | None = None
    stability: float = 0
    missed_bad_cost: float | None = None
    test_size: float = 0.2
    random_state: int = 42
    n_jobs: int | None = None

    def __post_init__(self) -> None:
        _check_models(self.models)
        for name, allowed in (
            ("search", ("grid", "random")),
            ("scoring", SCORINGS),
            ("choose", ("simplest", "best")),
            ("proxy", (True, False, None)),
            ("monetary", ("gross", "net")),
            ("class_weight", ("balanced", None)),
            ("calibrate", ("sigmoid", "isotonic", None)),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {list(allowed)}; got {getattr(self, name)!r}"
                )
        if not all(hasattr(self.cv, name) for name in ("split", "get_n_splits")) and not (
            is_integer(self.cv) and self.cv >= 2
        ):
            raise ValueError(
                "cv must be an integer of at least 2, or a splitter with split and get_n_splits; "
                f"got {self.cv!r}"
            )
        for name, lowest in (("n_iter", 1), ("random_state", 0)):
            check_integer(getattr(self, name), name, lowest)
        if self.n_jobs is not None and (not is_integer(self.n_jobs) or self.n_jobs == 0):
            raise ValueError(
                f"n_jobs must be a number of processes, -1 for all; got {self.n_jobs!r}"
            )
        if not _is_number(self.test_size) or not 0 < self.test_size < 1:
            raise ValueError(f"test_size must be a share between 0 and 1; got {self.test_size!r}")
        if self.classing is not None:
            object.__setattr__(self, "classing", read_classing(self.classing))
        if self.grades is not None:
            object.__setattr__(self, "grades", _checked_grades(self.grades))
        if not (_is_number(self.stability) and self.stability >= 0):
            raise ValueError(
                "stability must be a price in information value from 0, or infinity; got "
                f"{self.stability!r}"
            )
        cost = self.missed_bad_cost
        if cost is not None and not (_is_number(cost) and 0 < cost < np.inf):
            raise ValueError(
                "missed_bad_cost must be above 0, in units of the cost of a refused good; got "
                f"{cost!r}"
            )
        steps = ("fit", "transform", "get_params")
        if self.features is not None and not all(hasattr(self.features, s) for s in steps):
            raise ValueError(
                "features must be a transformer from histories to a table, such as "
                f"customer_features(); got {self.features!r}"
            )

    @classmethod
    def from_namespace(cls, namespace: argparse.Namespace) -> Self:
        """Take those of the options that a command line has, by their names.

        Parameters
        ----------
        namespace : argparse.Namespace

        Returns
        -------
        TrainingOptions
        """
        given = vars(namespace)
        return cls(**{each.name: given[each.name] for each in fields(cls) if each.name in given})

    @property
    def catalogue(self) -> dict[str, CatalogueModel]:
        """The models to search, by name; the simplest first, where they are of the package."""
        if isinstance(self.models, Mapping):
            return dict(self.models)
        return {name: model for name, model in CATALOGUE.items() if name in self.models}

    @property
    def transformer(self) -> Any:
        """The features, those of the package where none were given."""
        return customer_features(monetary=self.monetary) if self.features is None else self.features


def _check_models(models: Any) -> None:
    if isinstance(models, Mapping):
        known = all(isinstance(model, CatalogueModel) for model in models.values())
    else:
        known = isinstance(models, Sequence) and not isinstance(models, str)
        known = known and all(name in CATALOGUE for name in models)
    if known and len(models):
        return
    missing = "" if "lightgbm" in CATALOGUE else " (and lightgbm, where it is installed)"
    raise ValueError(
        f"models must be names of {list(CATALOGUE)}{missing}, or a dict of CatalogueModel; "
        f"got {models!r}"
    )


def _checked_grades(grades: Any) -> Grades:
    """Return grades that can be found, of a number, of edges, or as they were given."""
    if is_integer(grades) and 2 <= grades <= len(ascii_uppercase):
        return Grades(n_grades=int(grades))
    if isinstance(grades, Grades):
        return grades.check()
    try:
        edges = np.asarray(grades, dtype=np.float64)
        if not edges.ndim or not len(edges):
            raise ValueError("it is no list of scores")
        return Grades("edges", edges=edges.tolist()).check()
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"grades must be how many there may be, from 2 to {len(ascii_uppercase)}, or ascending "
            f"scores, each the least of a grade, or Grades(...); got {grades!r}"
        ) from error


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
