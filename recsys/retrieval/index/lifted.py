"""Inner products as directions: one more component makes all items equally long, so that indexes made for directions
find the largest products.

An item x becomes (x, sqrt(R^2 - |x|^2)), R the length of the longest, a query (q, 0): every product stays what it was,
and between items the angle says how alike their products with any query are (Bachrach et al., "Speeding up the Xbox
recommender system using a Euclidean transformation for inner-product spaces", RecSys 2014). Where lengths differ much,
as with a term of popularity, lists and graphs of the bare vectors miss many of the largest products.
"""

import numpy as np


def longest(vectors: np.ndarray) -> float:
    """The length of the longest of `vectors` [N, D]; 0 where there is none."""
    return float(np.sqrt(np.einsum("nd,nd->n", vectors, vectors).max(initial=0.0)))


def width(dim: int, step: int = 1) -> int:
    """Dimensions of lifted vectors of `dim`, filled up to whole steps of so many."""
    return -(-(dim + 1) // step) * step


def lifted(vectors: np.ndarray, dim: int, *, length: float) -> np.ndarray:
    """`vectors` [N, D] with what each lacks to `length`, then zeros [N, dim] float32, `dim` as `width` gives it; one
    longer than that lacks nothing."""
    rows = flat(vectors, dim)
    lacking = length**2 - np.einsum("nd,nd->n", rows, rows)
    rows[:, vectors.shape[1]] = np.sqrt(np.maximum(lacking, 0))
    return rows


def flat(queries: np.ndarray, dim: int) -> np.ndarray:
    """`queries` [Q, D] with zeros behind [Q, dim] float32, contiguous."""
    rows = np.zeros((len(queries), dim), np.float32)
    rows[:, : queries.shape[1]] = queries
    return rows
