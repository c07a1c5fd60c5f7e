"""A fitted pipeline and its metadata: to probability, score, decision and reasons."""

from rfmrisk.scoring.files import score_file
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.scoring.reasons import PhraseBook, Reason
from rfmrisk.scoring.scorer import check_servable

__all__ = ["ModelMetadata", "PhraseBook", "Reason", "ScoringModel", "check_servable", "score_file"]
