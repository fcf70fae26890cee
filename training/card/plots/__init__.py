"""The pictures of a data card, in one style."""
