"""The features of a model, computed from flat arrays by the aggregators of its training."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import FeatureUnion

from rfmrisk.aggregation import ApplicationColumns, CategoryAggregator
from rfmrisk.aggregation.application import category_texts
from rfmrisk.aggregation.base import FieldType, HistoryAggregator
from rfmrisk.aggregation.category import top_levels
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.persistence import ModelFileError


@dataclass
class Categories:
    """A column of categories: the number of each customer's in ``names``, -1 for missing."""

    codes: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        """Count the customers."""
        return len(self.codes)

    def text(self) -> Any:
        """Return the categories as pandas text, as the aggregators make it."""
        return pd.Series(self.names, dtype="str").reindex(self.codes).array


_NOT_IN_JSON = re.compile(r'["\\\x00-\x1f]')

Columns = dict[str, np.ndarray | Categories]


class FeatureRecipe:
    """Compute a model's features, those that it uses, without a frame in between.

    Parameters
    ----------
    steps : list of transformers
        Each the first step of a pipeline: an aggregator, or a FeatureUnion of such. Features of
        one name are the same, and are computed once.
    used : set of str or None, default=None
        Those that count; the others may be left out where this saves work. None is all.

    Attributes
    ----------
    names : list of str
        All features, in the order of the model.
    fields : dict of str to {"number", "category", "date"}
        The fields of a transaction that are needed beside time and amount.
    columns : dict of str to {"number", "category"}
        The columns of the decision that are needed beside ``as_of``.
    decision : set of str
        The features of the decision's own columns, which a customer has without a history too.

    Raises
    ------
    ModelFileError
        The step is no aggregator, and no union of aggregators.
    """

    def __init__(self, steps: list[Any], used: set[str] | None = None) -> None:
        names = [str(name) for step in steps for name in step.get_feature_names_out()]
        self.names = list(dict.fromkeys(names))
        self.fields: dict[str, FieldType] = {}
        self.columns: dict[str, FieldType] = {}
        self.decision: set[str] = set()
        self._parts: list[tuple[str, HistoryAggregator, set[str]]] = []
        left = set(self.names if used is None else used)
        for prefix, part in chain.from_iterable(map(aggregators_of, steps)):
            wanted = {name for name in part.feature_names_out_ if f"{prefix}{name}" in left}
            left -= {f"{prefix}{name}" for name in wanted}
            if not wanted:
                continue
            self._parts.append((prefix, part, wanted))
            self.fields |= part.needed_fields(wanted)
            needed_columns = part.needed_columns(wanted)
            self.columns |= needed_columns
            if needed_columns:
                self.decision |= {f"{prefix}{name}" for name in wanted}

    def compute(self, flat: FlatHistories) -> Columns:
        """Return the features by name."""
        columns: Columns = {}
        for prefix, part, wanted in self._parts:
            if isinstance(part, CategoryAggregator):
                columns |= _categories(prefix, part, flat, wanted)
                continue
            if isinstance(part, ApplicationColumns):
                columns |= _application(prefix, part, flat, wanted)
                continue
            for name, values in part.compute(flat, wanted).items():
                columns[f"{prefix}{name}"] = as_column(values)
        return columns


def _application(
    prefix: str, part: ApplicationColumns, flat: FlatHistories, wanted: set[str]
) -> Columns:
    """Compute what `ApplicationColumns` does, but for the text, as for other categories."""
    types = part.needed_columns(wanted)
    numbers = [name for name, dtype in types.items() if dtype == "number"]
    columns: Columns = {f"{prefix}{n}": v for n, v in part.compute(flat, numbers).items()}
    for name in types.keys() - set(numbers):
        coded = category_texts(flat, name).dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy().astype(np.int64)
        columns[f"{prefix}{name}"] = Categories(codes, coded.dictionary.to_pylist())
    return columns


