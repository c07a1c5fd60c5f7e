"""Replace every column by the Weight of Evidence of its optimal bins."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import chdtrc
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from rfmrisk.histories.integers import is_integer
from rfmrisk.woe.binary_target import check_target, check_weight, mean_weight
from rfmrisk.woe.binning import FEWEST
from rfmrisk.woe.bins import (
    bin_codes,
    binning_table,
    codes_of_levels,
    codes_of_numbers,
    counted,
    evaluate,
    fit_levels,
    fit_numbers,
    missing_bin,
    own_rules,
)
from rfmrisk.woe.classing import (
    POLICIES,
    ColumnClassing,
    is_number,
    numbers_of,
    parse_column,
    read_classing,
)
from rfmrisk.woe.inputs import Table, as_levels, as_numbers, column_kind, level_text, read_table
from rfmrisk.woe.over_time import (
    PERIOD,
    cells_of_levels,
    cells_of_numbers,
    check_period,
    count_by_period,
    frontier,
    table_over_time,
)
from rfmrisk.woe.program import SHAPES, Rules

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from rfmrisk.woe.bins import ColumnBins
    from rfmrisk.woe.over_time import OverTime
    from rfmrisk.woe.program import Shape


_UNSEEN = ("zero", "missing", "error")
# Of a group that is said to be lost: its least rows, and how unlikely its rate is by chance.
FEWEST_ROWS = 20
SURE = 1e-4


class _Classing:
    """A parameter that is set as ``encoder.classing``, and what was fitted as a call of that."""

    def __get__(self, encoder: Any, owner: type | None = None) -> Any:
        return self if encoder is None else encoder._fitted_classing

    def __set__(self, encoder: Any, value: Any) -> None:
        vars(encoder)["classing"] = value


class WOEEncoder(TransformerMixin, BaseEstimator):
    """Encode columns by the Weight of Evidence of optimal bins.

    The WoE of a bin is ln(share of goods / share of bads) [1]_: positive is safer than the
    average, 0 is neutral. Numeric columns are cut, and the levels of the others grouped, so that
    the information value is the greatest that the constraints allow. Missing values have a bin
    of their own.

    A column that cannot be split (constant, empty, or under a minimum size that no two bins can
    have) has one bin, whose WoE is 0 where nothing is missing. A bin that ``fit`` saw no row of,
    such as that of missing values in a complete column, has WoE 0.

    Parameters
    ----------
    max_bins : int, default=6
        Greatest number of bins of a column, those of special and missing values not counted.
    min_bin_size : float, default=0.05
        Least share of all customers (by weight) in a bin.
    min_bin_events : float, default=0
        Least goods, and least bads, in a bin, in units of the mean weight. Whatever it is, a
        column is split into bins that hold some of both where there is such a split.
    monotonic : {"auto", "ascending", "descending", "peak", "valley", "auto_shape"}, None or dict, \
