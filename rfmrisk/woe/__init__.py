"""Optimal binning and the Weight of Evidence encoding."""
