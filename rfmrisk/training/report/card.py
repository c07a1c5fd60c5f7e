"""The model card: what the model is for, how it came about, and what it is not for."""

from pathlib import Path
from typing import Any

from skops.card import Card

from rfmrisk.histories.whole_files import write_whole
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import MODEL_FILE
from rfmrisk.training.few_outcomes import UPDATED
from rfmrisk.training.folder import read_metadata, read_table
from rfmrisk.training.judging import RECENCY
from rfmrisk.training.report.attributes import PROTECTED, protected_by_name
from rfmrisk.training.report.watch import (
    added_by_training,
    by_hand,
    figures,
    how_to_reproduce,
    in_words,
    lost,
    to_watch,
)

CARD_FILE = "model_card.md"


def write_card(folder: str | Path) -> Path:
    """Write the model card of a run's folder, every section filled from its files.

    Parameters
    ----------
    folder : str or Path
        What `rfmrisk train` left.

    Returns
    -------
    Path
        Of ``model_card.md`` in that folder.

    Raises
    ------
    ValueError
        The folder lacks a file that the card is made of.
    """
    folder = Path(folder)
    metadata = read_metadata(folder)
    metrics = read_table(folder, "metrics.csv", "model")
    drift = read_table(folder, "drift.csv", "feature")
    card = Card(folder / MODEL_FILE, template=None)
    by_model = metrics.to_dict("index")
    added = added_by_training(metadata, metrics)
    card.add(**_sections(metadata, by_model[metadata.model], by_model.get(RECENCY), added))
    names = [name for name in map(str, metrics) if not name.endswith(("_low", "_high"))]
    shown = figures(metrics, {name: name for name in names}).T.reset_index(names="figure")
    card.add_table(**{"All figures, with 95 % intervals": shown})
    if metadata.grades:
        grades = read_table(folder, "grades.csv").map(_short)
        card.add_table(**{"Grades, on customers held out": grades})
    watch = "\n".join(f"- {finding}" for finding in to_watch(metadata, metrics, drift))
    changed = "\n".join(f"- {line}" for line in by_hand(folder, metadata))
    without = "\n".join(f"- {line}" for line in lost(folder))
    if without:
        card.add(**{"Features with one bin, and no points": without})
    if changed:
        card.add(**{"Bins by hand": changed})
    card.add(**{"What to watch": watch, "How to reproduce": _reproduce(metadata)})
    write_whole(folder / CARD_FILE, card.render())
    return folder / CARD_FILE


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


def _sections(
    metadata: ModelMetadata,
    best: dict[Any, float],
    recency: dict[Any, float] | None,
    added: str | None,
) -> dict[str, str]:
    return {
        "Credit-risk model": (
            f"{metadata.title}, made with rfmrisk {metadata.versions['rfmrisk']}: from "
            f"{_inputs(metadata)} to the probability of being {metadata.word_of_bad} and a score, "
            "where higher is safer."
        ),
        "Purpose": (
            f"{_purpose(metadata)} It is not for decisions without a human who can overrule them, "
            "and not for customers of another kind than those it was trained on."
        ),
        "The label and its limits": _label(metadata),
        "Data": (
            f"{_extent(metadata)}. {metadata.n_train:,} customers for training, "
            f"{metadata.n_test:,} held out, stratified, no customer on both sides; "
            f"{_share_of_bads(metadata)}. {len(metadata.features)} "
            f"features, from {_inputs(metadata)} before the decision."
        ),
        "Metrics": (
            f"On the held-out customers: ROC-AUC {best['roc_auc']:.3f} (95 % interval "
            f"{best['roc_auc_low']:.3f} to {best['roc_auc_high']:.3f}), KS {best['ks']:.3f}, Gini "
            f"{best['gini']:.3f}, Brier score {best['brier']:.3f}."
            + (_over_recency(best, recency) if recency else "")
            + (f" {added}" if added else "")
        ),
        "Threshold": (
            f"Customers with a probability of {metadata.threshold:.4f} or more are called "
            f"{metadata.word_of_bad}: {_threshold(metadata)}. On the held-out customers this "
            f"refuses {best['fp']:,.0f} of {best['fp'] + best['tn']:,.0f} goods (Type I errors) "
            f"and misses {best['fn']:,.0f} of {best['fn'] + best['tp']:,.0f} "
            f"{metadata.word_of_bad} customers (Type II)."
        ),
        "Fairness": _fairness(metadata),
        "Basel II": _basel(metadata),
    }


def _share_of_bads(metadata: ModelMetadata) -> str:
    several = metadata.n_samples > metadata.data.customers
    of = f" of their {metadata.n_samples:,} samples" if several else ""
    return f"{metadata.high_risk_share:.1%}{of} are {metadata.word_of_bad}"


def _is_proxy(metadata: ModelMetadata) -> bool:
    return bool(metadata.asked["target"] == "proxy")


def _extent(metadata: ModelMetadata) -> str:
    data = metadata.data
    if not data.transactions:
        return (
            f"{data.customers:,} applicants of a table without a log (SHA-256 of the table: "
            f"{data.fingerprint})"
        )
    return (
        f"{data.transactions:,} transactions of {data.customers:,} customers, {data.first} to "
        f"{data.last} (SHA-256 of customers, as_of, times and amounts: {data.fingerprint})"
    )


