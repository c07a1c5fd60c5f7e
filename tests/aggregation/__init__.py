"""The aggregators, against the obvious computation and at their edges."""
