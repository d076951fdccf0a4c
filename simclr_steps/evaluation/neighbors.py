"""Exact nearest neighbors, and classification by their vote."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from simclr_steps.data.splits import Labels, labeled_rows

_DISTANCES_AT_A_TIME = 2**26  # 256 MiB in fp32

Features = npt.NDArray[np.float32] | Tensor


def nearest(
    bank: Features,
    queries: Features,
    neighbors: int,
    *,
    metric: Literal["cosine", "euclidean"] = "cosine",
    leave_one_out: bool = False,
    apart: Labels | None = None,
) -> tuple[Tensor, Tensor]:
    """Find the nearest rows of a bank, exactly, on the device where the features are.

    Parameters
    ----------
    bank
        [N, D] floating-point features.
    queries
        [Q, D].
    neighbors
        How many to find; fewer are found in a bank that has fewer.
    leave_one_out
        The queries are the bank, and no row is a neighbor of itself.
    apart
        int64 [N]: nor is it one of rows of its number. A row that has fewer neighbors has others at a distance of
        infinity.

    Returns
    -------
    Indices into the bank, int64 [Q, K], nearest first, and their distances, float32 [Q, K]; the cosine distance is one
    minus the cosine similarity.
    """
    bank, queries = torch.as_tensor(bank), torch.as_tensor(queries)
    if metric == "cosine":
        bank, queries = F.normalize(bank.float(), dim=1), F.normalize(queries.float(), dim=1)
    else:  # as a matrix product a distance loses half of its digits
        bank, queries = bank.double(), queries.double()
    neighbors = min(neighbors, len(bank) - leave_one_out)
    chunk = max(1, _DISTANCES_AT_A_TIME // max(1, len(bank)))
    indices = torch.empty((len(queries), neighbors), dtype=torch.int64, device=bank.device)
    distances = torch.empty((len(queries), neighbors), dtype=torch.float32, device=bank.device)
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        here = 1 - queries[rows] @ bank.T if metric == "cosine" else torch.cdist(queries[rows], bank)
        if leave_one_out:
            here.diagonal(offset=start).fill_(torch.inf)
        if apart is not None:
            numbers = torch.from_numpy(apart).to(bank.device)
            here[numbers[rows, None] == numbers] = torch.inf
        closest = here.topk(neighbors, dim=1, largest=False)
        indices[rows], distances[rows] = closest.indices, closest.values.clamp(min=0)
    return indices, distances


def vote(neighbor_labels: Labels | Tensor, weights: npt.ArrayLike = 1) -> npt.NDArray[np.int64]:
    """Return the label of each row that has most votes, [Q, K] to int64 [Q]; the smaller of labels that tie.

    A vote counts as `weights` says, one number or [Q, K].
    """
    labels = np.asarray(neighbor_labels, dtype=np.int64)
    counts = np.zeros((len(labels), int(labels.max(initial=0)) + 1))
    np.add.at(counts, (np.arange(len(labels))[:, None], labels), weights)
    return np.asarray(counts.argmax(axis=1), dtype=np.int64)


def knn_accuracy(
    bank_features: Features,
    bank_labels: Labels | Tensor,
    query_features: Features,
    query_labels: Labels | Tensor,
    neighbors: int,
    *,
    temperature: float | None = None,
) -> float:
    """Return the share of queries whose neighbors vote for their label; see `knn_right`."""
    bank, queries = (bank_features, bank_labels), (query_features, query_labels)
    return float(np.mean(knn_right(*bank, *queries, neighbors, temperature=temperature)))


def knn_right(
    bank_features: Features,
    bank_labels: Labels | Tensor,
    query_features: Features,
    query_labels: Labels | Tensor,
    neighbors: int,
    *,
    temperature: float | None = None,
) -> npt.NDArray[np.bool_]:
    """Return of each labeled query whether its `neighbors` nearest rows of the bank, by cosine, vote for its label.

    Features are [N, D] and [Q, D], labels [N] and [Q]; rows without a label are left out. With a temperature a vote
    weighs exp(cosine similarity / temperature) (Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination", 2018, section 3.4), else 1.

    Raises
    ------
    ValueError
        When the bank or the queries have no label at all.
    """
    bank_labels, query_labels = _as_array(bank_labels), _as_array(query_labels)
    labeled, asked = labeled_rows(bank_labels), labeled_rows(query_labels)
    if not len(labeled) or not len(asked):
        raise ValueError("kNN accuracy needs labels in the bank and in the queries")
    bank, queries = (
        features[torch.from_numpy(rows).to(features.device)]
        for features, rows in ((torch.as_tensor(bank_features), labeled), (torch.as_tensor(query_features), asked))
    )
    indices, distances = nearest(bank, queries, neighbors)
    weights = np.exp(-_as_array(distances) / temperature) if temperature else 1  # all smaller by one factor
    return np.asarray(vote(bank_labels[labeled][_as_array(indices)], weights) == query_labels[asked])


def _as_array(values: Features | Labels | Tensor) -> npt.NDArray[Any]:
    return values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
