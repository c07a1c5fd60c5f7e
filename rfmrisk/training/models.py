"""The catalogue: the models that `train` knows, each with its search spaces.

A catalogue model is a pipeline over the customer feature table; put after `customer_features`
it is one pipeline from histories to a probability. All encoding and scaling is fitted inside it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scipy.stats import loguniform, randint
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from rfmrisk.aggregation import customer_features
from rfmrisk.scorecard import Scorecard
from rfmrisk.woe import WOEEncoder

NUMBERS = make_column_selector(dtype_include="number")
LEVELS = make_column_selector(dtype_exclude="number")


@dataclass(frozen=True)
class CatalogueModel:
    """A kind of model and where to look for its best parameters.

    Attributes
    ----------
    title : str
        What a report calls it.
    make : callable
        From a random state to an unfitted Pipeline over the customer feature table.
    grid : dict
        Parameters for GridSearchCV.
    distributions : dict
        Parameters for RandomizedSearchCV.
    """

    title: str
    make: Callable[[int | None], Pipeline]
    grid: dict[str, list]
    distributions: dict[str, Any]

    def pipeline(self, features: Any = None, random_state: int | None = None) -> Pipeline:
        """Return one unfitted pipeline from histories to a probability.

        Parameters
        ----------
        features : transformer or None, default=None
            From histories to the feature table; None is `customer_features()`.
        random_state : int or None, default=None

        Returns
        -------
        Pipeline
        """
        first = customer_features() if features is None else features
        return Pipeline([("features", first), *self.make(random_state).steps])


def _scorecard(random_state: int | None) -> Pipeline:
    classifier = LogisticRegression(max_iter=1_000, random_state=random_state)
    return Pipeline([("scorecard", Scorecard(WOEEncoder(), classifier, positive=True))])


def _logistic_regression(random_state: int | None) -> Pipeline:
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    levels = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.02)
    classifier = LogisticRegression(max_iter=2_000, random_state=random_state)
    return _encoded(numbers, levels, classifier)


def _decision_tree(random_state: int | None) -> Pipeline:
    classifier = DecisionTreeClassifier(min_samples_leaf=0.02, random_state=random_state)
    return _encoded("passthrough", _ordinal(), classifier)


def _random_forest(random_state: int | None) -> Pipeline:
    classifier = RandomForestClassifier(200, min_samples_leaf=5, random_state=random_state)
    return _encoded("passthrough", _ordinal(), classifier)


def _xgboost(random_state: int | None) -> Pipeline:
    from xgboost import XGBClassifier

    classifier = XGBClassifier(
        n_estimators=150, learning_rate=0.05, subsample=0.8, n_jobs=1, random_state=random_state
    )
    return _encoded("passthrough", _ordinal(), classifier)


def _ordinal() -> OrdinalEncoder:
    return OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-2, encoded_missing_value=-1
    )


def _encoded(numbers: Any, levels: Any, classifier: Any) -> Pipeline:
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("levels", levels, LEVELS)])
    return Pipeline([("columns", columns), ("classifier", classifier)])


CATALOGUE = {
    "scorecard": CatalogueModel(
        title="Scorecard (WoE + logistic regression)",
        make=_scorecard,
        grid={
            "scorecard__encoder__max_bins": [4, 6],
            "scorecard__classifier__C": [0.01, 0.1, 1.0],
        },
        distributions={
            "scorecard__encoder__max_bins": randint(3, 9),
            "scorecard__encoder__min_bin_size": [0.03, 0.05, 0.1],
            "scorecard__classifier__C": loguniform(1e-3, 1e1),
        },
    ),
    "logistic_regression": CatalogueModel(
        title="Logistic regression (one-hot)",
        make=_logistic_regression,
        grid={"classifier__C": [0.001, 0.01, 0.1, 1.0]},
        distributions={
            "classifier__C": loguniform(1e-4, 1e1),
            "columns__levels__min_frequency": [0.01, 0.02, 0.05],
        },
    ),
    "decision_tree": CatalogueModel(
        title="Decision tree",
        make=_decision_tree,
        grid={"classifier__max_depth": [3, 5, 7], "classifier__min_samples_leaf": [0.02, 0.05]},
        distributions={
            "classifier__max_depth": randint(2, 9),
            "classifier__min_samples_leaf": loguniform(5e-3, 1e-1),
        },
    ),
    "random_forest": CatalogueModel(
        title="Random forest",
        make=_random_forest,
        grid={"classifier__min_samples_leaf": [3, 10], "classifier__max_features": ["sqrt", 0.3]},
        distributions={
            "classifier__n_estimators": randint(100, 400),
            "classifier__min_samples_leaf": randint(1, 30),
            "classifier__max_features": ["sqrt", 0.2, 0.4],
        },
    ),
    "xgboost": CatalogueModel(
        title="XGBoost",
        make=_xgboost,
        grid={"classifier__max_depth": [2, 3], "classifier__min_child_weight": [1, 10]},
        distributions={
            "classifier__max_depth": randint(2, 6),
            "classifier__n_estimators": randint(80, 400),
            "classifier__learning_rate": loguniform(1e-2, 2e-1),
            "classifier__min_child_weight": randint(1, 30),
            "classifier__colsample_bytree": [0.3, 0.6, 1.0],
        },
    ),
}
