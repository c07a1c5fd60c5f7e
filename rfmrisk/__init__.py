"""Credit-risk models from transactions without default labels."""

__version__ = "0.1.0"
