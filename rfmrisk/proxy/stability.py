"""How stable a label is: the share of customers whose label flips when little changes."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import _safe_indexing, check_random_state

from rfmrisk._showing import progress
from rfmrisk.aggregation import RFMAggregator
from rfmrisk.histories.flat import FlatHistories, flatten
from rfmrisk.histories.nesting import rewind_rows
from rfmrisk.histories.parameters import at_least, check_parameters
from rfmrisk.histories.segments import Ints, first_at_or_after
from rfmrisk.proxy.rule import LabelRule, label_rule

SHIFTS = ("1D", "7D", "14D")
LOST = 0.05
TOP = 0.005
ACCEPTED = 0.01  # mean flips up to which a perturbation counts as harmless

BOOTSTRAP = "bootstrap of customers"
SEEDS = "other seeds"
SPENDERS = f"top {TOP:.1%} spenders removed"
SHUFFLED = "rows shuffled"
CURRENCY = "amounts times 1000"
OUTAGE = f"last {LOST:.0%} of the log lost"
# What a sound label withstands; a later or shorter view of the customers may change it rightly.
NUISANCES = (BOOTSTRAP, SEEDS, SPENDERS, SHUFFLED, CURRENCY)


@dataclass(frozen=True, repr=False)
class LabelStability:
    """What `label_stability` found.

    Attributes
    ----------
    table : DataFrame
        One row per perturbation: ``refits``, and how many more ``failed`` because too little was
        left to separate customers; ``flips_mean`` and ``flips_max``, the share of
        customers whose label differs from that of the undisturbed fit; ``flagged_min`` and
        ``flagged_max``, the range of the flagged share; ``ari_mean``, the mean adjusted Rand
        index of the clusters (1 is the same). Missing where the log is too short.
    flagged_share : float
        Share of the customers flagged by the undisturbed fit.
    n_customers : int
    rule : LabelRule or None
        The one threshold of one column that gives the labels, where there is one: the clusters
        then decide nothing, and that they are stable says nothing.
    """

    table: pd.DataFrame
    flagged_share: float
    n_customers: int
    rule: LabelRule | None = None

    @property
    def is_stable(self) -> bool:
        """Whether the label withstands what must not matter."""
        nuisances = self.table.reindex(list(NUISANCES))
        return not nuisances["failed"].sum() and not (nuisances["flips_mean"] > ACCEPTED).any()

    @property
    def verdict(self) -> str:
        """Whether the label withstands what must not matter, as text."""
        flips = self.table["flips_mean"].reindex(list(NUISANCES)).dropna()
        n_failed = int(self.table["failed"].reindex(list(NUISANCES)).sum())
        if n_failed:
            return f"unstable: {n_failed} refits found too few different customers"
        if self.is_stable and self.rule:
            return f"stable, as every flag of this kind is: {self.rule.text}"
        if self.is_stable:
            return (
                f"stable: at most {flips.max():.2%} of the labels flip on average under "
                "a bootstrap, other seeds, another currency, another order, or without the "
                "top spenders"
            )
        unstable = flips[flips > ACCEPTED]
        worst = ", ".join(f"{name}: {share:.1%}" for name, share in unstable.items())
        return f"unstable: more than {ACCEPTED:.0%} of the labels flip on average ({worst})"

    def __repr__(self) -> str:
        shares = ["flips_mean", "flips_max", "flagged_min", "flagged_max"]
        shown = self.table.assign(
            **{name: self.table[name].map("{:.2%}".format) for name in shares},
            ari_mean=self.table["ari_mean"].map("{:.3f}".format),
        )
        return (
            f"Label stability of {self.n_customers:,} customers, {self.flagged_share:.1%} of them "
            f"flagged\n{shown.replace({'nan%': '', 'nan': ''}).to_string()}\n{self.verdict}"
        )


def label_stability(
    labeler: Any,
    histories: pd.DataFrame,
    n_resamples: int = 50,
    random_state: Any = 0,
    *,
    window: str | None = None,
) -> LabelStability:
    """Refit a labeler on slightly different data and count the labels that flip.

    The perturbations: a bootstrap of the customers, other seeds, the top 0.5 % spenders removed,
    the rows shuffled, the amounts times 1000, ``as_of`` moved back by 1, 7 and 14 days, and the
    last 5 % of the transactions lost. The labels of the refitted labeler for the original
    customers (those without the top spenders, or those known at the earlier ``as_of``) are
    compared with the original labels.

    Parameters
    ----------
    labeler : ProxyLabeler or Pipeline
        A labeler of RFM, which is then computed by ``RFMAggregator(window=window)``; or a
        Pipeline from histories to labels. The first step of a pipeline turns each history into
        a row by itself and is computed once; the steps after it are refitted every time. A last
        step with ``predict_cluster`` has its clusters compared, any other its labels.
    histories : DataFrame of shape (n_customers, 2)
        As made by `to_histories`.
    n_resamples : int, default=50
        Number of bootstrap samples; as many other seeds are tried, at most 10.
    random_state : int, RandomState instance or None, default=0
        Of the bootstrap, the shuffling and the seeds.
    window : str or None, default=None
        Window of the RFM where ``labeler`` is no pipeline.

    Returns
    -------
    LabelStability
        It prints as a table with a verdict; `rfmrisk.proxy.StabilityDisplay` draws it.

    Raises
    ------
    ValueError
        ``n_resamples`` is below 1, a window is given beside a pipeline, or the labeler cannot
        be fitted.

    Examples
    --------
    >>> from rfmrisk import ProxyLabeler, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import label_stability
    >>> histories = to_histories(make_transactions(n_customers=1_000, random_state=0))
    >>> stability = label_stability(ProxyLabeler(), histories, n_resamples=5, window="30D")
    >>> stability.table.loc["other seeds", "flips_max"]
    np.float64(0.0)
    """
    check_parameters(
        "label_stability",
        n_resamples=(n_resamples, [at_least(1)]),
        random_state=(random_state, ["random_state"]),
    )
    pipeline = _as_pipeline(labeler, window)
    rng = check_random_state(random_state)
    aggregate, model = pipeline[0], pipeline[1:]
    table = clone(aggregate).fit_transform(histories)
    original = clone(model).fit(table)
    flags, clusters = _labels(original, table)
    flat = flatten(histories)

    def refits() -> Iterator[tuple[str, Any, Ints, Any]]:
        """Yield each perturbation, the data to fit, the rows to compare and their table."""
        every = np.arange(len(histories))
        for _ in range(n_resamples):
            rows = rng.randint(len(every), size=len(every))
            yield BOOTSTRAP, (model, _safe_indexing(table, rows)), every, table
        for _ in range(min(int(n_resamples), 10)):
            yield SEEDS, (_with_seed(model, rng.randint(2**31 - 1)), table), every, table
        rows = _without_top_spenders(flat)
        rest = _safe_indexing(table, rows)
        yield SPENDERS, (model, rest), rows, rest
        rows = rng.permutation(len(every))
        yield SHUFFLED, (model, _safe_indexing(table, rows)), every, table
        richer = clone(aggregate).fit_transform(_times(histories, flat, 1000))
        yield CURRENCY, (model, richer), every, richer
        for shift in SHIFTS:
            try:
                past, rows = rewind_rows(histories, shift)
            except ValueError:  # the log is too short
                yield f"as_of {shift} earlier", None, every, None
                continue
            before = clone(aggregate).fit_transform(past)
            yield f"as_of {shift} earlier", (model, before), rows, before
        cut = clone(aggregate).fit_transform(_without_end(histories, flat))
        yield OUTAGE, (model, cut), every, cut

    total = n_resamples + min(n_resamples, 10) + 4 + len(SHIFTS)
    found: dict[str, list[tuple[float, float, float]]] = {}
    failed: dict[str, int] = {}
    for name, fit, rows, compared in progress(refits(), "label stability", total):
        results = found.setdefault(name, [])
        failed.setdefault(name, 0)
        if fit is None:
            continue
        try:
            refitted = _refit(*fit)
        except ValueError:  # too little is left to separate customers
            failed[name] += 1
            continue
        new_flags, new_clusters = _labels(refitted, compared)
        flips = float(np.mean(new_flags != flags[rows]))
        rand = adjusted_rand_score(clusters[rows], new_clusters)
        results.append((flips, float(np.mean(new_flags)), float(rand)))
    rows_of_table = {name: _summary(results, failed[name]) for name, results in found.items()}
    summary = pd.DataFrame.from_dict(rows_of_table, orient="index").rename_axis("perturbation")
    return LabelStability(summary, float(np.mean(flags)), len(histories), label_rule(table, flags))


def _as_pipeline(labeler: Any, window: str | None) -> Pipeline:
    if not isinstance(labeler, Pipeline):
        return make_pipeline(RFMAggregator(window=window), labeler)
    if window is not None:
        raise ValueError("window is for a labeler of RFM; a pipeline looks after its own windows")
    if len(labeler) < 2:
        raise ValueError("a pipeline from histories to labels needs an aggregator and a labeler")
    return labeler


def _labels(model: Any, table: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and, of a labeler that has them, the clusters."""
    if len(model) > 1:
        table = model[:-1].transform(table)
    last = model[-1]
    flags = np.asarray(last.predict(table))
    has_clusters = hasattr(last, "predict_cluster")
    return flags, np.asarray(last.predict_cluster(table)) if has_clusters else flags


