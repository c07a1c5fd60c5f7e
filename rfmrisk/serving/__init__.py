"""The scoring app: a fitted model behind HTTP. Needs the extra ``serve``."""

from rfmrisk.serving.app import ScoringApp, create_app
from rfmrisk.serving.settings import Settings

__all__ = ["ScoringApp", "Settings", "create_app"]
