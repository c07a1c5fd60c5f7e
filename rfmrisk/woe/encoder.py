"""Replace every column by the Weight of Evidence of its optimal bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import check_is_fitted

from rfmrisk.woe.binning import count_cuts, cut_numbers, group_levels, weight_of_evidence
from rfmrisk.woe.columns import Table, as_levels, as_numbers, column_kind, read_table
from rfmrisk.woe.partition import Rules
from rfmrisk.woe.target import check_target, check_weight

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from rfmrisk.woe.partition import Shape


class ColumnBins(TypedDict):
    """The fitted bins of one column: ordinary bins, special bins, missing, unseen, in this order.

    ``goods`` and ``bads`` (b + s + 1,) stop at missing; ``woe`` (b + s + 2,) ends with unseen.
    """

    kind: str
    n_bins: int
    cuts: NDArray[np.float64]
    levels: dict[str, int]
    special: list[list[Any]]
    goods: NDArray[np.float64]
    bads: NDArray[np.float64]
    woe: NDArray[np.float64]
    iv: NDArray[np.float64]


class WOEEncoder(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encode columns by the Weight of Evidence of optimal bins.

    The WoE of a bin is ln(share of goods / share of bads) [1]_: positive is safer than the
    average, 0 is neutral. Numeric columns are cut, categorical levels are merged, so that the
    information value is the greatest that the constraints allow; missing values have a bin of
    their own.

    Parameters
    ----------
    max_bins : int, default=6
        Greatest number of bins of a column, not counting those of special and missing values.
    min_bin_size : float, default=0.05
        Least share of all customers (by weight) in a bin.
    min_bin_events : float, default=0
        Least weight of goods, and of bads, in a bin. Whatever it is, a column is only split into
        bins that hold some of both.
    monotonic : {"auto", "ascending", "descending", "peak", "valley", "auto_shape", None} or dict, \
default="auto"
        Shape of the bad rate over the bins of a numeric column. "auto" takes the better of
        ascending and descending, "auto_shape" the best of all four, None leaves it free. A
        dictionary gives shapes by column name; columns it does not name are "auto".
    max_prebins : int, default=64
        Number of pre-bins that the dynamic program combines.
    cut_points : dict or None, default=None
        Ascending cut points by column name, taken as they are.
    special_values : dict or None, default=None
        Codes by column name that are not amounts, such as ``{"age": [-7, [-8, -9]]}``: each
        entry of the list has a bin of its own, a nested list shares one.
    min_level_size : float, default=0.01
        Levels of a categorical column with a smaller share of all customers are pooled.
    unseen : {"zero", "missing", "error"}, default="zero"
        WoE of a level that ``fit`` has not seen: 0, that of missing values, or an error.
    smoothing : float, default=0.5
        Added to the goods and the bads of a bin that lacks either, so that its WoE is finite.

    Attributes
    ----------
    bins_ : list of dict
        The fitted bins of each column.
    information_value_ : ndarray of shape (f,)
        Information value of each column.
    feature_names_in_ : ndarray of str, shape (f,)
        Column names, where the input had them.
    n_features_in_ : int
        Number of columns.

    References
    ----------
    .. [1] N. Siddiqi, Credit Risk Scorecards, Wiley, 2006, chapter 6.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk.woe import WOEEncoder
    >>> X = pd.DataFrame({"recency": [1, 2, 3, 40, 50, 60], "channel": list("aabbab")})
    >>> encoder = WOEEncoder(min_bin_size=0.3).fit(X, [0, 1, 0, 1, 0, 1])
    >>> encoder.transform(X).round(2)
    array([[ 0.69,  0.69],
           [ 0.69,  0.69],
           [ 0.69, -0.69],
           [-0.69, -0.69],
           [-0.69,  0.69],
           [-0.69, -0.69]])
    """

    def __init__(
        self,
        *,
        max_bins: int = 6,
        min_bin_size: float = 0.05,
        min_bin_events: float = 0,
        monotonic: Shape | Mapping[str, Shape] = "auto",
        max_prebins: int = 64,
        cut_points: Mapping[str, Sequence[float]] | None = None,
        special_values: Mapping[str, Sequence[Any]] | None = None,
        min_level_size: float = 0.01,
        unseen: Literal["zero", "missing", "error"] = "zero",
        smoothing: float = 0.5,
    ) -> None:
        self.max_bins = max_bins
        self.min_bin_size = min_bin_size
        self.min_bin_events = min_bin_events
        self.monotonic = monotonic
        self.max_prebins = max_prebins
        self.cut_points = cut_points
        self.special_values = special_values
        self.min_level_size = min_level_size
        self.unseen = unseen
        self.smoothing = smoothing

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> WOEEncoder:
        """Bin every column.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns; missing is NaN, None, NaT or pandas.NA.
        y : array-like of shape (n,)
            0 or False is good, 1 or True is bad.
        sample_weight : array-like of shape (n,) or None, default=None
            A weight of w counts as w such customers.

        Returns
        -------
        WOEEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If y is not binary, lengths differ, values are infinite, or a parameter names a
            column that is not there.
        TypeError
            If a column holds dates or other unsupported values.
        """
        table = read_table(self, X, reset=True)
        bad = check_target(y, table.n_rows)
        weight = check_weight(sample_weight, table.n_rows)
        if weight is not None and not weight.all():
            keep = weight > 0
        else:
            keep = None
        self.bins_ = [self._fit_column(table, j, bad, weight, keep) for j in range(len(table))]
        self.information_value_ = np.array([column["iv"].sum() for column in self.bins_])
        return self

    def _fit_column(
        self,
        table: Table,
        j: int,
        bad: NDArray[np.bool_],
        weight: NDArray[np.float64] | None,
        keep: NDArray[np.bool_] | None,
    ) -> ColumnBins:
        name, values = table.names[j], table.read(j)
        w = np.ones(len(bad)) if weight is None else weight
        total, total_bads = w.sum(), w[bad].sum()
        shape = self.monotonic
        if isinstance(shape, Mapping):
            shape = shape.get(name, "auto")
        rules = Rules(
            max_bins=self.max_bins,
            min_size=self.min_bin_size * total,
            min_events=self.min_bin_events,
            max_prebins=self.max_prebins,
            total_goods=total - total_bads,
            total_bads=total_bads,
        )
        column: dict[str, Any] = {
            "kind": column_kind(values, name),
            "cuts": np.empty(0),
            "levels": {},
            "special": [
                list(code) if isinstance(code, (list, tuple)) else [code]
                for code in (self.special_values or {}).get(name, [])
            ],
        }
        if column["kind"] == "numeric":
            x = as_numbers(values, name)
            present = np.isfinite(x)
            for codes in column["special"]:
                present &= ~np.isin(x, codes)
            if keep is not None:
                present &= keep
            if present.all():
                present = slice(None)
            given = (self.cut_points or {}).get(name)
            if given is not None:
                column["cuts"] = np.asarray(given, dtype=float)
            else:
                column["cuts"] = cut_numbers(
                    x[present], bad[present], None if weight is None else weight[present], shape, rules
                )
            column["n_bins"] = len(column["cuts"]) + 1
        else:
            codes, levels = as_levels(values, name)
            special = {str(code): k for k, group in enumerate(column["special"]) for code in group}
            ordinary = np.array([level not in special for level in levels] + [False])
            present = ordinary[codes]
            if keep is not None:
                present &= keep
            number, renumbered = np.unique(codes[present], return_inverse=True)
            bins = group_levels(
                renumbered,
                len(number),
                bad[present],
                None if weight is None else weight[present],
                rules,
                min_level_size=self.min_level_size * total,
            )
            column["n_bins"] = int(bins.max(initial=0)) + 1
            column["levels"] = {levels[k]: int(b) for k, b in zip(number, bins, strict=True)}
            column["levels"] |= {text: column["n_bins"] + k for text, k in special.items()}
        n_counted = column["n_bins"] + len(column["special"]) + 1
        codes = bin_codes(values, column, name)
        if weight is None:
            both = np.bincount(codes * 2 + bad, minlength=2 * n_counted)[: 2 * n_counted]
        else:
            both = np.bincount(codes * 2 + bad, weights=weight, minlength=2 * n_counted)
        column["goods"], column["bads"] = both.reshape(-1, 2).T.astype(np.float64)
        woe, column["iv"] = weight_of_evidence(column["goods"], column["bads"], self.smoothing)
        column["woe"] = np.append(woe, woe[-1] if self.unseen == "missing" else 0.0)
        return column  # type: ignore[return-value]

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Replace every value by the WoE of its bin.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``, under the same names in the same order.

        Returns
        -------
        ndarray of shape (n, f), or a frame after ``set_output``
            Weight of Evidence; never missing.

        Raises
        ------
        ValueError
            If columns differ from those of ``fit``, values are infinite, or a level is unseen
            and ``unseen="error"``.
        """
        check_is_fitted(self)
        table = read_table(self, X, reset=False)
        out = np.empty((table.n_rows, len(table)), order="F")
        for j, column in enumerate(self.bins_):
            codes = bin_codes(table.read(j), column, table.names[j])
            if self.unseen == "error" and codes.max(initial=0) == len(column["woe"]) - 1:
                raise ValueError(
                    f"Column {table.names[j]!r} holds a level that fit has not seen; choose "
                    "unseen='zero' or 'missing' to score it."
                )
            np.take(column["woe"], codes, out=out[:, j])
        return out

    def __sklearn_tags__(self) -> Any:
        """Describe the encoder to scikit-learn: mixed columns, NaN, and a binary target."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags


def bin_codes(values: Any, column: ColumnBins, name: str) -> NDArray[np.intp]:
    """Number the bin of every value: ordinary bins, special bins, missing, unseen."""
    missing = column["n_bins"] + len(column["special"])
    if column["kind"] == "numeric":
        x = as_numbers(values, name)
        codes = count_cuts(x, column["cuts"])
        for k, group in enumerate(column["special"]):
            codes[np.isin(x, group)] = column["n_bins"] + k
        np.copyto(codes, missing, where=np.isnan(x))
        return codes
    level_codes, levels = as_levels(values, name)
    bins = [column["levels"].get(level, missing + 1) for level in levels]
    return np.array([*bins, missing], dtype=np.intp)[level_codes]