default="auto"
        Shape of the bad rate over the bins of a numeric column. "auto" takes the better of
        ascending and descending, "auto_shape" the best of all four, None leaves it free; the top
        of a peak may lie at an end. A dictionary gives shapes by column name, and "auto" to the
        columns it does not name.
    max_prebins : int, default=64
        Greatest number of pre-bins that the exact search combines at once. A column with no more
        distinct values has the optimal bins; one with more is searched repeatedly around the best
        cuts.
    classing : dict, str, Path or None, default=None
        Bins by hand: a dictionary by column name, or the JSON or YAML file that holds it. Of a
        column it may give ``cuts`` (ascending, used as they are) or ``groups`` of categories,
        with the ``rest`` of them in bins of their "own", in "one" bin or "neutral"; an ``order``
        of categories, of which neighbours are grouped; ``missing``, a policy as below;
        ``special``, a list as in ``special_values`` or a mapping of codes to policies;
        ``max_bins``; ``min_rate_gap``, the least difference of neighbouring bad rates; and who
        decided what and why: ``note``, ``by``, ``date``. What it leaves out is searched. Called
        on a fitted encoder, ``encoder.classing()`` writes all bins as such a dictionary, ready
        for JSON, with which another encoder has the same bins.
    missing : str, default="own"
        The policy for missing values: a WoE of their "own" (0 where the training has none), that
        of the "worst" ordinary bin, "neutral" (0), or one together with the bin that is "nearest"
        in bad rate (0 where the training has none). In a classing also a bin by name.
    cut_digits : int or None, default=None
        To how many significant digits cuts are rounded once they are found; more where two would
        be the same.
    special_values : dict or None, default=None
        Codes by column name that are no amounts, such as ``{"age": [-7, [-8, -9]]}``: each entry
        of the list has a bin of its own, a nested list shares one.
    min_level_size : float, default=0.001
        Levels with a smaller share of all customers (by weight) are pooled before grouping. A
        larger share, such as 0.01, costs information value on the sample and gains it on the
        next one where a column has many small levels.
    unseen : {"zero", "missing", "error"}, default="zero"
        WoE of a level that ``fit`` has not seen: 0, that of missing values, or an error.
    smoothing : float, default=0.5
        A bin that lacks goods or bads has customers of average risk added, so that its WoE is
        finite and tends to 0: so many of the class that is rarer in the sample, in units of the
        mean weight, and of the other as many as go with them.
    min_iv : float, default=0
        Columns with a smaller information value are left out of the output.
    stability : float, default=0
        The price, in information value, of each period (see `fit`) in which two neighbouring bins
        have their bad rates the other way round than over all periods: a reversal. 0 counts them
        only, infinity allows none; `frontier` shows what each price buys. Bins of the classing,
        and cuts that ``cut_digits`` rounds, are as they are.

    Attributes
    ----------
    bins_ : list of dict
        The fitted bins of each column, as `rfmrisk.woe.bins.ColumnBins`.
    information_value_ : ndarray of shape (f,)
        Information value of each column, that of the missing bin included.
    selected_ : ndarray of bool, shape (f,)
        Which columns are in the output.
    findings_ : list of str
        Why a column has one bin; see `summary`.
    classing_ : dict of str to dict
        What was decided by hand, as it was given.
    separating_ : list of str
        Columns of which each bin holds goods alone or bads alone, which `fit` warns of.
    periods_ : list of str
        The names of the periods of `fit`, in their order; none without them.
    over_time_ : list of dict
        The bins of each column in each period, as `rfmrisk.woe.over_time.OverTime`.
    mean_weight_ : float
        The mean weight of the training rows that count; 1 without weights.
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
    >>> X = pd.DataFrame({"recency": [1, 2, 3, 40, 50, None], "channel": list("aabbab")})
    >>> encoder = WOEEncoder(min_bin_size=0.3).fit(X, [0, 1, 0, 1, 0, 1])
    >>> encoder.transform(X).round(2)
    array([[ 0.69,  0.69],
           [ 0.69,  0.69],
           [ 0.69, -0.69],
           [ 0.  , -0.69],
           [ 0.  ,  0.69],
           [-1.1 , -0.69]])
    >>> encoder.binning_table("recency")[["bin", "count", "bad_rate", "woe"]].round(2)
             bin  count  bad_rate   woe
    0  (-inf, 40)    3.0      0.33  0.69
    1   [40, inf)    2.0      0.50  0.00
    2     missing    1.0      1.00 -1.10
    3       total    6.0      0.50  0.00
    """

    classing = _Classing()

    def __init__(
        self,
        *,
        max_bins: int = 6,
        min_bin_size: float = 0.05,
        min_bin_events: float = 0,
        monotonic: Shape | Mapping[str, Shape] = "auto",
        max_prebins: int = 64,
        classing: Mapping[str, Any] | str | Path | None = None,
        missing: str = "own",
        cut_digits: int | None = None,
        special_values: Mapping[str, Sequence[Any]] | None = None,
        min_level_size: float = 0.001,
        unseen: Literal["zero", "missing", "error"] = "zero",
        smoothing: float = 0.5,
        min_iv: float = 0,
        stability: float = 0,
    ) -> None:
        self.max_bins = max_bins
        self.min_bin_size = min_bin_size
        self.min_bin_events = min_bin_events
        self.monotonic = monotonic
        self.max_prebins = max_prebins
        self.classing = classing
        self.missing = missing
        self.cut_digits = cut_digits
        self.special_values = special_values
        self.min_level_size = min_level_size
        self.unseen = unseen
        self.smoothing = smoothing
        self.min_iv = min_iv
        self.stability = stability

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        period: ArrayLike | None = None,
    ) -> WOEEncoder:
        """Bin every column.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns. Missing is NaN, None, NaT or pandas.NA. Integers, floats and decimals
            are numeric; text, categories, booleans and mixed objects are levels.
        y : array-like of shape (n,)
            0 or False is good, 1 or True is bad (of any two numbers, the greater). Rows are
            matched by position; an index is not looked at.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the rows, in any unit: only their ratios matter.
        period : array-like of shape (n,) or None, default=None
            In which period each row lies, such as the quarter of its decision: labels that can be
            sorted. Rates by period are then in `binning_table`, and bins are kept ``stability``.
            None takes the level ``period`` of the index of X, where that has one.

        Returns
        -------
        WOEEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If y is not binary, lengths differ, values are infinite, a parameter is out of range
            or names a column that is not there, ``stability`` has no periods, or no column reaches
            ``min_iv``.
        TypeError
            If a column holds dates or other unsupported values.
        """
        self._fit(X, y, sample_weight, period)
        return self

    def fit_bin_numbers(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        period: ArrayLike | None = None,
    ) -> NDArray[np.intp]:
        """Bin every column, and return the number of the bin that each value is in.

        As `fit` and then `bin_numbers`, with one look at the columns.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns, as in `fit`.
        y : array-like of shape (n,)
            0 or False is good, 1 or True is bad.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the rows.
        period : array-like of shape (n,) or None, default=None
            In which period each row lies.

        Returns
        -------
        ndarray of int, shape (n, f)

        Raises
        ------
        ValueError, TypeError
            As `fit`.

        Examples
        --------
        >>> from rfmrisk.woe import WOEEncoder
        >>> WOEEncoder(min_bin_size=0.3).fit_bin_numbers([[1], [2], [3], [40]], [0, 1, 1, 1])
        array([[0],
               [0],
               [1],
               [1]])
        """
        numbers: list[NDArray[np.intp]] = []
        self._fit(X, y, sample_weight, period, numbers)
        return np.column_stack(numbers)

    def _fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        period: ArrayLike | None,
        numbers: list[NDArray[np.intp]] | None = None,
    ) -> None:
        """Fit; the bin of each row goes into the list, column by column, where there is one."""
        table = read_table(self, X, reset=True)
        self._check_parameters(table.names)
        self.classing_ = read_classing(vars(self)["classing"])
        bad = check_target(y, table.n_rows)
        weight = check_weight(sample_weight, table.n_rows)
        total = float(len(bad) if weight is None else weight.sum())
        total_bads = float(bad.sum() if weight is None else weight[bad].sum())
        if min(total_bads, total - total_bads) <= 0:
            raise ValueError("sample_weight leaves one class only; goods and bads must both count.")
        self.periods_: list[str] = []
        if period is None and PERIOD in getattr(getattr(X, "index", None), "names", ()):
            period = X.index.get_level_values(PERIOD)
        in_period = None
        if period is not None:
            self.periods_, in_period = check_period(period, table.n_rows)
        elif self.stability:
            raise ValueError(
                f"stability={self.stability:g} is a price of bins that change their order from "
                "period to period; fit needs period=..., one label a row"
            )
        self.mean_weight_ = mean_weight(weight)
        rules = self._rules(total - total_bads, total_bads)
        self.findings_ = [""] * len(table)
        self.bins_ = []
        for j in range(len(table)):
            column, codes = self._fit_column(table, j, bad, weight, rules, in_period)
            self.bins_.append(column)
            if numbers is not None:
                numbers.append(codes)
        self.over_time_ = []
        if in_period is not None:
            self.over_time_ = [
                self._over_time(table, j, bad, weight, rules, in_period) for j in range(len(table))
            ]
        self.information_value_ = np.array([column["iv"].sum() for column in self.bins_])
        self._warn_of_separating(table.names, int(min(bad.sum(), (~bad).sum())))
        self.selected_ = self.information_value_ >= self.min_iv
        if not self.selected_.any():
            raise ValueError(
                f"No column reaches min_iv={self.min_iv}; the greatest information value is "
                f"{self.information_value_.max():.4g}."
            )

    def _rules(self, total_goods: float, total_bads: float) -> Rules:
        """Return what the bins of each column have to obey."""
        return Rules(
            max_bins=self.max_bins,
            min_size=self.min_bin_size * (total_goods + total_bads),
            min_events=self.min_bin_events * self.mean_weight_,
            max_prebins=self.max_prebins,
            total_goods=total_goods,
            total_bads=total_bads,
            smoothing=self.smoothing * self.mean_weight_,
            price=float(self.stability),
        )

    def _shape(self, name: str) -> Shape:
        shape = self.monotonic
        return shape.get(name, "auto") if isinstance(shape, Mapping) else shape

    def _warn_of_separating(self, names: list[str], n_rarer: int) -> None:
        self.separating_ = [
            name
            for name, column in zip(names, self.bins_, strict=True)
            if n_rarer >= FEWEST and not ((column["goods"] > 0) & (column["bads"] > 0)).any()
        ]
        if self.separating_:
            warnings.warn(
                f"each bin of {', '.join(map(repr, self.separating_))} holds goods alone or bads "
                "alone: a column that separates the classes knows the outcome, until shown "
                "otherwise. Leave it out, or say when it was known",
                UserWarning,
                stacklevel=4,
            )

    def _fit_column(  # noqa: PLR0917 (a column and the rows, as in fit)
        self,
        table: Table,
        j: int,
        bad: NDArray[np.bool_],
        weight: NDArray[np.float64] | None,
        rules: Rules,
        period: NDArray[np.intp] | None,
    ) -> tuple[ColumnBins, NDArray[np.intp]]:
        """Bin a column; return its bins, and that of each row."""
        name, values = table.names[j], table.read(j)
        by_hand = parse_column(self.classing_.get(name, {}), name)
        numeric = column_kind(values, name) == "numeric"
        if numeric:
            by_hand = replace(by_hand, special=numbers_of(by_hand.special, name))
        special = [*(self.special_values or {}).get(name, ()), *by_hand.special]
        _check_special(name, special)
        n_special = len(special)
        neutral = None
        if numeric:
            _check_special(name, special, numeric=True)
            if by_hand.groups is not None or by_hand.order is not None:
                raise ValueError(f"classing groups {name!r}, which holds numbers, not categories")
            x = as_numbers(values, name)
            column = fit_numbers(
                x,
                bad,
                weight,
                self._shape(name),
                rules,
                special=special,
                classing=by_hand,
                cut_digits=self.cut_digits,
                period=period,
            )
            codes = codes_of_numbers(x, column)
        else:
            if by_hand.cuts is not None:
                raise ValueError(f"classing cuts {name!r}, which holds categories, not numbers")
            level_codes, levels = as_levels(values, name)
            least = self.min_level_size * (rules.total_goods + rules.total_bads)
            column = fit_levels(
                level_codes,
                levels,
                bad,
                weight,
                rules,
                min_level_size=least,
                special=special,
                classing=by_hand,
                period=period,
            )
            if by_hand.rest == "neutral" and self._has_rest(column, by_hand):
                neutral = column["n_bins"] - 1
            codes = codes_of_levels(level_codes, levels, column)
        own = ["own"] * (n_special - len(by_hand.special)) + by_hand.special_policies
        policies = dict(enumerate([*own, by_hand.missing or self.missing], column["n_bins"]))
        try:
            evaluate(
                column,
                codes,
                bad,
                weight,
                smoothing=self.smoothing,
                unseen=self.unseen,
                policies={k: policy for k, policy in policies.items() if policy != "own"},
                neutral=neutral,
            )
        except ValueError as error:
            raise ValueError(f"classing of {name!r}: {error}") from None
        if column["n_bins"] == 1 and by_hand.cuts is None and by_hand.groups is None:
            self.findings_[j] = self._why_one_bin(table, j, column, codes, bad, weight, rules)
        return column, codes

    def _over_time(  # noqa: PLR0917 (a column and the rows, as in fit)
        self,
        table: Table,
        j: int,
        bad: NDArray[np.bool_],
        weight: NDArray[np.float64] | None,
        rules: Rules,
        period: NDArray[np.intp],
    ) -> OverTime:
        """Count the fitted bins of a column in each period, and what else they could be made of."""
        name, values, column = table.names[j], table.read(j), self.bins_[j]
        codes = bin_codes(values, column, name)
        # What only rows without weight hold is in the bin of unseen levels.
        sizes = missing_bin(column) + 2, len(self.periods_)
        goods, bads = count_by_period(codes, bad, weight, period, *sizes)
        by_hand = parse_column(self.classing_.get(name, {}), name)
        cells = None
        if by_hand.cuts is by_hand.groups is by_hand.order is None:
            inside = codes < column["n_bins"]
            own = None if weight is None else weight[inside]
            rows = bad[inside], own, period[inside], len(self.periods_)
            rules = own_rules(rules, by_hand)
            if column["kind"] == "numeric":
                x = as_numbers(values, name)[inside]
                cells = cells_of_numbers(x, *rows, self._shape(name), rules, column["cuts"])
            else:
                level_codes, levels = as_levels(values, name)
                cells = cells_of_levels(level_codes[inside], levels, *rows, rules.max_prebins)
        return {"goods": goods[:, :-1], "bads": bads[:, :-1], "cells": cells}

    def _why_one_bin(  # noqa: PLR0917 (a column and the rows, as in fit)
        self,
        table: Table,
        j: int,
        column: ColumnBins,
        codes: NDArray[np.intp],
        bad: NDArray[np.bool_],
        weight: NDArray[np.float64] | None,
        rules: Rules,
    ) -> str:
        """Say why a column could not be split, and whether smaller bins would."""
        inside = codes == 0
        if not inside.any():
            return "all values are missing or special"
        values = pd.Series(table.read(j))
        if values[inside].nunique() < 2:
            return "has one value"
        name = table.names[j]

        def split_by(rules: Rules, shape: Shape) -> NDArray[np.intp]:
            if column["kind"] == "numeric":
                x = as_numbers(values, name)
                return codes_of_numbers(x, fit_numbers(x, bad, weight, shape, rules))
            level_codes, levels = as_levels(values, name)
            found = fit_levels(level_codes, levels, bad, weight, rules, min_level_size=0.0)
            return codes_of_levels(level_codes, levels, found)

        if rules.price and split_by(rules._replace(price=0.0), self._shape(name))[inside].any():
            return f"no split is worth its reversals over time at stability={rules.price:g}"
        # Each value of the safest and of the riskiest small group has some rows.
        least = min(rules.min_size, FEWEST_ROWS * mean_weight(weight))
        split = split_by(rules._replace(min_size=least, price=0.0), None)
        size = np.ones(len(bad)) if weight is None else weight / mean_weight(weight)
        n = np.bincount(split[inside], size[inside])
        bads = np.bincount(split[inside], (size * bad)[inside], minlength=len(n))
        n, bads = n[n > 0], bads[n > 0]
        rate = bads.sum() / n.sum()
        chi2 = float(((bads - n * rate) ** 2 / np.maximum(n * rate * (1 - rate), 1e-12)).sum())
        if len(n) < 2 or chdtrc(len(n) - 1, chi2) > SURE:
            return "no split tells goods from bads"
        extreme = int(np.abs(bads / n - rate).argmax())
        return (
            f"has groups under min_bin_size={self.min_bin_size:g} that differ in risk: "
            f"{n[extreme] / size.sum():.2%} of the customers have a bad rate of "
            f"{bads[extreme] / n[extreme]:.1%} where {rate:.1%} have; lower min_bin_size, or give "
            "classing"
        )

    @staticmethod
    def _has_rest(column: ColumnBins, by_hand: ColumnClassing) -> bool:
        """Tell whether the last ordinary bin holds what is in no group and not in the order."""
        listed = {t for group in by_hand.groups or [by_hand.order or []] for t in group}
        last = [t for t, k in column["levels"].items() if k == column["n_bins"] - 1]
        return bool(listed and last) and listed.isdisjoint(last)

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Replace every value by the WoE of its bin.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``, under the same names in the same order.

        Returns
        -------
        ndarray of shape (n, number of selected columns), or a frame after ``set_output``
            Weight of Evidence; never missing.

        Raises
        ------
        ValueError
            If columns differ from those of ``fit``, values are infinite, or a level is unseen
            and ``unseen="error"``.
        TypeError
            If numbers have become text, or text numbers.
        """
        check_is_fitted(self)
        table = read_table(self, X, reset=False)
        chosen = np.flatnonzero(self.selected_)
        woe = np.empty((table.n_rows, len(chosen)), order="F")
        for k, j in enumerate(chosen.tolist()):
            self.bins_[j]["woe"].take(self._codes(table, j), None, woe[:, k], "clip")
        return woe

    def bin_numbers(self, X: Any, columns: ArrayLike | None = None) -> NDArray[np.intp]:
        """Return the number of the bin that each value is in.

        Ordinary bins are numbered from 0, then come those of special values, of missing values,
        and of unseen levels: the rows of `binning_table`, and the places of ``bins_[j]["woe"]``.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``, under the same names in the same order.
        columns : array-like of int or None, default=None
            Positions of the columns that are wanted; the others are not looked at, and 0.

        Returns
        -------
        ndarray of int, shape (n, f)

        Raises
        ------
        ValueError, TypeError
            As `transform`.
        """
        check_is_fitted(self)
        table = read_table(self, X, reset=False)
        numbers = np.zeros((table.n_rows, len(table)), dtype=np.intp, order="F")
        for j in range(len(table)) if columns is None else np.asarray(columns).tolist():
            numbers[:, j] = self._codes(table, j)
        return numbers

    def column_names(self) -> list[str]:
        """Return the names of the columns of ``fit``, x0, x1, ... where they had none.

        Returns
        -------
        list of str
        """
        return list(_check_feature_names_in(self))

    def _codes(self, table: Table, j: int) -> NDArray[np.intp]:
        """Return the bin of each row in a column."""
        name, column = table.names[j], self.bins_[j]
        values = table.read(j)
        codes = bin_codes(values, column, name)
        if self.unseen == "error" and column["kind"] == "categorical":
            unseen = np.flatnonzero(codes == len(column["woe"]) - 1)
            if unseen.size:
                raise ValueError(
                    f"Column {name!r} holds {unseen.size} value(s) that fit has not seen, such as "
                    f"{list(values)[unseen[0]]!r}; unseen='zero' or 'missing' scores them."
                )
        return codes

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            The encoder holds no other estimator, so this changes nothing.

        Returns
        -------
        dict
        """
        return super().get_params(deep) | {"classing": vars(self)["classing"]}

    def _fitted_classing(self) -> dict[str, dict[str, Any]]:
        """Write the fitted bins as a classing, ready for JSON."""
        check_is_fitted(self)
        written = {}
        for name, column in zip(self.column_names(), self.bins_, strict=True):
            by_hand = parse_column(self.classing_.get(name, {}), name)
            entry: dict[str, Any] = {}
            if column["kind"] == "numeric":
                entry["cuts"] = column["cuts"].tolist()
            else:
                groups: list[list[str]] = [[] for _ in range(column["n_bins"])]
                for level, k in column["levels"].items():
                    if k < column["n_bins"]:
                        groups[k].append(level)
                if by_hand.rest == "neutral" and self._has_rest(column, by_hand):
                    groups.pop()
                groups = [group for group in groups if group]
                entry = {"groups": groups, "rest": by_hand.rest} if groups else {}
            if column["special"]:
                n_own = len(column["special"]) - len(by_hand.special_policies)
                policies = ["own"] * n_own + by_hand.special_policies
                entry["special"] = [
                    {"codes": list(codes), "as": policy}
                    for codes, policy in zip(column["special"], policies, strict=True)
                ]
            written[name] = entry | {"missing": by_hand.missing or self.missing} | by_hand.remarks
        return written

    def summary(self) -> pd.DataFrame:
        """Say of every column what became of it.

        Returns
        -------
        DataFrame
            Indexed by ``feature``: ``bins`` (ordinary ones), ``information_value``,
            ``missing_share``, ``special_share``, and a ``finding``: empty, or why the column has
            one bin. Where small groups of it differ much in risk, but are under ``min_bin_size``,
            it says so.
        """
        check_is_fitted(self)
        rows = []
        for column, iv, finding in zip(
            self.bins_, self.information_value_.tolist(), self.findings_, strict=True
        ):
            n = column["goods"] + column["bads"]
            rows.append(
                {
                    "bins": column["n_bins"],
                    "information_value": iv,
                    "missing_share": n[-1] / n.sum(),
                    "special_share": n[column["n_bins"] : -1].sum() / n.sum(),
                    "finding": finding,
                }
            )
        return pd.DataFrame(rows, index=pd.Index(self.column_names(), name="feature"))

    def binning_table(
        self,
        feature: str | int,
        X: Any = None,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        period: ArrayLike | None = None,
    ) -> pd.DataFrame:
        """Lay out the bins of one column.

        Parameters
        ----------
        feature : str or int
            Name or position of the column.
        X, y : array-like or None, default=None
            Another sample and its target, whose customers are counted instead of those of the
            training. The WoE stays that of the training, and ``iv`` is what it tells of them.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of that sample.
        period : array-like of shape (n,) or None, default=None
            Periods of that sample, as in `fit`.

        Returns
        -------
        DataFrame of shape (bins + 1, 9)
            Columns bin, count, share, goods, bads, bad_rate, woe, iv and js (Jensen-Shannon
            divergence, in nats), with totals in the last row. Counts are sums of weights; a bin
            without rows has no bad rate (NaN). Where there are periods, ``reversals`` follows, in
            how many of them the bad rate of a bin and that of the one before it are the other way
            round, and ``bad_rate <period>`` of each.

        Raises
        ------
        ValueError
            If there is no such column; the message lists those there are.
        """
        check_is_fitted(self)
        j = self._position(feature)
        column = self.bins_[j]
        if X is None and y is None:
            table = binning_table(column)
            if not self.periods_:
                return table
            return table_over_time(table, column, self.periods_, self.over_time_[j])
        if X is None or y is None:
            raise ValueError("binning_table needs X and y of another sample, or neither")
        codes = self.bin_numbers(X, [j])[:, j]
        bad = check_target(y, len(codes))
        weight = check_weight(sample_weight, len(codes))
        table = binning_table(counted(column, codes, bad, weight))
        if period is None:
            return table
        names, in_period = check_period(period, len(codes))
        sizes = missing_bin(column) + 2, len(names)
        goods, bads = count_by_period(codes, bad, weight, in_period, *sizes)
        over_time: OverTime = {"goods": goods[:, :-1], "bads": bads[:, :-1], "cells": None}
        return table_over_time(table, column, names, over_time)

    def frontier(self, feature: str | int) -> pd.DataFrame:
        """Show what the order of a column's bins in every period costs in information value.

        Parameters
        ----------
        feature : str or int
            Name or position of the column.

        Returns
        -------
        DataFrame
            The bins that are best at some price of a reversal, from those of a price of 0 to those
            of infinity: the least ``stability`` at which they are, their ``reversals``,
            ``information_value`` (special and missing values included), number of ``bins``, and
            the ``cuts`` or ``groups`` of levels, as a ``classing`` takes them. They are the best of
            some ``max_prebins`` places and the cuts of `fit`, and where one has a price between
            those of two others but at none is the best, it is not shown.

        Raises
        ------
        ValueError
            If ``fit`` had no periods, there is no such column, or its bins were decided by hand.

        Examples
        --------
        >>> import numpy as np
        >>> from rfmrisk.woe import WOEEncoder
        >>> age = np.repeat([20, 30, 40, 50], 50)
        >>> year = np.tile([2024, 2025], 100)
        >>> risk = {20: (0.6, 0.6), 30: (0.4, 0.4), 40: (0.1, 0.3), 50: (0.2, 0.1)}
        >>> rank = np.tile(np.repeat(np.arange(25), 2), 4) / 25
        >>> y = [r < risk[a][t - 2024] for a, t, r in zip(age, year, rank)]
        >>> encoder = WOEEncoder().fit(age[:, None], y, period=year)
        >>> encoder.frontier("x0")[["stability", "reversals", "information_value"]].round(4)
           stability  reversals  information_value
        0     0.0000          1             0.6041
        1     0.0171          0             0.5870
        """
        check_is_fitted(self)
        if not self.periods_:
            raise ValueError("frontier compares periods; fit had none: fit(X, y, period=...)")
        j = self._position(feature)
        name, column = self.column_names()[j], self.bins_[j]
        cells = self.over_time_[j]["cells"]
        if cells is None:
            raise ValueError(f"the bins of {name!r} were decided by hand, in classing")
        rules = self._rules(float(column["goods"].sum()), float(column["bads"].sum()))
        rules = own_rules(rules, parse_column(self.classing_.get(name, {}), name))
        shape: Shape = self._shape(name) if column["kind"] == "numeric" else "ascending"
        return frontier(cells, column, shape, rules)

    def _position(self, feature: str | int) -> int:
        names = self.column_names()
        if feature in names:
            return names.index(feature)
        if isinstance(feature, Integral) and 0 <= feature < len(names):
            return int(feature)
        raise ValueError(f"There is no column {feature!r}; there are {', '.join(names)}.")

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Return the names of the columns in the output.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names for columns that had none; if given for a frame, they must be its own.

        Returns
        -------
        ndarray of str
            The input's names, without the columns under ``min_iv``.
        """
        check_is_fitted(self)
        return _check_feature_names_in(self, input_features)[self.selected_]

    def _check_parameters(self, names: list[str]) -> None:
        """Refuse parameters that are out of range or name columns that are not there."""

        def require(parameter: str, allowed: str, holds: bool) -> None:
            if not holds:
                got = getattr(self, parameter)
                raise ValueError(f"{parameter} must be {allowed}; got {got!r}.")

        for parameter, least in (("max_bins", 1), ("max_prebins", 2)):
            value = getattr(self, parameter)
            allowed = f"an integer of at least {least}"
            require(parameter, allowed, is_integer(value) and value >= least)
        for parameter in ("min_bin_size", "min_level_size"):
            value = getattr(self, parameter)
            require(
                parameter,
                "a share from 0 to below 1",
                isinstance(value, Real) and 0 <= float(value) < 1,
            )
        for parameter in ("min_bin_events", "min_iv", "smoothing"):
            value = getattr(self, parameter)
            require(
                parameter, "a number from 0", isinstance(value, Real) and 0 <= float(value) < np.inf
            )
        require("smoothing", "above 0", self.smoothing > 0)
        price = self.stability
        is_price = isinstance(price, Real) and not isinstance(price, bool) and float(price) >= 0
        require("stability", "a price in information value from 0, or infinity", is_price)
        require("unseen", "'zero', 'missing' or 'error'", self.unseen in _UNSEEN)
        shapes = self.monotonic
        by_name = list(shapes.values()) if isinstance(shapes, Mapping) else [shapes]
        allowed = f"one of {', '.join(map(repr, SHAPES))}, or a dict of such by column name"
        require("monotonic", allowed, all(shape in list(SHAPES) for shape in by_name))
        require("missing", f"one of {', '.join(POLICIES)}", self.missing in POLICIES)
        if self.cut_digits is not None:
            enough = is_integer(self.cut_digits) and self.cut_digits > 0
            require("cut_digits", "a number of digits from 1, or None", enough)
        for name in read_classing(vars(self)["classing"]):
            if name not in names:
                raise ValueError(
                    f"classing names {name!r}, which is none of the columns {', '.join(names)}"
                )
        for parameter in ("monotonic", "special_values"):
            value = getattr(self, parameter)
            if parameter != "monotonic":
                by_column = value is None or isinstance(value, Mapping)
                require(parameter, "a dict by column name, or None", by_column)
            for name in value if isinstance(value, Mapping) else ():
                known = f"a dict whose keys are among the columns {', '.join(names)}"
                require(parameter, known, name in names)
        for name, codes in (self.special_values or {}).items():
            _check_special(name, codes)
            if not len(codes):
                raise ValueError(f"special_values of {name!r} must be a list of codes; got none")

    def __sklearn_tags__(self) -> Any:
        """Describe the encoder to scikit-learn: mixed columns, NaN, and a binary target."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags


def _check_special(name: str, codes: Any, *, numeric: bool = False) -> None:
    """Refuse special values that are no list, empty, missing, or in two bins."""
    allowed = f"special_values of {name!r} must be a list of codes, or of lists of codes"
    if isinstance(codes, str | bytes | Mapping) or not isinstance(codes, Sequence | np.ndarray):
        raise ValueError(f"{allowed}; got {codes!r}")
    flat: list[Any] = []
    for entry in codes:
        group = list(entry) if isinstance(entry, list | tuple | np.ndarray) else [entry]
        if not group:
            raise ValueError(f"{allowed}; got an empty one in {codes!r}")
        flat += group
    for code in flat:
        if not isinstance(code, str | Real | np.bool_ | Decimal):
            raise ValueError(f"{allowed}, each text or a number; got {code!r}")
        if code != code:  # noqa: PLR0124 (only NaN differs from itself)
            raise ValueError(
                f"{allowed}; got NaN in {codes!r}, and missing values have a bin of their own"
            )
        if numeric and not is_number(code):
            raise ValueError(f"{allowed}, finite numbers as the column is numeric; got {code!r}")
    texts = [level_text(code) for code in flat]
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise ValueError(f"{allowed}, each in one bin; got {', '.join(twice)} twice in {codes!r}")
