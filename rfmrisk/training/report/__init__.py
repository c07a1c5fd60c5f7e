"""The report of a training, and the model card."""
