"""The catalogue: the models that `train` knows, each with its search spaces.

A catalogue model is one pipeline from histories to a probability: the customer features, and
behind them the steps that `make` gives. All encoding and scaling is fitted inside it. The names
in its search spaces are those of that pipeline, such as ``features__spend__windows``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from scipy.stats import loguniform, randint
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from rfmrisk.aggregation import customer_features
from rfmrisk.scorecard import Scorecard, StepwiseSelector
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
        Parameters of `pipeline` for GridSearchCV, those of the features among them.
    distributions : dict
        The same for RandomizedSearchCV; parameters of the features as lists.
    weight : str
        The parameter that weighs the classes.
    simplicity : tuple of str
        Parameters of which a lower value makes a simpler model, or, behind a minus, a higher one;
        the most important first.

    Examples
    --------
    The search of scikit-learn, straight from histories; `train` finds the same in less time:

    >>> from sklearn.model_selection import GridSearchCV
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.training import CATALOGUE
    >>> tree = CATALOGUE["decision_tree"]
    >>> list(tree.grid)
    ['features__spend__windows', 'classifier__max_depth', 'columns__levels']
    >>> log, defaults = make_transactions(n_customers=300, random_state=0, return_defaults=True)
    >>> histories = to_histories(log)
    >>> search = GridSearchCV(tree.pipeline(random_state=0), tree.grid, cv=2)
    >>> search.fit(histories, defaults.loc[histories.index]).best_params_
    {'classifier__max_depth': ..., 'features__spend__windows': ...}

    A search of one's own:

    >>> from dataclasses import replace
    >>> from rfmrisk.training import train
    >>> deep = replace(tree, grid={"classifier__max_depth": [8, 12]})
    >>> train(histories, models={"deep_tree": deep}, cv=2).model.metadata.model
    'deep_tree'
    """

    title: str
    make: Callable[[int | None], Pipeline]
    grid: dict[str, list]
    distributions: dict[str, Any]
    weight: str = "classifier__class_weight"
    simplicity: tuple[str, ...] = ()

    def complexity(self, parameters: Mapping[str, Any]) -> tuple[float, ...]:
        """Return what orders candidates of this model from simple to complex.

        Parameters
        ----------
        parameters : mapping
            Of a candidate.

        Returns
        -------
        tuple of float

        Examples
        --------
        >>> from rfmrisk.training import CATALOGUE
        >>> tree = CATALOGUE["decision_tree"]
        >>> tree.complexity({"classifier__max_depth": 3}) < tree.complexity(
        ...     {"classifier__max_depth": 5}
        ... )
        True
        """
        return tuple(
            -parameters[name[1:]] if name.startswith("-") else parameters[name]
            for name in self.simplicity
            if name.removeprefix("-") in parameters
        )

    def weighted(self, random_state: int | None, goods_to_a_bad: float) -> Pipeline:
        """Return an unfitted pipeline in which goods and bads weigh the same in all.

        Parameters
        ----------
        random_state : int or None
        goods_to_a_bad : float
            How many goods the training customers have for each bad.

        Returns
        -------
        Pipeline
        """
        by_number = self.weight.endswith("scale_pos_weight")
        return self.make(random_state).set_params(
            **{self.weight: goods_to_a_bad if by_number else "balanced"}
        )

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
    card = Scorecard(WOEEncoder(), classifier, StepwiseSelector(), enforce_signs=True)
    return Pipeline([("scorecard", card)])


def _logistic_regression(random_state: int | None) -> Pipeline:
    numbers = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", add_indicator=True)),
            ("scale", StandardScaler()),
        ]
    )
    # Spending has heavy tails, on which the default solver crawls.
    classifier = LogisticRegression(solver="newton-cholesky", random_state=random_state)
    return _encoded(numbers, _one_hot(), classifier)


def _decision_tree(random_state: int | None) -> Pipeline:
    classifier = DecisionTreeClassifier(min_samples_leaf=0.02, random_state=random_state)
    return _encoded("passthrough", _ordinal(), classifier)


def _random_forest(random_state: int | None) -> Pipeline:
    classifier = RandomForestClassifier(200, min_samples_leaf=5, random_state=random_state)
    return _encoded("passthrough", _ordinal(), classifier)


def _xgboost(random_state: int | None) -> Pipeline:
    from xgboost import XGBClassifier

    # Finer bins and all columns for each tree take twice the time and rank no better.
    classifier = XGBClassifier(
        n_estimators=150,
        learning_rate=0.05,
        subsample=0.8,
        colsample_bytree=0.5,
        max_bin=64,
        n_jobs=1,
        random_state=random_state,
    )
    return _encoded("passthrough", _ordinal(), classifier)


def _lightgbm(random_state: int | None) -> Pipeline:
    from lightgbm import LGBMClassifier  # type: ignore[import-not-found,unused-ignore]

    classifier = LGBMClassifier(
        n_estimators=150,
        learning_rate=0.05,
        num_leaves=7,
        min_child_samples=20,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
        random_state=random_state,
    )
    return _encoded("passthrough", _ordinal(), classifier)


