"""Weight of Evidence: optimal bins and what they say of good and bad."""

from rfmrisk.woe.classing import read_classing
from rfmrisk.woe.comparing import ClassingComparison, compare_classing
from rfmrisk.woe.encoder import WOEEncoder

__all__ = ["ClassingComparison", "WOEEncoder", "compare_classing", "read_classing"]
