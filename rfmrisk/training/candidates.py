"""The searches of a training: made, fitted, and told of where candidates fail."""

import datetime as dt
import json
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from rfmrisk.training.models import CatalogueModel


@dataclass(frozen=True)
class Search:
    """A fitted search over the feature table that one setting of the features gives."""

    name: str
    setting: dict[str, Any]
    extractor: Any
    table: pd.DataFrame
    searcher: Any


def make_estimator(
    model: CatalogueModel, random_state: int, class_weight: str | None, y: np.ndarray
) -> Pipeline:
    """Return a catalogue model's pipeline, its classes weighed if asked."""
    if class_weight is None:
        return model.make(random_state)
    return model.weighted(random_state, float(np.mean(y == 0) / np.mean(y == 1)))


def make_searcher(
    estimator: Pipeline,
    model: CatalogueModel,
    search: str,
    *,
    n_iter: int,
    random_state: int,
    options: dict[str, Any],
) -> GridSearchCV | RandomizedSearchCV:
    """Return scikit-learn's search over a catalogue model's grid or distributions."""
    if search == "grid":
        return GridSearchCV(estimator, model.grid, **options)
    return RandomizedSearchCV(
        estimator, model.distributions, n_iter=n_iter, random_state=random_state, **options
    )


def fit_search(searcher: Any, name: str, table: pd.DataFrame, y: np.ndarray) -> str | None:
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
            searcher.fit(table, y)
        except ValueError as error:
            # The scores of a search are set before its winner is fitted.
            if "fits failed" not in str(error) and not _none_left(searcher):
                raise
            return f"{name}: every candidate failed, {_last_line(error)}"
    reasons = [w.message for w in caught if issubclass(w.category, FitFailedWarning)]
    for other in caught:
        if not issubclass(other.category, FitFailedWarning) and "non-finite" not in str(
            other.message
        ):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    if _none_left(searcher):
        told = _last_line(reasons[0]) if reasons else "no score is a number"
        return f"{name}: every candidate failed, {told}"
    failed = int(np.isnan(searcher.cv_results_["mean_test_score"]).sum())
    if failed:
        told = _last_line(reasons[0]) if reasons else "no score"
        warnings.warn(
            f"{name}: {failed} of {len(searcher.cv_results_['params'])} candidates failed and "
            f"are left out ({told})",
            stacklevel=3,
        )
    return None


def _none_left(searcher: Any) -> bool:
    results = getattr(searcher, "cv_results_", None)
    return results is not None and bool(np.isnan(results["mean_test_score"]).all())


def _last_line(message: Any) -> str:
    return str(message).strip().splitlines()[-1].strip()


def show_progress(searcher: Any) -> None:
    """Have a search show scikit-learn's progress bar."""
    from sklearn.callback import ProgressBar

    searcher.set_callbacks(ProgressBar(max_propagation_depth=0))


def candidates_table(searches: list[Search]) -> pd.DataFrame:
    """Return all candidates of all searches, best first."""
    tables = []
    for each in searches:
        results = each.searcher.cv_results_
        setting = {f"features__{name}": value for name, value in each.setting.items()}
        parameters = [{**setting, **params} for params in results["params"]]
        table = {
            "model": each.name,
            "mean_score": results["mean_test_score"],
            "std_score": results["std_test_score"],
            "fit_seconds": results["mean_fit_time"],
            "parameters": [json.dumps(entry, default=plain) for entry in parameters],
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
