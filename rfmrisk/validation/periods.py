"""The lengths of the periods in which a model is watched, and pandas' names for them."""

PERIODS = {"day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
