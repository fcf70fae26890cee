"""Answers for many shoppers at once, as a file."""
