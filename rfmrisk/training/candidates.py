"""The searches of a training: made and fitted, with a warning where candidates fail.

A search is scikit-learn's own, over the pipeline from histories. So that no candidate computes
the features anew, it is given their table under each of the settings that it may try, and the
first step of its pipeline takes the one that is set.
"""

import datetime as dt
import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pickle import PicklingError
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, ParameterGrid, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from rfmrisk.training.catalogue import CatalogueModel
from rfmrisk.training.split import Task
from rfmrisk.training.training_options import TrainingOptions
from rfmrisk.training.weights import WeightedPipeline

_PREFIX = "features__"
_Setting = dict[str, Any]


class FeatureTables(TransformerMixin, BaseEstimator):
    """Stands for the features in a search, which has their table under each setting.

    Its parameters are set as those of the features are.

    Parameters
    ----------
    features : transformer
        What it stands for.
    settings : list of dict
        Parameters of the features; X has a table for each, under its place in the list.
    """

    def __init__(self, features: Any, settings: list[_Setting]) -> None:
        self.features = features
        self.settings = settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return its own parameters, and those of the features."""
        own = {"features": self.features, "settings": self.settings}
        return own | self.features.get_params() if deep else own

    def set_params(self, **params: Any) -> "FeatureTables":
        """Set parameters of the features."""
        self.features.set_params(**params)
        return self

    def __repr__(self, *_: Any) -> str:
        return repr(self.features)

    def fit(self, X: pd.DataFrame, y: Any = None) -> "FeatureTables":
        """Do nothing: the tables are computed."""
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the table of the present setting."""
        params = self.features.get_params()
        present = {name: params[name] for name in self.settings[0]}
        place = list(map(repr, self.settings)).index(repr(present))
        return X.loc[:, place]  # type: ignore[return-value,unused-ignore]


@dataclass(frozen=True)
class Search:
    """A search over the pipeline of a catalogue model, and the tables that it works on."""

    name: str
    features: Any
    tables: pd.DataFrame
    searcher: Any

    @property
    def parameters(self) -> dict[str, Any]:
        """Those that were chosen."""
        found: dict[str, Any] = self.searcher.best_params_
        return found

    @property
    def scores(self) -> np.ndarray:
        """The score of each candidate (rows) in each fold (columns)."""
        return split_scores(self.searcher.cv_results_)

    @property
    def setting(self) -> _Setting:
        """The parameters of the features that were chosen."""
        found = self.parameters.items()
        return {k.removeprefix(_PREFIX): v for k, v in found if k.startswith(_PREFIX)}

    @property
    def table(self) -> pd.DataFrame:
        """The feature table under the setting that was chosen."""
        return self.searcher.best_estimator_[0].transform(self.tables)

    @property
    def estimator(self) -> Pipeline:
        """The chosen pipeline, from the feature table on."""
        return self.searcher.best_estimator_[1:]


def search_space(model: CatalogueModel, kind: str, features: Any) -> dict[str, Any]:
    """Return what a search looks through, without what these features have no parameter for."""
    space = model.grid if kind == "grid" else model.distributions
    known = features.get_params()
    space = {
        name: values
        for name, values in space.items()
        if not name.startswith(_PREFIX) or name.removeprefix(_PREFIX) in known
    }
    for name, values in space.items():
        if name.startswith(_PREFIX) and not isinstance(values, Sequence):
            raise ValueError(
                f"a parameter of the features needs a list of values to choose from; {name!r} "
                f"has {values!r}"
            )
    return space


def feature_settings(space: Mapping[str, Any]) -> list[_Setting]:
    """Return each setting of the features that a search may try."""
    names = [name for name in space if name.startswith(_PREFIX)]
    return list(ParameterGrid({name.removeprefix(_PREFIX): space[name] for name in names}))


