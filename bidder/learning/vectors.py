"""Product vectors: where each product lies among those that are looked at together.

Place: affinity.py; people's affinity and line items' vectors live in the same space.
Shapes: (M, DIMENSIONS) float16 of length 1; zeros for products that no session shows beside another.
Source: truncated SVD of positive pointwise mutual information, which is what skip-gram with negative sampling factors
    (Levy and Goldberg, NIPS 2014); square roots of the singular values on both sides as in the same authors' TACL 2015.
    The decomposition is that of Halko, Martinsson and Tropp (SIAM Review 2011), algorithm 4.4.
    Two trainings are put into one space by the orthogonal Procrustes solution (Schoenemann 1966).
Raises: ModuleNotFoundError with words where scipy, of the extra `train`, is not installed.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from bidder.catalogue.product import DIMENSIONS
from bidder.catalogue.similar import Similar

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SPARE: Final = 16
ROUNDS: Final = 4
"""Dimensions beyond those kept, and rounds of the iteration: as Halko and others advise where singular values fall
slowly."""
MIN_SHARED: Final = DIMENSIONS
"""Products known to both models below which there is nothing to turn by."""
SMOOTHING: Final = 0.75
"""Of the contexts' distribution: lets rare products weigh less (TACL 2015, cds)."""

Floats = NDArray[np.float64]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64], Floats]


def product_vectors(
    pairs: Pairs, keys: NDArray[np.uint64], previous: Similar | None = None
) -> NDArray[np.float16]:
    """(M, DIMENSIONS) vectors of products from the weights of (of, to) pairs, turned towards a previous model's."""
    count = len(keys)
    if not len(pairs[0]):
        return np.zeros((count, DIMENSIONS), np.float16)
    factors = _factors(pairs, count)
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    vectors: Floats = np.divide(factors, lengths, out=np.zeros_like(factors), where=lengths > 1e-9)
    if previous is not None:
        vectors = _turned(vectors, keys, previous)
    return vectors.astype(np.float16)


def _factors(pairs: Pairs, count: int) -> Floats:
    """(M, DIMENSIONS) left singular vectors times the roots of the singular values; signs are fixed."""
    matrix = _matrix(pairs, count)
    left, sizes = _decomposed(matrix, min(count, DIMENSIONS + SPARE))
    kept = min(DIMENSIONS, len(sizes))
    left, sizes = left[:, :kept], sizes[:kept]
    largest = np.abs(left).argmax(axis=0)
    signs = np.where(left[largest, np.arange(kept)] < 0, -1.0, 1.0)
    factors = np.zeros((count, DIMENSIONS))
    factors[:, :kept] = left * signs * np.sqrt(sizes)
    return factors


def _decomposed(matrix: "csr_array", rank: int) -> tuple[Floats, Floats]:
    """The largest singular values of a matrix and their left vectors, by subspace iteration from a fixed start."""
    transposed = matrix.T.tocsr()
    basis = np.random.default_rng(0).standard_normal((matrix.shape[1], rank))
    for _ in range(ROUNDS):
        basis = np.linalg.qr(transposed @ np.linalg.qr(matrix @ basis)[0])[0]
    left, sizes, _ = np.linalg.svd(matrix @ basis, full_matrices=False)
    return left, sizes


def _matrix(pairs: Pairs, count: int) -> "csr_array":
    """(M, M) positive pointwise mutual information, whichever of two products came first."""
    try:
        from scipy.sparse import csr_array
    except ModuleNotFoundError:
        raise ModuleNotFoundError("training needs scipy: install paceline[train]") from None
    of, to, weight = pairs
    both = csr_array(
        (np.tile(weight, 2), (np.concatenate((of, to)), np.concatenate((to, of)))), (count, count)
    )
    both.sum_duplicates()
    matrix = csr_array((_ppmi(both.tocoo(), count), both.indices, both.indptr), (count, count))
    matrix.eliminate_zeros()
    return matrix


def _ppmi(both: object, count: int) -> Floats:
    """max(0, log(p(i, j) / (p(i) p'(j)))) of each entry, in the matrix's own order; p' is smoothed."""
    row, column, weight = (np.asarray(getattr(both, name)) for name in ("row", "col", "data"))
    of_row = np.bincount(row, weight, minlength=count)
    smooth = of_row**SMOOTHING
    share = weight / of_row[row]
    positive: Floats = np.maximum(0.0, np.log(share * smooth.sum() / smooth[column]))
    return positive


def _turned(vectors: Floats, keys: NDArray[np.uint64], previous: Similar) -> Floats:
    """The vectors rotated so that products known to both models lie as near as they can to where they lay."""
    shared, here, there = np.intersect1d(keys, previous.keys, assume_unique=True, return_indices=True)
    if len(shared) < MIN_SHARED:
        return vectors
    left, _, right = np.linalg.svd(vectors[here].T @ previous.vectors[there].astype(np.float64))
    turned: Floats = vectors @ (left @ right)
    return turned
