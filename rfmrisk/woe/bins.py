"""The bins of one column: fitted from arrays, looked up, named, and laid out as a table.

Bins are numbered ordinary bins first, then special values, then missing, then, for levels that
``fit`` has not seen, unseen. That number indexes the WoE, and the points of a scorecard.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import pandas as pd
from scipy.special import rel_entr

from rfmrisk.woe.binning import count_cuts, cut_numbers, group_levels, weight_of_evidence
from rfmrisk.woe.categories import are_truth_values, find_bins
from rfmrisk.woe.inputs import as_levels, as_numbers, column_kind, level_text
from rfmrisk.woe.target import mean_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from rfmrisk.woe.program import Rules, Shape


MISSING, UNSEEN, TOTAL = "missing", "unseen", "total"


class ColumnBins(TypedDict):
    """The fitted bins of one column: b ordinary bins, s of special values, missing, unseen.

    Only numbers, text, lists, dictionaries and arrays, so that a saved model needs no own type.
    """

    kind: str  # "numeric" or "categorical"
    cuts: NDArray[np.float64]  # (b - 1,), ascending; a bin starts at its cut
    levels: dict[str, int]  # the bin of each level, special ones included
    n_bins: int  # b
    special: list[list[Any]]  # the codes of each special bin
    goods: NDArray[np.float64]  # (b + s + 1,), weights in the training sample
    bads: NDArray[np.float64]  # (b + s + 1,)
    woe: NDArray[np.float64]  # (b + s + 2,)
    iv: NDArray[np.float64]  # (b + s + 1,)


def fit_numbers(
    x: NDArray[np.float64],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    shape: Shape,
    rules: Rules,
    *,
    special: Sequence[Any] = (),
    cuts: ArrayLike | None = None,
) -> ColumnBins:
    """Bin a numeric column, or count its rows over given cuts.

    Parameters
    ----------
    x : ndarray of shape (n,)
        NaN is missing.
    bad : ndarray of bool, shape (n,)
        True is bad.
    weight : ndarray of shape (n,) or None
        A row of weight 0 counts for nothing.
    shape : str or None
        The shape of the bad rates.
    rules : Rules
        The constraints.
    special : sequence of float or of sequences of float, default=()
        Codes that are no amounts, each entry with a bin of its own.
    cuts : sequence of float or None, default=None
        Ascending cut points to use as they are.

    Returns
    -------
    ColumnBins
        Without WoE yet; see `evaluate`.
    """
    groups = _groups(special, float)
    if cuts is None:
        ordinary = ~np.isnan(x)
        for codes in groups:
            ordinary &= ~np.isin(x, codes)
        if weight is not None:
            ordinary &= weight > 0
        if not ordinary.all():
            x, bad = x[ordinary], bad[ordinary]
            weight = None if weight is None else weight[ordinary]
        cuts = cut_numbers(x, bad, weight, shape, rules)
    return _column("numeric", cuts=np.asarray(cuts, dtype=np.float64), special=groups)


def fit_levels(
    codes: NDArray[np.intp],
    levels: list[str],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    rules: Rules,
    *,
    min_level_size: float,
    special: Sequence[Any] = (),
) -> ColumnBins:
    """Group the levels of a categorical column; ``codes`` index ``levels``, -1 is missing."""
    groups = _groups(special, level_text)
    own = {text: k for k, group in enumerate(groups) for text in group}
    ordinary = np.array([level not in own for level in levels] + [False])[codes]
    if weight is not None:
        ordinary &= weight > 0
    found, codes = np.unique(codes[ordinary], return_inverse=True)
    bins = group_levels(
        codes,
        len(found),
        bad[ordinary],
        None if weight is None else weight[ordinary],
        rules,
        min_level_size=min_level_size,
    )
    n_bins = int(bins.max(initial=0)) + 1
    places = {levels[k]: int(b) for k, b in zip(found, bins, strict=True)}
    places |= {text: n_bins + k for text, k in own.items()}
    return _column("categorical", levels=places, n_bins=n_bins, special=groups)


def _groups(special: Sequence[Any], read: Any) -> list[list[Any]]:
    entries = [e if isinstance(e, list | tuple | np.ndarray) else [e] for e in special]
    return [[read(code) for code in entry] for entry in entries]


def _column(
    kind: str,
    *,
    special: list[list[Any]],
    cuts: NDArray[np.float64] | None = None,
    levels: dict[str, int] | None = None,
    n_bins: int | None = None,
) -> ColumnBins:
    cuts = np.empty(0) if cuts is None else cuts
    empty = np.empty(0)
    return {
        "kind": kind,
        "cuts": cuts,
        "levels": levels or {},
        "n_bins": len(cuts) + 1 if n_bins is None else n_bins,
        "special": special,
        "goods": empty,
        "bads": empty,
        "woe": empty,
        "iv": empty,
    }


def evaluate(
    column: ColumnBins,
    codes: NDArray[np.intp],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    *,
    smoothing: float,
    unseen: str,
) -> None:
    """Count the goods and bads of each bin, given the bin of each row, and fill in the WoE."""
    n_counted = column["n_bins"] + len(column["special"]) + 1
    cells = np.bincount(codes * 2 + bad, weights=weight, minlength=2 * n_counted)
    goods, bads = cells[: 2 * n_counted].reshape(-1, 2).T.astype(np.float64)
    woe, iv = weight_of_evidence(goods, bads, smoothing * mean_weight(weight))
    column["goods"], column["bads"], column["iv"] = goods, bads, iv
    column["woe"] = np.append(woe, woe[-1] if unseen == "missing" else 0.0)


def codes_of_numbers(x: NDArray[np.float64], column: ColumnBins) -> NDArray[np.intp]:
    """Return the bin of each number."""
    codes = count_cuts(x, column["cuts"])
    for k, group in enumerate(column["special"]):
        codes[np.isin(x, group)] = column["n_bins"] + k
    np.copyto(codes, missing_bin(column), where=np.isnan(x))
    return codes


def codes_of_levels(
    codes: NDArray[np.intp], levels: list[str], column: ColumnBins
) -> NDArray[np.intp]:
    """Return the bin of each level, given codes into a list of levels with -1 for missing."""
    missing = missing_bin(column)
    bins = find_bins(levels, column["levels"], missing + 1)
    return np.array([*bins, missing], dtype=np.intp)[codes]


def bin_codes(values: Any, column: ColumnBins, name: str) -> NDArray[np.intp]:
    """Return the bin of each value of a column of a table.

    Raises
    ------
    TypeError
        If the column was fitted as text and now holds numbers, or the other way round.
    """
    if column["kind"] == "numeric":
        return codes_of_numbers(as_numbers(values, name), column)
    codes, levels = as_levels(values, name)
    numbers = levels and column["levels"] and column_kind(values, name) == "numeric"
    known = column["levels"]
    if numbers and not (any(map(_is_number, known)) or are_truth_values(known)):
        raise TypeError(
            f"Column {name!r} was fitted as text and now holds numbers, such as {levels[0]}."
        )
    return codes_of_levels(codes, levels, column)


def _is_number(level: str) -> bool:
    try:
        float(level)
    except ValueError:
        return False
    return True


def missing_bin(column: ColumnBins) -> int:
    """Return the number of the bin of missing values; that of unseen levels follows."""
    return column["n_bins"] + len(column["special"])


def bin_labels(column: ColumnBins) -> list[str]:
    """Name the bins, in the order of their numbers; unseen only for levels."""
    if column["kind"] == "numeric":
        labels = interval_labels(column["cuts"])
    else:
        members: list[list[str]] = [[] for _ in range(missing_bin(column))]
        for level, k in column["levels"].items():
            members[k].append(level)
        labels = [_level_label(sorted(group)) for group in members[: column["n_bins"]]]
    labels += [_level_label([level_text(code) for code in group]) for group in column["special"]]
    return [*labels, MISSING] + ([UNSEEN] if column["kind"] == "categorical" else [])


def interval_labels(cuts: NDArray[np.float64]) -> list[str]:
    """Name the intervals between ascending cuts: ``[low, high)``, or ``[v, v]`` of one value.

    What begins right above a value v is named ``(v, high)``.
    """
    ends = [-np.inf, *cuts.tolist(), np.inf]
    labels = []
    start = "(-inf"
    for low, high in pairwise(ends):
        alone = high == np.nextafter(low, np.inf) and high < np.inf
        labels.append(f"{start}, {level_text(low)}]" if alone else f"{start}, {level_text(high)})")
        start = f"({level_text(low)}" if alone else f"[{level_text(high)}"
    return labels


def quoted_label(level: str) -> str:
    """Return a level as the name of a bin: in quotes where it could be read as something else."""
    plain = level == level.strip() != "" and ", " not in level and level[0] != '"'
    if plain and level not in (MISSING, UNSEEN, TOTAL):
        return level
    return json.dumps(level, ensure_ascii=False)


def _level_label(levels: list[str], shown: int = 8) -> str:
    more = f" and {len(levels) - shown:,} more" if len(levels) > shown else ""
    return ", ".join(map(quoted_label, levels[:shown])) + more


def binning_table(column: ColumnBins) -> pd.DataFrame:
    """Lay out the bins of a column, with totals in the last row."""
    labels = bin_labels(column)
    goods, bads, iv, woe = (
        np.append(values, np.zeros(len(labels) - len(values)))
        for values in (column["goods"], column["bads"], column["iv"], column["woe"][: len(labels)])
    )
    count = goods + bads
    p, q = goods / goods.sum(), bads / bads.sum()
    middle = (p + q) / 2
    js = (rel_entr(p, middle) + rel_entr(q, middle)) / 2

    def rate(bads: NDArray, count: NDArray) -> NDArray:
        return np.divide(bads, count, out=np.full(len(count), np.nan), where=count > 0)

    table = pd.DataFrame(
        {
            "bin": labels,
            "count": count,
            "share": count / count.sum(),
            "goods": goods,
            "bads": bads,
            "bad_rate": rate(bads, count),
            "woe": woe,
            "iv": iv,
            "js": js,
        }
    )
    total = {
        "bin": TOTAL,
        "count": count.sum(),
        "share": 1.0,
        "goods": goods.sum(),
        "bads": bads.sum(),
        "bad_rate": bads.sum() / count.sum(),
        "woe": 0.0,
        "iv": iv.sum(),
        "js": js.sum(),
    }
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)
