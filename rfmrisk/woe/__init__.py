"""Weight of Evidence: optimal bins and what they tell of good and bad."""

from rfmrisk.woe.encoder import WOEEncoder

__all__ = ["WOEEncoder"]
