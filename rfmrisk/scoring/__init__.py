"""A fitted pipeline and its metadata: to probability, score, decision and reasons."""

from rfmrisk.scoring.files import score_file
from rfmrisk.scoring.model import ScoringModel

__all__ = ["ScoringModel", "score_file"]
