"""Search, evaluate, track and save models of histories; needs the extra ``train``."""

from rfmrisk.training.models import CATALOGUE, CatalogueModel
from rfmrisk.training.search import TrainingResult, train

__all__ = ["CATALOGUE", "CatalogueModel", "TrainingResult", "train"]