def feature_tables(
    features: Any,
    settings: list[_Setting],
    task: Task,
    known: dict[str, pd.DataFrame],
) -> pd.DataFrame:
    """Compute the features of each sample under each setting, those that are not known already.

    Returns
    -------
    DataFrame
        The tables side by side, each under its place in ``settings``.
    """
    for setting in settings:
        if repr(setting) not in known:
            fitted = clone(features).set_params(**setting).fit(task.histories_of_train)
            known[repr(setting)] = task.sampled(fitted.transform(task.histories))
    return pd.concat(dict(enumerate(known[repr(setting)] for setting in settings)), axis=1)


def make_searcher(
    model: CatalogueModel,
    first: FeatureTables,
    space: dict[str, Any],
    options: TrainingOptions,
    task: Task,
    *,
    memory: "FoldMemory",
) -> GridSearchCV | RandomizedSearchCV:
    """Return scikit-learn's search over a catalogue model's pipeline.

    A scorecard keeps its bins in ``memory``, so that each fold has them once.
    """
    if options.class_weight is None:
        steps = model.make(options.random_state).steps
    else:
        weight = task.weights_of_train.get("sample_weight")
        goods, bads = (np.average(task.y_train == k, weights=weight) for k in (0, 1))
        steps = model.weighted(options.random_state, float(goods / bads)).steps
    kind = Pipeline if task.weight is None else WeightedPipeline
    pipeline = kind([("features", first), *steps])
    if "scorecard__encoder" in pipeline.get_params():
        for name in ("classing", "stability"):
            if getattr(options, name):
                pipeline.set_params(**{f"scorecard__encoder__{name}": getattr(options, name)})
    with suppress(PicklingError):  # what cannot be pickled, such as a lambda, has no hash
        joblib.hash(pipeline.get_params().get("scorecard"))
        _remember(pipeline, memory)
    common = {
        "scoring": options.scoring,
        "cv": task.folds,
        "n_jobs": options.n_jobs,
        "refit": partial(_chosen_candidate, model=model) if options.choose == "simplest" else True,
    }
    if options.search == "grid":
        return GridSearchCV(pipeline, space, **common)
    return RandomizedSearchCV(
        pipeline, space, n_iter=options.n_iter, random_state=options.random_state, **common
    )


class FoldMemory(joblib.Memory):
    """joblib's memory in a folder that goes with the search, and is named in no tracked run."""

    def __repr__(self) -> str:
        return "FoldMemory()"


def _remember(pipeline: Pipeline, memory: FoldMemory | None) -> None:
    """Set where the scorecard of a pipeline keeps its bins, if there is one."""
    if "scorecard__memory" in pipeline.get_params():
        pipeline.set_params(scorecard__memory=memory)


def _chosen_candidate(results: Mapping[str, Any], model: CatalogueModel) -> int:
    """Return the place of the simplest candidate within one standard error of the best."""
    complexity = list(map(model.complexity, results["params"]))
    return simplest(split_scores(results), complexity)


def split_scores(results: Mapping[str, Any]) -> np.ndarray:
    """Return the score of each candidate (rows) in each fold (columns) of a search."""
    names = [name for name in results if name.startswith("split") and name.endswith("test_score")]
    return np.column_stack([results[name] for name in names])


def simplest(scores: np.ndarray, complexity: Sequence[Any]) -> int:
    """Return the place of the simplest of those within one standard error of the best.

    The error is that of the mean difference to the best, fold by fold, which are the same for
    all (the rule of one standard error [1]_, paired). Of equally simple ones the best is taken.

    Parameters
    ----------
    scores : array of shape (n, n_folds)
        Greater is better; NaN where a fit failed.
    complexity : sequence of length n
        What orders from simple to complex.

    Returns
    -------
    int

    References
    ----------
    .. [1] L. Breiman, J. Friedman, R. Olshen and C. Stone, "Classification and Regression Trees",
       Wadsworth, 1984, section 3.4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from rfmrisk.training.candidates import simplest
    >>> scores = np.array([[0.70, 0.72, 0.74], [0.71, 0.72, 0.74], [0.60, 0.62, 0.64]])
    >>> simplest(scores, complexity=[1, 2, 0])
    0
    """
    mean = scores.mean(axis=1)
    behind = scores[np.nanargmax(mean)] - scores
    error = behind.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    within = np.flatnonzero(behind.mean(axis=1) <= error).tolist()
    return int(min(within, key=lambda place: (complexity[place], -mean[place])))


