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

from rfmrisk.woe.binary_target import mean_weight
from rfmrisk.woe.binning import count_cuts, cut_numbers, group_levels, weight_of_evidence
from rfmrisk.woe.categories import are_truth_values, find_bins
from rfmrisk.woe.classing import POLICIES, ColumnClassing, far_apart, rounded_cuts
from rfmrisk.woe.inputs import as_levels, as_numbers, column_kind, level_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from rfmrisk.woe.program import Rules, Shape


MISSING, UNSEEN, TOTAL = "missing", "unseen", "total"
_SEARCHED = ColumnClassing()


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
    classing: ColumnClassing = _SEARCHED,
    cut_digits: int | None = None,
    period: NDArray[np.intp] | None = None,
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
    classing : ColumnClassing
        Its cuts are used as they are; without them, its ``max_bins`` and ``min_rate_gap`` are.
    cut_digits : int or None, default=None
        To how many significant digits cuts that were searched are rounded.
    period : ndarray of int, shape (n,), or None, default=None
        The period of each row, for ``rules.price``.

    Returns
    -------
    ColumnBins
        Without WoE yet; see `evaluate`.
    """
    groups = _groups(special, float)
    cuts = None if classing.cuts is None else np.array(classing.cuts)
    if cuts is None:
        ordinary = ~np.isnan(x)
        for codes in groups:
            ordinary &= ~np.isin(x, codes)
        if weight is not None:
            ordinary &= weight > 0
        if not ordinary.all():
            x, bad = x[ordinary], bad[ordinary]
            weight = None if weight is None else weight[ordinary]
            period = None if period is None else period[ordinary]
        rules = own_rules(rules, classing)
        cuts = cut_numbers(x, bad, weight, shape, rules, period)
        if cut_digits is not None:
            cuts = rounded_cuts(cuts, cut_digits)
        if classing.min_rate_gap and len(cuts):
            into = _far_apart(count_cuts(x, cuts), bad, weight, len(cuts) + 1, classing)
            cuts = cuts[np.diff(into) > 0]
    return _column("numeric", cuts=cuts, special=groups)


def fit_levels(
    codes: NDArray[np.intp],
    levels: list[str],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    rules: Rules,
    *,
    min_level_size: float,
    special: Sequence[Any] = (),
    classing: ColumnClassing = _SEARCHED,
    period: NDArray[np.intp] | None = None,
) -> ColumnBins:
    """Group the levels of a categorical column; ``codes`` index ``levels``, -1 is missing.

    Groups of the classing are used as they are, and of an order only neighbours are grouped. The
    levels that are in neither have bins of their own, or one bin, the last.
    """
    groups = _groups(special, level_text)
    placed: dict[str, int] = {}
    rules = own_rules(rules, classing)
    if classing.groups is not None:
        placed = {text: k for k, group in enumerate(classing.groups) for text in group}
    elif classing.order is not None:
        x = np.array([*map({t: float(k) for k, t in enumerate(classing.order)}.get, levels), None])
        x = x.astype(np.float64)[codes]
        counts = ~np.isnan(x) if weight is None else ~np.isnan(x) & (weight > 0)
        own_weight = None if weight is None else weight[counts]
        own_period = None if period is None else period[counts]
        cuts = cut_numbers(x[counts], bad[counts], own_weight, "auto", rules, own_period)
        bins = count_cuts(np.arange(len(classing.order), dtype=np.float64), cuts)
        placed = dict(zip(classing.order, bins.tolist(), strict=True))
    if placed:
        return _with_rest(
            placed,
            codes,
            levels,
            bad,
            weight,
            rules,
            min_level_size=min_level_size,
            special=groups,
            classing=classing,
            period=period,
        )
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
        period=None if period is None else period[ordinary],
    )
    if classing.min_rate_gap and len(bins):
        own_weight = None if weight is None else weight[ordinary]
        n_found = int(bins.max()) + 1
        bins = _far_apart(bins[codes], bad[ordinary], own_weight, n_found, classing)[bins]
    n_bins = int(bins.max(initial=0)) + 1
    places = {levels[k]: int(b) for k, b in zip(found, bins, strict=True)}
    places |= {text: n_bins + k for text, k in own.items()}
    return _column("categorical", levels=places, n_bins=n_bins, special=groups)


def _with_rest(  # noqa: PLR0917 (the levels, the rows, and what is decided of them)
    placed: dict[str, int],
    codes: NDArray[np.intp],
    levels: list[str],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    rules: Rules,
    *,
    min_level_size: float,
    special: list[list[Any]],
    classing: ColumnClassing,
    period: NDArray[np.intp] | None,
) -> ColumnBins:
    """Bin the levels that are placed by hand, and those that are not."""
    n_bins = max(placed.values()) + 1
    coded = {code for group in special for code in group}
    # A level may be written in another way than in the classing.
    known = dict(zip(levels, find_bins(levels, placed, -1), strict=True))
    rest = [level for level in levels if known[level] < 0 and level not in coded]
    found = {level: k for level, k in known.items() if k >= 0 and level not in coded}
    places = {level: k for level, k in placed.items() if level not in coded} | found
    if rest and classing.rest == "own":
        mask = np.array([level in rest for level in levels] + [False])[codes]
        inside = fit_levels(
            np.where(mask, codes, -1),
            levels,
            bad,
            weight,
            rules,
            min_level_size=min_level_size,
            period=period,
        )
        places |= {level: n_bins + k for level, k in inside["levels"].items()}
        n_bins += inside["n_bins"] if inside["levels"] else 0
    elif rest:
        places |= dict.fromkeys(rest, n_bins)
        n_bins += 1
    places |= {code: n_bins + k for k, group in enumerate(special) for code in group}
    return _column("categorical", levels=places, n_bins=n_bins, special=special)


def own_rules(rules: Rules, classing: ColumnClassing) -> Rules:
    """Return the rules of a column whose classing has a number of bins of its own."""
    return rules if classing.max_bins is None else rules._replace(max_bins=classing.max_bins)


def _far_apart(
    bins: NDArray[np.intp],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    n_bins: int,
    classing: ColumnClassing,
) -> NDArray[np.intp]:
    """Return which merged bin each bin is in, given the bin of each row."""
    size = np.ones(len(bad)) if weight is None else weight
    counts = (np.bincount(bins, each, minlength=n_bins) for each in (size * bad, size))
    bads, n = (each.astype(np.float64) for each in counts)
    merged = far_apart(bads, n, classing.min_rate_gap)
    return np.array(merged, dtype=np.intp)


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
    policies: Mapping[int, str] | None = None,
    neutral: int | None = None,
) -> None:
    """Count the goods and bads of each bin, given the bin of each row, and fill in the WoE.

    Parameters
    ----------
    column : ColumnBins
        Gets goods, bads, woe and iv.
    codes : ndarray of int, shape (n,)
        The bin of each row.
    bad : ndarray of bool, shape (n,)
    weight : ndarray of shape (n,) or None
    smoothing : float
        In units of the mean weight.
    unseen : str
        As `WOEEncoder` has it.
    policies : mapping of int to str or None, default=None
        What the WoE of a special or the missing bin is made of; "own" where it is not given.
    neutral : int or None, default=None
        An ordinary bin whose WoE is 0.
    """
    n_counted = column["n_bins"] + len(column["special"]) + 1
    cells = np.bincount(codes * 2 + bad, weights=weight, minlength=2 * n_counted)
    goods, bads = cells[: 2 * n_counted].reshape(-1, 2).T.astype(np.float64)
    least = smoothing * mean_weight(weight)
    woe, iv = weight_of_evidence(goods, bads, least)
    if policies or neutral is not None:
        woe = _by_policy(column, goods, bads, woe, least, dict(policies or {}), neutral)
        iv = (goods / goods.sum() - bads / bads.sum()) * woe
    column["goods"], column["bads"], column["iv"] = goods, bads, iv
    column["woe"] = np.append(woe, woe[-1] if unseen == "missing" else 0.0)


def _by_policy(  # noqa: PLR0917 (what was counted, and what is decided of it)
    column: ColumnBins,
    goods: NDArray[np.float64],
    bads: NDArray[np.float64],
    woe: NDArray[np.float64],
    smoothing: float,
    policies: dict[int, str],
    neutral: int | None,
) -> NDArray[np.float64]:
    """Return the WoE of each bin where some share that of another, or have a set one."""
    woe, n = woe.copy(), goods + bads
    trained = np.flatnonzero(n[: column["n_bins"]] > 0)
    labels = bin_labels(column)[: column["n_bins"]]
    into = np.arange(len(n))
    for k, policy in policies.items():
        if policy == "nearest" and n[k] and len(trained):
            rates = bads[trained] / n[trained]
            into[k] = trained[np.abs(rates - bads[k] / n[k]).argmin()]
        elif policy in labels:
            into[k] = labels.index(policy)
        elif policy not in POLICIES:
            raise ValueError(
                f"{policy!r} is no bin; a policy is one of {', '.join(POLICIES)}, or one of the "
                f"bins {', '.join(map(repr, labels))}"
            )
    joint = np.bincount(into, goods, len(n)), np.bincount(into, bads, len(n))
    together, _ = weight_of_evidence(*joint, smoothing)
    shared = np.isin(into, into[into != np.arange(len(n))])
    woe[shared] = together[into[shared]]
    if neutral is not None:
        woe[neutral] = 0.0
    for k, policy in policies.items():
        if policy == "worst" and len(trained):
            woe[k] = woe[trained].min()
        elif policy == "neutral" or (policy == "nearest" and not n[k]):
            woe[k] = 0.0
    return woe


def counted(
    column: ColumnBins,
    codes: NDArray[np.intp],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
) -> ColumnBins:
    """Return the bins with the goods and bads of another sample, and their own WoE."""
    n_counted = missing_bin(column) + 1
    cells = np.bincount(codes * 2 + bad, weights=weight, minlength=2 * (n_counted + 1))
    goods, bads = cells[: 2 * n_counted].reshape(-1, 2).T.astype(np.float64)
    shares = goods / max(goods.sum(), 1e-300) - bads / max(bads.sum(), 1e-300)
    other = column.copy()
    other["goods"], other["bads"], other["iv"] = goods, bads, shares * column["woe"][:n_counted]
    return other


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
