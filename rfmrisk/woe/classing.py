"""Bins by hand: what an expert decides of each column, as plain data that a file can keep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rfmrisk.histories.integers import is_integer
from rfmrisk.woe.inputs import level_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLICIES = ("own", "worst", "neutral", "nearest")
RESTS = ("own", "one", "neutral")
REMARKS = ("note", "by", "date")
_KEYS = (
    "cuts",
    "groups",
    "rest",
    "missing",
    "special",
    "order",
    "max_bins",
    "min_rate_gap",
    *REMARKS,
)


@dataclass(frozen=True)
class ColumnClassing:
    """What is decided of one column.

    Attributes
    ----------
    cuts : list of float or None
        Ascending cut points of a numeric column; none at all is one bin. None leaves them to the
        search.
    groups : list of list of str or None
        The categories of each bin; None leaves them to the search.
    rest : {"own", "one", "neutral"}
        Categories in no group, or not in the order: bins of their own, one bin, or one bin with a
        WoE of 0.
    missing : str or None
        The policy for missing values: one of `POLICIES` or the name of a bin. None is the
        encoder's.
    special : list of list
        Codes that are no amounts; each entry shares a bin.
    special_policies : list of str
        The policy of each of these bins.
    order : list of str or None
        Categories in order, of which only neighbours share a bin.
    max_bins : int or None
        Instead of the encoder's.
    min_rate_gap : float
        Bins that the search found and whose bad rates differ by less are merged.
    remarks : dict of str to str
        ``note``, ``by`` and ``date``.
    """

    cuts: list[float] | None = None
    groups: list[list[str]] | None = None
    rest: str = "own"
    missing: str | None = None
    special: list[list[Any]] = field(default_factory=list)
    special_policies: list[str] = field(default_factory=list)
    order: list[str] | None = None
    max_bins: int | None = None
    min_rate_gap: float = 0.0
    remarks: dict[str, str] = field(default_factory=dict)


def read_classing(source: str | Path | Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Read a classing.

    Parameters
    ----------
    source : str, Path, mapping or None
        A JSON file, a YAML file (``.yaml`` or ``.yml``, where PyYAML is installed), or what it
        holds: by column a mapping with any of ``cuts``, ``groups``, ``rest``, ``missing``,
        ``special``, ``order``, ``max_bins``, ``min_rate_gap``, ``note``, ``by`` and ``date``; see
        `WOEEncoder`. None is empty.

    Returns
    -------
    dict of str to dict

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        There is no such file, it is YAML and PyYAML is missing, or an entry is not as it should
        be, which is named.

    Examples
    --------
    >>> from rfmrisk.woe import read_classing
    >>> read_classing({"age": {"cuts": [25, 40], "note": "as in the old card"}})
    {'age': {'cuts': [25, 40], 'note': 'as in the old card'}}
    """
    if source is None:
        return {}
    given: Any = source
    if isinstance(source, str | Path):
        path = Path(source)
        text = path.read_text(encoding="utf-8")
        given = _from_yaml(path, text) if path.suffix in (".yaml", ".yml") else _json(path, text)
    if not isinstance(given, Mapping):
        raise ValueError(f"classing must be a mapping by column name; got {given!r}")
    classing = {}
    for name, entry in given.items():
        parse_column(entry, str(name))
        classing[str(name)] = dict(entry)
    return classing


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the classing {str(path)!r} is no JSON: {error}") from None


def _from_yaml(path: Path, text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise ImportError(
            f"{str(path)!r} is YAML, for which PyYAML must be installed; JSON needs nothing"
        ) from error
    try:
        # Dates are text, as they are in JSON.
        return yaml.load(text, Loader=_plain_loader(yaml))  # noqa: S506 (it is the safe one)
    except yaml.YAMLError as error:
        raise ValueError(f"the classing {str(path)!r} is no YAML: {error}") from None


def _plain_loader(yaml: Any) -> Any:
    """Return PyYAML's safe loader, but with dates as text."""
    resolvers = {
        first: [(tag, pattern) for tag, pattern in known if "timestamp" not in tag]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})


def parse_column(entry: Any, name: str) -> ColumnClassing:
    """Check the entry of one column.

    Raises
    ------
    ValueError
        Names the column, the key and what is allowed.
    """
    at = f"classing of {name!r}"
    if not isinstance(entry, Mapping):
        raise ValueError(f"{at} must be a mapping; got {entry!r}")
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise ValueError(f"{at} may have {', '.join(_KEYS)}; got {unknown[0]!r}")
    special, policies = _special(entry.get("special"), at)
    max_bins, gap = entry.get("max_bins"), entry.get("min_rate_gap", 0.0)
    if max_bins is not None and (not is_integer(max_bins) or max_bins < 1):
        raise ValueError(f"{at}: max_bins must be an integer of at least 1; got {max_bins!r}")
    if not isinstance(gap, Real) or isinstance(gap, bool) or not 0 <= float(gap) < 1:
        raise ValueError(f"{at}: min_rate_gap must be a rate from 0 to below 1; got {gap!r}")
    rest, missing = entry.get("rest", "own"), entry.get("missing")
    if rest not in RESTS:
        raise ValueError(f"{at}: rest must be one of {', '.join(RESTS)}; got {rest!r}")
    if missing is not None and not isinstance(missing, str):
        raise ValueError(
            f"{at}: missing must be one of {', '.join(POLICIES)}, or a bin by name; got {missing!r}"
        )
    if entry.get("cuts") is not None and not {"groups", "order"}.isdisjoint(
        key for key in entry if entry[key] is not None
    ):
        raise ValueError(f"{at} has cuts, of numbers, and groups or order, of categories")
    remarks = {key: str(entry[key]) for key in REMARKS if entry.get(key) is not None}
    return ColumnClassing(
        cuts=_cuts(entry.get("cuts"), at),
        groups=_groups(entry.get("groups"), at),
        rest=rest,
        missing=missing,
        special=special,
        special_policies=policies,
        order=_texts(entry["order"], f"{at}: order") if entry.get("order") is not None else None,
        max_bins=max_bins,
        min_rate_gap=float(gap),
        remarks=remarks,
    )