def _categories(
    prefix: str, part: CategoryAggregator, flat: FlatHistories, wanted: set[str]
) -> Columns:
    """Compute what the aggregator does, but for the text, which costs pandas milliseconds."""
    columns: Columns = {}
    for field, top in top_levels(flat, list(part.needed_fields(wanted)), part.dtypes_).items():
        names = top.names.cast(pa.string()).to_pylist()
        columns[f"{prefix}{field}_top"] = Categories(top.codes, names)
        columns[f"{prefix}{field}_levels"] = top.n_levels
        columns[f"{prefix}{field}_top_share"] = top.share
    return columns


def as_column(values: Any) -> np.ndarray | Categories:
    """Return the values of a feature: numbers as they are, text as categories."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        return values
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return np.asarray(values, dtype=np.float64)
    codes, names = pd.factorize(values)
    return Categories(codes, list(map(str, names)))


def of_values(values: Sequence[float | str | None]) -> np.ndarray | Categories:
    """Return plain values as a column: text is a category, and None is missing."""
    texts = sorted({value for value in values if isinstance(value, str)})
    if not texts:
        return np.array(values, dtype=np.float64)
    codes: dict[Any, int] = {text: code for code, text in enumerate(texts)}
    codes[None] = -1
    return Categories(np.array([codes[value] for value in values]), texts)


def categories_of(kinds: Mapping[str, FieldType]) -> list[str]:
    """Return the columns that a model has as categories, which are text in every file."""
    return [name for name, kind in kinds.items() if kind == "category"]


def joined(parts: list[Columns]) -> Columns:
    """Put the features of some customers after those of others."""
    return {name: _stacked([part[name] for part in parts]) for name in parts[0]}


def _stacked(parts: list[Any]) -> np.ndarray | Categories:
    if not any(isinstance(part, Categories) for part in parts):
        return np.concatenate(parts)
    names = list(dict.fromkeys(name for part in parts for name in part.names))
    number = {name: code for code, name in enumerate(names)}
    own = [np.array([*(number[name] for name in part.names), -1]) for part in parts]
    codes = [codes[part.codes] for codes, part in zip(own, parts, strict=True)]
    return Categories(np.concatenate(codes), names)


def value_of(values: np.ndarray | Categories, customer: int) -> float | str | None:
    """Return a customer's value in a column, None for a missing one."""
    if isinstance(values, Categories):
        code = values.codes[customer]
        return values.names[code] if code >= 0 else None
    value = float(values[customer])
    return None if np.isnan(value) else value


def as_frame(columns: Columns, names: list[str]) -> pd.DataFrame:
    """Return features as the table that a pipeline's first step makes."""
    return pd.DataFrame(
        {
            name: values.text() if isinstance(values, Categories) else values
            for name, values in ((name, columns[name]) for name in names)
        }
    )


def aggregators_of(step: Any) -> list[tuple[str, HistoryAggregator]]:
    """Return the aggregators of the first step of a pipeline, each with its prefix of names.

    Raises
    ------
    ModelFileError
        It is no aggregator, and no union of aggregators.
    """
    parts = [("", step)]
    if isinstance(step, FeatureUnion) and step.transformer_weights is None:
        named = step.verbose_feature_names_out
        parts = [
            (f"{name}__" if named else "", part)
            for name, part in step.transformer_list
            if not isinstance(part, str) or part != "drop"
        ]
    for _, part in parts:
        if not isinstance(part, HistoryAggregator):
            raise ModelFileError(
                "a model that is to be scored must begin with an aggregator or a union of "
                "aggregators without weights, as customer_features() makes; got "
                f"{type(part).__name__}"
            )
    return parts


def check_names(histories: pd.DataFrame) -> None:
    """Refuse names of columns that a request of the app could not have, before a training.

    Raises
    ------
    ValueError
        Names the columns.
    """
    dtype: Any = histories["history"].dtype
    fields = dtype.pyarrow_dtype.value_type
    names = [field.name for field in fields] + list(map(str, histories.columns))
    odd = [name for name in names if _NOT_IN_JSON.search(name)]
    if odd:
        raise ValueError(
            f"column(s) {odd} have a quote, a backslash or a line break in their names, and a "
            "model that uses them could not be served; rename them in the log"
        )