def _one_hot() -> OneHotEncoder:
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=0.02, sparse_output=False
    )


def _ordinal() -> OrdinalEncoder:
    return OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-2, encoded_missing_value=-1
    )


def _encoded(numbers: Any, levels: Any, classifier: Any) -> Pipeline:
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("levels", levels, LEVELS)])
    return Pipeline([("columns", columns), ("classifier", classifier)])


_WINDOWS: list = [("7D", "30D", "90D", None), ("14D", "60D", "180D", None)]
_FEATURES = {"features__spend__windows": _WINDOWS}
_ENCODINGS = [_ordinal(), _one_hot()]
# The scorecard selects; a strong penalty would only shrink the few coefficients, and their z.

CATALOGUE = {
    "scorecard": CatalogueModel(
        title="Scorecard (WoE + logistic regression)",
        make=_scorecard,
        grid=_FEATURES
        | {
            "scorecard__encoder__max_bins": [4, 6],
            "scorecard__classifier__C": [1.0, 10.0],
        },
        distributions=_FEATURES
        | {
            "scorecard__encoder__max_bins": randint(3, 9),
            "scorecard__encoder__min_bin_size": [0.03, 0.05, 0.1],
            "scorecard__classifier__C": loguniform(1e0, 1e2),
        },
        weight="scorecard__classifier__class_weight",
        simplicity=(
            "scorecard__encoder__max_bins",
            "-scorecard__encoder__min_bin_size",
            "scorecard__classifier__C",
        ),
    ),
    "logistic_regression": CatalogueModel(
        title="Logistic regression (one-hot)",
        make=_logistic_regression,
        grid=_FEATURES
        | {
            "classifier__C": [0.01, 0.1, 1.0],
            "columns__numbers__scale": [StandardScaler(), RobustScaler()],
            "columns__levels__min_frequency": [0.02, 0.05],
        },
        distributions=_FEATURES
        | {
            "classifier__C": loguniform(1e-4, 1e1),
            "columns__numbers__scale": [StandardScaler(), RobustScaler(), MinMaxScaler()],
            "columns__levels__min_frequency": [0.01, 0.02, 0.05],
        },
        simplicity=("-columns__levels__min_frequency", "classifier__C"),
    ),
    "decision_tree": CatalogueModel(
        title="Decision tree",
        make=_decision_tree,
        grid=_FEATURES
        | {
            "classifier__max_depth": [3, 5],
            "columns__levels": _ENCODINGS,
        },
        distributions=_FEATURES
        | {
            "classifier__max_depth": randint(2, 9),
            "classifier__min_samples_leaf": loguniform(5e-3, 1e-1),
            "columns__levels": _ENCODINGS,
        },
        simplicity=("classifier__max_depth", "-classifier__min_samples_leaf"),
    ),
    "random_forest": CatalogueModel(
        title="Random forest",
        make=_random_forest,
        grid=_FEATURES | {"classifier__min_samples_leaf": [3, 10], "columns__levels": _ENCODINGS},
        distributions=_FEATURES
        | {
            "classifier__n_estimators": randint(100, 400),
            "classifier__min_samples_leaf": randint(1, 30),
            "classifier__max_features": ["sqrt", 0.2, 0.4],
            "columns__levels": _ENCODINGS,
        },
        simplicity=("-classifier__min_samples_leaf", "classifier__n_estimators"),
    ),
    "xgboost": CatalogueModel(
        title="XGBoost",
        make=_xgboost,
        grid=_FEATURES | {"classifier__max_depth": [2, 3], "columns__levels": _ENCODINGS},
        distributions=_FEATURES
        | {
            "classifier__max_depth": randint(2, 6),
            "classifier__n_estimators": randint(80, 400),
            "classifier__learning_rate": loguniform(1e-2, 2e-1),
            "classifier__min_child_weight": randint(1, 30),
            "classifier__colsample_bytree": [0.3, 0.6, 1.0],
            "columns__levels": _ENCODINGS,
        },
        weight="classifier__scale_pos_weight",
        simplicity=(
            "classifier__max_depth",
            "classifier__n_estimators",
            "-classifier__min_child_weight",
        ),
    ),
}
"""The models by name; LightGBM is among them where it is installed."""

if find_spec("lightgbm"):
    CATALOGUE["lightgbm"] = CatalogueModel(
        title="LightGBM",
        make=_lightgbm,
        grid=_FEATURES | {"classifier__num_leaves": [4, 8], "columns__levels": _ENCODINGS},
        distributions=_FEATURES
        | {
            "classifier__num_leaves": randint(3, 16),
            "classifier__n_estimators": randint(80, 400),
            "classifier__learning_rate": loguniform(1e-2, 2e-1),
            "classifier__min_child_samples": randint(5, 60),
            "classifier__colsample_bytree": [0.3, 0.6, 1.0],
            "columns__levels": _ENCODINGS,
        },
        simplicity=("classifier__num_leaves", "classifier__n_estimators"),
    )
