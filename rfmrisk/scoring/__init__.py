"""A fitted pipeline and its metadata: to probability, score, decision and reasons.

Each name is imported when it is first used: the command line asks this package for what may be said
of a registry, and does not wait for what scores.
"""

from typing import TYPE_CHECKING

from rfmrisk._lazy import lazily

if TYPE_CHECKING:
    from rfmrisk.scoring.files import score_file
    from rfmrisk.scoring.metadata import ModelMetadata
    from rfmrisk.scoring.model import ScoringModel
    from rfmrisk.scoring.reasons import PhraseBook, Reason
    from rfmrisk.scoring.scorer import check_servable

__all__ = ["ModelMetadata", "PhraseBook", "Reason", "ScoringModel", "check_servable", "score_file"]

_HOMES = {
    "files": ["score_file"],
    "metadata": ["ModelMetadata"],
    "model": ["ScoringModel"],
    "reasons": ["PhraseBook", "Reason"],
    "scorer": ["check_servable"],
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