def _over_recency(best: dict[Any, float], recency: dict[Any, float]) -> str:
    return (
        f" Recency alone reaches {recency['roc_auc']:.3f}; the gain over it is "
        f"{best['gain']:+.3f} ({best['gain_low']:+.3f} to {best['gain_high']:+.3f})."
    )


def _inputs(metadata: ModelMetadata) -> str:
    """Return what the features are made from."""
    asked_for = [name.startswith("application__") for name in metadata.features]
    if all(asked_for) or not metadata.data.transactions:
        return "what is known of an application"
    both = " and what is known of the application" if any(asked_for) else ""
    return f"a customer's transactions{both}"


def _purpose(metadata: ModelMetadata) -> str:
    if _is_proxy(metadata):
        return (
            "To rank customers where no outcome was given to the training: whom to offer credit, "
            "at what limit, whom to look at by hand. It is a starting point until real outcomes "
            "are used."
        )
    return (
        "To rank customers by the risk of the outcome that was given to the training: whom to "
        "offer credit, at what limit, whom to look at by hand."
    )


def _fairness(metadata: ModelMetadata) -> str:
    """Say what the names of the features show of protected attributes, and what they do not."""
    found = protected_by_name(metadata.features)
    if found:
        named = "; ".join(f"{what}: {', '.join(names)}" for what, names in found.items())
        said = (
            f"By name only, these features speak of attributes that the law may protect: {named}. "
            "Whether they may be used is to be settled before the model is."
        )
    else:
        said = (
            f"By name only, no feature speaks of {', '.join(PROTECTED)}; the names tell what the "
            "columns are called and not what they hold."
        )
    kinds = {
        "shopping hours": any("__hour_" in name or "night" in name for name in metadata.features),
        "categories": any(name.startswith("category__") for name in metadata.features),
        "amounts": any(name.startswith(("spend__", "rfm__")) for name in metadata.features),
    }
    stand_ins = [kind for kind, there in kinds.items() if there]
    if stand_ins:
        said += (
            f" Other features ({', '.join(stand_ins)}) can stand in for age, gender, religion or "
            "origin."
        )
    said += (
        " Before use, compare approval rates and errors between the groups that the law of your "
        "country protects, on customers that this model has never seen."
    )
    if _is_proxy(metadata):
        said += " Customers who pay elsewhere look disengaged here."
    return said


def _basel(metadata: ModelMetadata) -> str:
    if _is_proxy(metadata):
        said = (
            "The score ranks; its probability is that of the label, not a probability of default "
            "over one year in the sense of Basel II (paragraph 452), and must not enter a capital "
            "calculation."
        )
    else:
        said = (
            "The probability is that of the outcome that was given to the training. Whether this "
            "is a default over one year in the sense of Basel II (paragraph 452) depends on how "
            "the outcome was defined, which this card does not know."
        )
    return (
        f"{said} Of what the accord asks of a rating system, this folder has documentation of the "
        "training and figures on customers who were held out."
    )


def _label(metadata: ModelMetadata) -> str:
    asked = metadata.asked
    if asked["target"] == "given":
        given = "histories" if metadata.data.transactions else "table"
        return f"The target was given with the {given}; 1 is bad.{_updating(metadata)}"
    when = (
        f"in the {in_words(asked['outcome'])} after the timestamp of the decision"
        if asked["outcome"]
        else "in the very transactions that the features see"
    )
    windows = metadata.windows_of_label
    stacked = (
        f" Each customer is in as many samples as there are windows before which it was known, "
        f"{metadata.n_samples:,} in all ({'; '.join(window.window for window in windows)}), and "
        "its label in `customers.csv` is the share of them in which it was high-risk."
        if len(windows) > 1
        else ""
    )
    ruled = [window for window in windows if window.rule]
    decided = "".join(f" {window.window}: {window.rule}." for window in ruled)
    how = (
        "fell into the least engaged cluster by recency, frequency and monetary value"
        if metadata.label_by_clusters
        else "were labelled so"
    )
    return (
        f"A proxy. High-risk are the customers who, {when}, {how} (`{asked['labeler']}`)."
        f"{stacked}{decided} The label is "
        f"{metadata.label_stability}. It says who stopped being a customer, not who failed to pay: "
        "against real defaults such labels are between no better than chance and a ROC-AUC of "
        "about 0.65. Use it to rank until outcomes are known, and measure it against them then."
    )


def _updating(metadata: ModelMetadata) -> str:
    """Say of a proxy that outcomes update what it is, and what it is worth."""
    if metadata.model != UPDATED:
        return ""
    worth = metadata.outcome_curve
    said = " The model is a proxy, which needs no outcomes, updated by those that are known"
    return f"{said}: {worth}." if worth else f"{said}."


def _threshold(metadata: ModelMetadata) -> str:
    cost = metadata.asked["missed_bad_cost"]
    if cost:
        return (
            f"the least cost where a missed bad costs {cost:g} times a refused "
            "good, on out-of-fold probabilities of the training customers"
        )
    return "where KS is reached on out-of-fold probabilities of the training customers"


def _reproduce(metadata: ModelMetadata) -> str:
    lines = [f"- {name}: `{value}`" for name, value in how_to_reproduce(metadata).items()]
    return (
        "The same data, parameters and versions give a model that answers the same, bit for bit. "
        "`customers.csv` has the ids of both parts.\n\n" + "\n".join(lines)
    )