def _cuts(cuts: Any, at: str) -> list[float] | None:
    if cuts is None:
        return None
    points = cuts.tolist() if isinstance(cuts, np.ndarray) else cuts
    listed = isinstance(points, list | tuple) and all(map(is_number, points))
    if not listed or (np.diff(np.array(points, dtype=np.float64)) <= 0).any():
        raise ValueError(f"{at}: cuts must be finite and ascending; got {cuts!r}")
    return [float(point) for point in points]


def _groups(groups: Any, at: str) -> list[list[str]] | None:
    if groups is None:
        return None
    found = list(groups.values()) if isinstance(groups, Mapping) else groups
    if isinstance(found, str) or not isinstance(found, Sequence) or not found:
        raise ValueError(f"{at}: groups must be a list of lists of categories; got {groups!r}")
    texts = [_texts(group, f"{at}: each of groups") for group in found]
    every = [text for group in texts for text in group]
    twice = sorted({text for text in every if every.count(text) > 1})
    if twice:
        raise ValueError(f"{at}: groups must have each category once; got {twice[0]!r} twice")
    return texts


def _texts(values: Any, at: str) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or not len(values):
        raise ValueError(f"{at} must be a list of categories; got {values!r}")
    return [level_text(value) for value in values]


def _special(special: Any, at: str) -> tuple[list[list[Any]], list[str]]:
    if special is None:
        return [], []
    if isinstance(special, Mapping):
        special = [{"codes": [code], "as": policy} for code, policy in special.items()]
    if isinstance(special, str) or not isinstance(special, Sequence):
        raise ValueError(
            f"{at}: special must be a list of codes, or a mapping of codes to policies; got "
            f"{special!r}"
        )
    groups, policies = [], []
    for entry in special:
        codes, policy = entry, "own"
        if isinstance(entry, Mapping):
            if set(entry) - {"codes", "as"} or "codes" not in entry:
                raise ValueError(f"{at}: an entry of special has codes and as; got {entry!r}")
            codes, policy = entry["codes"], entry.get("as", "own")
        codes = list(codes) if isinstance(codes, list | tuple) else [codes]
        if not codes or not all(isinstance(code, str | Real) for code in codes):
            raise ValueError(f"{at}: codes of special must be text or numbers; got {codes!r}")
        if not isinstance(policy, str):
            raise ValueError(
                f"{at}: a special code is {', '.join(POLICIES)}, or a bin by name; got {policy!r}"
            )
        groups.append(codes)
        policies.append(policy)
    return groups, policies


def numbers_of(special: list[list[Any]], name: str) -> list[list[Any]]:
    """Return the codes of a numeric column as numbers; the keys of JSON are text."""
    try:
        return [[float(c) if isinstance(c, str) else c for c in codes] for codes in special]
    except ValueError:
        raise ValueError(
            f"classing of {name!r}: special codes of a numeric column are numbers; got {special!r}"
        ) from None


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, and no boolean."""
    number = isinstance(value, Real | Decimal) and not isinstance(value, bool | np.bool_)
    return number and bool(np.isfinite(float(value)))


def rounded_cuts(cuts: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    """Round cuts to so many significant digits, or to more where two would be one.

    Examples
    --------
    >>> rounded_cuts(np.array([1234.5, 1260.0, 98765.0]), 2)
    array([ 1200.,  1300., 99000.])
    """
    found = cuts.copy()
    for k, cut in enumerate(cuts.tolist()):
        least = found[k - 1] if k else -np.inf
        most = cuts[k + 1] if k + 1 < len(cuts) else np.inf
        for more in range(digits, 18):
            number = float(f"{cut:.{more - 1}e}")
            if least < number < most:
                found[k] = number
                break
    return found


def far_apart(bads: NDArray[np.float64], size: NDArray[np.float64], gap: float) -> list[int]:
    """Merge neighbouring bins until their bad rates differ by a gap at least.

    Returns
    -------
    list of int
        Which merged bin each bin is in.
    """
    into = list(range(len(size)))
    while True:
        of = np.array(into)
        n_bins = int(of[-1]) + 1
        n = np.bincount(of, size, minlength=n_bins)
        rates = np.divide(
            np.bincount(of, bads, minlength=n_bins), n, out=np.zeros(n_bins), where=n > 0
        )
        gaps = np.abs(np.diff(rates))
        if not len(gaps) or gaps.min() >= gap:
            return into
        at = int(gaps.argmin())
        into = [k - (k > at) for k in into]
