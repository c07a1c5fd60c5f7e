"""The steps between the features and a classifier, without a table where that is the same."""

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from rfmrisk.scoring.features import Categories, Columns, as_frame, of_values

if TYPE_CHECKING:
    from collections.abc import Callable


class Transformers:
    """Transform features for a classifier, to the last bit as the fitted steps do.

    A table of one row costs pandas and scikit-learn many milliseconds, so the transformers of a
    ColumnTransformer are given plain arrays. Whether this gives the same is tried once, on
    customers who are typical, missing everything, and unlike all others; where it does not, or
    the steps are others, the table is made.

    Parameters
    ----------
    steps : Pipeline
        All fitted steps behind the features, the classifier included.
    names : list of str
        The features, in order.
    typical : dict
        A usual value of each.
    """

    def __init__(self, steps: Pipeline, names: list[str], typical: dict[str, Any]) -> None:
        self.steps = steps[:-1]
        self.names = names
        # Features that came as an array have no names for what is behind them.
        self._named = hasattr(steps[0], "feature_names_in_")
        self._blocks: list[tuple[Callable[[Any], Any] | None, list[str]]] = []
        step = steps[0] if len(steps) == 2 else None
        if isinstance(step, ColumnTransformer) and _takes_arrays(step):
            self._blocks = [
                (None if part == "passthrough" else _without_names(part).transform, list(own))
                for _, part, own in step.transformers_
                if (not isinstance(part, str) or part != "drop") and len(own)
            ]
            if not self._same(_trial(names, typical)):
                self._blocks = []

    def __call__(self, columns: Columns) -> Any:
        """Return what the classifier takes, of shape (n, n_transformed)."""
        if not self._blocks:
            frame = as_frame(columns, self.names)
            given = frame if self._named else frame.to_numpy()
            return self.steps.transform(given) if len(self.steps) else given
        blocks = []
        for transform, own in self._blocks:
            table = _table([columns[name] for name in own])
            blocks.append(table if transform is None else transform(table))
        return np.hstack(blocks)

    def _same(self, columns: Columns) -> bool:
        try:
            by_table = self.steps.transform(as_frame(columns, self.names))
            return np.array_equal(self(columns), by_table, equal_nan=True)
        except (TypeError, ValueError, AttributeError):
            return False


def _trial(names: list[str], typical: dict[str, Any]) -> Columns:
    def other(value: Any) -> Any:
        return "a category that nobody had" if isinstance(value, str) else -1.25e6

    return {name: of_values([typical[name], None, other(typical[name])]) for name in names}


def _takes_arrays(step: ColumnTransformer) -> bool:
    return not hasattr(step, "_sklearn_output_config") and all(
        not isinstance(own, str) and all(isinstance(name, str) for name in own)
        for _, part, own in step.transformers_
        if part != "drop"
    )


def _without_names(transformer: Any) -> Any:
    """Return a copy that expects arrays: scikit-learn warns of those that expect names."""
    transformer = copy.deepcopy(transformer)
    for part in [transformer, *(transformer if isinstance(transformer, Pipeline) else [])]:
        if "feature_names_in_" in vars(part):
            del part.feature_names_in_
    return transformer


def _table(columns: list[Any]) -> np.ndarray:
    if any(isinstance(values, Categories) for values in columns):
        table = np.empty((len(columns[0]), len(columns)), dtype=object)
        for position, values in enumerate(columns):
            if isinstance(values, Categories):
                names = np.array([*values.names, np.nan], dtype=object)
                table[:, position] = names[values.codes]
            else:
                table[:, position] = values
        return table
    return np.column_stack([np.asarray(values, dtype=np.float64) for values in columns])
