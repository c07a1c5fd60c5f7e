"""Search, evaluate, track and save models of histories; needs the extra ``train``."""

from rfmrisk.training.models import CATALOGUE, CatalogueModel
from rfmrisk.training.search import TrainingResult, train
from rfmrisk.training.tracking import load_model

__all__ = ["CATALOGUE", "CatalogueModel", "TrainingResult", "load_model", "train"]
