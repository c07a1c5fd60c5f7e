"""A fitted pipeline and its metadata: to probability, score, decision and reasons."""

from rfmrisk.scoring.files import score_file
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import ScoringModel

__all__ = ["ModelMetadata", "ScoringModel", "score_file"]
