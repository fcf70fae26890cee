"""Looks for settings: what may vary, the study that remembers, and the trials."""