def choose(searches: list[Search], rule: str) -> list[Search]:
    """Return the searches with the chosen one first, the others by their scores.

    Parameters
    ----------
    searches : list of Search
        The simplest model first.
    rule : {"simplest", "best"}
    """
    scores = np.array([each.scores[each.searcher.best_index_] for each in searches])
    means = scores.mean(axis=1)
    first = simplest(scores, range(len(searches))) if rule == "simplest" else np.argmax(means)
    order = sorted(range(len(searches)), key=lambda place: (place != first, -means[place]))
    return [searches[place] for place in order]


def fit_search(
    searcher: Any, name: str, tables: pd.DataFrame, y: np.ndarray, weights: dict[str, np.ndarray]
) -> str | None:
    """Fit a search; candidates that fail are left out with a warning.

    Returns
    -------
    str or None
        What went wrong, where no candidate is left.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FitFailedWarning)
        warnings.filterwarnings("always", message="One or more of the")
        try:
            searcher.fit(tables, y, **weights)
        except ValueError as error:
            # The scores of a search are set before its winner is fitted.
            if "fits failed" not in str(error) and not _none_left(searcher):
                raise
            return f"{name}: every candidate failed, {_last_line(error)}"
    if hasattr(searcher, "best_estimator_"):
        _remember(searcher.best_estimator_, None)
    reasons = [w.message for w in caught if issubclass(w.category, FitFailedWarning)]
    for other in caught:
        if not issubclass(other.category, FitFailedWarning) and "non-finite" not in str(
            other.message
        ):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    if _none_left(searcher):
        reason = _last_line(reasons[0]) if reasons else "no score is a number"
        return f"{name}: every candidate failed, {reason}"
    failed = int(np.isnan(searcher.cv_results_["mean_test_score"]).sum())
    if failed:
        reason = _last_line(reasons[0]) if reasons else "no score"
        warnings.warn(
            f"{name}: {failed} of {len(searcher.cv_results_['params'])} candidates failed and "
            f"are left out ({reason})",
            stacklevel=3,
        )
    return None


def _none_left(searcher: Any) -> bool:
    results = getattr(searcher, "cv_results_", None)
    return results is not None and bool(np.isnan(results["mean_test_score"]).all())


def _last_line(message: Any) -> str:
    return str(message).strip().splitlines()[-1].strip()


def show_progress(searcher: Any) -> None:
    """Have a search show scikit-learn's progress bar, which comes with its version 1.9."""
    try:
        from sklearn.callback import ProgressBar
    except ImportError:
        return
    searcher.set_callbacks(ProgressBar(max_propagation_depth=0))


def candidates_table(searches: list[Search]) -> pd.DataFrame:
    """Return all candidates of all searches, best first."""
    tables = []
    for each in searches:
        results = each.searcher.cv_results_
        table = {
            "model": each.name,
            "mean_score": results["mean_test_score"],
            "std_score": results["std_test_score"],
            "fit_seconds": results["mean_fit_time"],
            "chosen": np.arange(len(results["params"])) == each.searcher.best_index_,
            "parameters": [json.dumps(entry, default=plain) for entry in results["params"]],
        }
        tables.append(pd.DataFrame(table))
    found = pd.concat(tables, ignore_index=True)
    return found.sort_values("mean_score", ascending=False, ignore_index=True, kind="stable")


def plain(value: Any) -> Any:
    """Return a parameter as JSON can hold it."""
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, dt.timedelta | BaseEstimator):
        return " ".join(str(value).split())
    return value.item() if isinstance(value, np.generic) else value
