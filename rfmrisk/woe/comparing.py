"""Compare two classings on the training and on another sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from rfmrisk.woe.classing import read_classing
from rfmrisk.woe.encoder import WOEEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike

__all__ = ["ClassingComparison", "compare_classing"]


@dataclass(frozen=True)
class ClassingComparison:
    """What `compare_classing` found.

    Parameters
    ----------
    summary : DataFrame
        One row per ``feature`` that either classing names: the information value ``iv_before``
        and ``iv_after``, ``iv_optimum`` of the search alone, ``price``, what the second is below
        the optimum; ``iv_before_test`` and ``iv_after_test`` on the other sample, where there is
        one; the ``note``, ``by`` and ``date`` of the second.
    bins : DataFrame
        One row per ``feature``, ``version`` (before or after), ``sample`` (training or test) and
        ``bin``: ``count``, ``bad_rate``, ``woe`` and ``points``.
    """

    summary: pd.DataFrame
    bins: pd.DataFrame


def compare_classing(  # noqa: PLR0917 (two classings on two samples)
    before: Mapping[str, Any] | str | Path | None,
    after: Mapping[str, Any] | str | Path | None,
    X: Any,
    y: ArrayLike,
    X_test: Any = None,
    y_test: ArrayLike | None = None,
    *,
    encoder: WOEEncoder | None = None,
    pdo: float = 20,
) -> ClassingComparison:
    """Lay out what a change of the bins costs and gains.

    Parameters
    ----------
    before, after : mapping, str, Path or None
        Two classings as `WOEEncoder` takes them; None leaves all to the search.
    X : frame of shape (n, f)
        The training sample.
    y : array-like of shape (n,)
        0 is good, 1 is bad.
    X_test, y_test : frame and array-like, or None, default=None
        Another sample.
    encoder : WOEEncoder or None, default=None
        The parameters of the search; None is ``WOEEncoder()``. Its own classing is not looked at.
    pdo : float, default=20
        Points that double the odds: those of a bin are pdo / ln 2 * WoE, as in a card where each
        WoE counts once.

    Returns
    -------
    ClassingComparison

    Raises
    ------
    ValueError
        If a classing is not as it should be, or one of ``X_test`` and ``y_test`` is given alone.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk.woe import compare_classing
    >>> X = pd.DataFrame({"recency": range(100)})
    >>> y = [int(r % 10 < 1 + r // 20) for r in range(100)]
    >>> found = compare_classing(None, {"recency": {"cuts": [50], "by": "RT"}}, X, y)
    >>> found.summary[["iv_before", "iv_after", "price"]].round(3).to_dict("index")
    {'recency': {'iv_before': 0.512, 'iv_after': 0.341, 'price': 0.171}}
    """
    if (X_test is None) != (y_test is None):
        raise ValueError("X_test and y_test must be given together")
    base = WOEEncoder() if encoder is None else encoder
    optimum = clone(base).set_params(classing=None).fit(X, y)
    given = {"before": read_classing(before), "after": read_classing(after)}
    fitted = {
        version: clone(base).set_params(classing=classing).fit(X, y) if classing else optimum
        for version, classing in given.items()
    }
    columns = optimum.column_names()
    names = [name for name in columns if name in given["before"] or name in given["after"]]
    samples = {"training": None, "test": (X_test, y_test)}
    if X_test is None:
        del samples["test"]
    rows, tables = [], []
    for name in names:
        row: dict[str, Any] = {"feature": name}
        for version, own in fitted.items():
            for sample, data in samples.items():
                table = own.binning_table(name, *(data or (None, None)))
                row[f"iv_{version}" + ("_test" if data else "")] = table["iv"].iloc[-1]
                shown = table.iloc[:-1][["bin", "count", "bad_rate", "woe"]]
                tables.append(
                    shown.assign(
                        feature=name,
                        version=version,
                        sample=sample,
                        points=shown["woe"] * pdo / np.log(2),
                    )
                )
        row["iv_optimum"] = optimum.binning_table(name)["iv"].iloc[-1]
        row["price"] = row["iv_optimum"] - row["iv_after"]
        entry = given["after"].get(name, {})
        rows.append(row | {key: str(entry.get(key, "")) for key in ("note", "by", "date")})
    keys = ["feature", "version", "sample", "bin"]
    bins = pd.concat(tables) if tables else pd.DataFrame(columns=keys)
    summary = pd.DataFrame(rows) if rows else pd.DataFrame(columns=["feature"])
    return ClassingComparison(summary.set_index("feature"), bins.set_index(keys))
