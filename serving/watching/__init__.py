"""Seeing inside: what a replica counts, logs and tells of itself, and how all of a machine are seen at once."""
