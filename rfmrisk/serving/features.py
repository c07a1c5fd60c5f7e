"""The features of a model, computed from flat arrays by the aggregators of its training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import FeatureUnion

from rfmrisk.aggregation import CategoryAggregator, SpendAggregator
from rfmrisk.aggregation.base import HistoryAggregator
from rfmrisk.aggregation.category import top_levels
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.persistence import ModelFileError

if TYPE_CHECKING:
    from rfmrisk.serving.bodies import Kind


@dataclass
class Levels:
    """A column of levels: the number of each customer's in ``names``, -1 for missing."""

    codes: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        """Count the customers."""
        return len(self.codes)

    def text(self) -> Any:
        """Return the levels as pandas text, as the aggregators make it."""
        return pd.Series(self.names, dtype="str").reindex(self.codes).array


Columns = dict[str, np.ndarray | Levels]


class FeatureRecipe:
    """Compute a model's features, those that it uses, without a frame in between.

    Parameters
    ----------
    step : transformer
        The first step of a pipeline: an aggregator, or a FeatureUnion of such.
    names : list of str
        All features, in the order of the model.
    used : set of str
        Those that count; the others may be left out where this saves work.

    Attributes
    ----------
    names : list of str
    fields : dict of str to {"number", "level"}
        The fields of a transaction that are needed beside time and amount.
    levels : set of str
        The features that are text.
    """

    def __init__(self, step: Any, names: list[str], used: set[str]) -> None:
        self.names = names
        self.fields: dict[str, Kind] = {}
        self.levels: set[str] = set()
        self._parts: list[tuple[str, HistoryAggregator, set[str]]] = []
        for prefix, part in _parts(step):
            wanted = {name for name in part.feature_names_out_ if f"{prefix}{name}" in used}
            if not wanted:
                continue
            self._parts.append((prefix, part, wanted))
            if isinstance(part, CategoryAggregator):
                self.fields |= dict.fromkeys(_used_levels(part, prefix, used), "level")
                self.levels |= {f"{prefix}{field}_top" for field in part.columns_}
            elif isinstance(part, SpendAggregator):
                self.fields |= {name: "number" for name in part.columns if name != "amount"}

    def compute(self, flat: FlatHistories) -> Columns:
        """Return the features by name."""
        columns: Columns = {}
        for prefix, part, wanted in self._parts:
            if isinstance(part, CategoryAggregator):
                columns |= self._levels(prefix, part, flat)
            else:
                features = part.compute(flat, wanted)
                columns |= {f"{prefix}{name}": values for name, values in features.items()}
        return columns

    def _levels(self, prefix: str, part: CategoryAggregator, flat: FlatHistories) -> Columns:
        columns: Columns = {}
        used = [field for field in part.columns_ if field in self.fields]
        for field, top in top_levels(flat, used, part.dtypes_).items():
            names = top.names.cast(pa.string()).to_pylist()
            columns[f"{prefix}{field}_top"] = Levels(top.codes, names)
            columns[f"{prefix}{field}_levels"] = top.n_levels
            columns[f"{prefix}{field}_top_share"] = top.share
        return columns


def rows_of(columns: Columns, rows: slice) -> Columns:
    """Return the features of some of the customers."""
    return {
        name: Levels(values.codes[rows], values.names)
        if isinstance(values, Levels)
        else values[rows]
        for name, values in columns.items()
    }


def value_of(values: np.ndarray | Levels, customer: int) -> Any:
    """Return a customer's value in a column: a number, a level, or None for a missing level."""
    if isinstance(values, Levels):
        code = values.codes[customer]
        return values.names[code] if code >= 0 else None
    return values[customer]


def as_frame(columns: Columns, names: list[str]) -> pd.DataFrame:
    """Return features as the table that a pipeline's first step makes."""
    return pd.DataFrame(
        {
            name: values.text() if isinstance(values, Levels) else values
            for name, values in ((name, columns[name]) for name in names)
        }
    )


def _parts(step: Any) -> list[tuple[str, HistoryAggregator]]:
    union = isinstance(step, FeatureUnion) and step.transformer_weights is None
    parts = [(f"{name}__", part) for name, part in step.transformer_list] if union else [("", step)]
    for _, part in parts:
        if not isinstance(part, HistoryAggregator):
            raise ModelFileError(
                "the app serves models whose first step is an aggregator or a union of "
                f"aggregators, as customer_features() makes; got {type(part).__name__}"
            )
    return parts


def _used_levels(part: CategoryAggregator, prefix: str, used: set[str]) -> list[str]:
    endings = ("top", "levels", "top_share")
    return [
        field
        for field in part.columns_
        if any(f"{prefix}{field}_{ending}" in used for ending in endings)
    ]
