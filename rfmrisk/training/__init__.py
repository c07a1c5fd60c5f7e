"""Search, evaluate, track, register and save models of histories; needs the extra ``train``."""

from rfmrisk.scoring.naming import alias_of
from rfmrisk.training.catalogue import CATALOGUE, CatalogueModel
from rfmrisk.training.registry import Registration, promote
from rfmrisk.training.run import save_run
from rfmrisk.training.search import TrainingResult, train
from rfmrisk.training.store import TrackingError
from rfmrisk.training.tracking import Tracker, load_model
from rfmrisk.training.training_options import TrainingOptions

__all__ = [
    "CATALOGUE",
    "CatalogueModel",
    "Registration",
    "Tracker",
    "TrackingError",
    "TrainingOptions",
    "TrainingResult",
    "alias_of",
    "load_model",
    "promote",
    "save_run",
    "train",
]
