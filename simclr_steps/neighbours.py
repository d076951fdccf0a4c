"""Exact nearest neighbours, and classification by their vote."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from simclr_steps.packed import NO_LABEL

_DISTANCES_AT_A_TIME = 2**26  # 256 MiB in fp32

Features = npt.NDArray[np.float32] | Tensor
Labels = npt.NDArray[np.int64] | Tensor


def nearest(
    bank: Features,
    queries: Features,
    neighbours: int,
    *,
    metric: Literal["cosine", "euclidean"] = "cosine",
    leave_one_out: bool = False,
) -> tuple[Tensor, Tensor]:
    """Find the nearest rows of a bank, exactly, on the device where the features are.

    Parameters
    ----------
    bank: [N, D] floating-point features; queries: [Q, D].
    neighbours: how many to find; fewer are found in a bank that has fewer.
    leave_one_out: the queries are the bank, and no row is a neighbour of itself.

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
    neighbours = min(neighbours, len(bank) - leave_one_out)
    chunk = max(1, _DISTANCES_AT_A_TIME // max(1, len(bank)))
    indices = torch.empty((len(queries), neighbours), dtype=torch.int64, device=bank.device)
    distances = torch.empty((len(queries), neighbours), dtype=torch.float32, device=bank.device)
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        here = 1 - queries[rows] @ bank.T if metric == "cosine" else torch.cdist(queries[rows], bank)
        if leave_one_out:
            here.diagonal(offset=start).fill_(torch.inf)
        found = here.topk(neighbours, dim=1, largest=False)
        indices[rows], distances[rows] = found.indices, found.values.clamp(min=0)
    return indices, distances


def vote(neighbour_labels: Labels) -> npt.NDArray[np.int64]:
    """Return the most frequent label of each row, [Q, K] to int64 [Q]; the smaller of labels that tie."""
    labels = np.asarray(torch.as_tensor(neighbour_labels).cpu(), dtype=np.int64)
    counts = np.zeros((len(labels), int(labels.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(counts, (np.arange(len(labels))[:, None], labels), 1)
    return np.asarray(counts.argmax(axis=1), dtype=np.int64)


def knn_accuracy(
    bank_features: Features, bank_labels: Labels, query_features: Features, query_labels: Labels, neighbours: int
) -> float:
    """Return the share of queries whose `neighbours` nearest rows of the bank, by cosine, vote for their label.

    Features are [N, D] and [Q, D], labels [N] and [Q]; rows without a label are left out. Raises ValueError when the
    bank or the queries have no label at all.
    """
    bank_labels, query_labels = torch.as_tensor(bank_labels).cpu(), torch.as_tensor(query_labels).cpu()
    known, asked = bank_labels != NO_LABEL, query_labels != NO_LABEL
    if not known.any() or not asked.any():
        raise ValueError("kNN accuracy needs labels in the bank and in the queries")
    bank, queries = torch.as_tensor(bank_features), torch.as_tensor(query_features)
    indices, _ = nearest(bank[known.to(bank.device)], queries[asked.to(queries.device)], neighbours)
    return float(np.mean(vote(bank_labels[known][indices.cpu()]) == query_labels[asked].numpy()))