def _refit(model: Any, table: Any) -> Any:
    with warnings.catch_warnings():
        # Said once, by the undisturbed fit.
        warnings.filterwarnings("ignore", message="the label is degenerate")
        return clone(model).fit(table)


def _with_seed(model: Any, seed: int) -> Any:
    names = [name for name in model.get_params() if name.endswith("random_state")]
    return clone(model).set_params(**dict.fromkeys(names, seed))


def _without_top_spenders(flat: FlatHistories) -> Ints:
    spent = flat.segments.sum(np.abs(flat.numbers("amount")))
    n_top = max(1, round(TOP * len(spent)))
    return np.sort(np.argsort(-spent, kind="stable")[n_top:])


def _times(histories: pd.DataFrame, flat: FlatHistories, factor: float) -> pd.DataFrame:
    fields = {name: flat.field(name) for name in flat.field_names}
    fields["amount"] = pc.multiply(fields["amount"].cast(pa.float64()), factor)
    transactions = pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
    return _repack(histories, transactions, flat.ends - flat.starts)


def _without_end(histories: pd.DataFrame, flat: FlatHistories) -> pd.DataFrame:
    cut = np.sort(flat.times)[int((1 - LOST) * len(flat.times))]
    ends = first_at_or_after(flat.times, flat.starts, flat.ends, np.full(len(flat.ends), cut))
    return _repack(
        histories, flat.transactions.filter(pa.array(flat.times < cut)), ends - flat.starts
    )


def _repack(histories: pd.DataFrame, transactions: pa.Array, lengths: Ints) -> pd.DataFrame:
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int64())
    lists = pa.LargeListArray.from_arrays(offsets, transactions)
    return histories.assign(history=pd.arrays.ArrowExtensionArray(lists))


def _summary(results: list[tuple[float, float, float]], n_failed: int) -> dict[str, float]:
    flips, flagged, rand = np.transpose(results) if results else np.full((3, 1), np.nan)
    return {
        "refits": len(results),
        "failed": n_failed,
        "flips_mean": float(np.mean(flips)),
        "flips_max": float(np.max(flips)),
        "flagged_min": float(np.min(flagged)),
        "flagged_max": float(np.max(flagged)),
        "ari_mean": float(np.mean(rand)),
    }
