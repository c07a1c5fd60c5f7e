"""Search, evaluate, track, register and save models of histories; needs the extra ``train``."""

from rfmrisk.training.models import CATALOGUE, FEATURE_SETTINGS, CatalogueModel
from rfmrisk.training.registry import Registration, alias_of, promote
from rfmrisk.training.search import TrainingResult, train
from rfmrisk.training.store import TrackingError
from rfmrisk.training.tracking import Tracker, load_model

__all__ = [
    "CATALOGUE",
    "FEATURE_SETTINGS",
    "CatalogueModel",
    "Registration",
    "Tracker",
    "TrackingError",
    "TrainingResult",
    "alias_of",
    "load_model",
    "promote",
    "train",
]
