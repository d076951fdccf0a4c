"""Weights to start from, put into a backbone: below which prefix they are, what is missing and what is left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.networks.weight_files import Weights, shortened
from simclr_steps.settings.image_format import counted_channels

_LEAST_SHARE = 0.95  # of a backbone's parameters that a file must hold
_HEADS = {"fc", "head", "heads", "head_dist", "classifier", "classif", "last_linear"}  # what libraries call them
_OURS = "backbone."  # what this package's files have before the names
_COUNTS = "num_batches_tracked"  # of batch norm, which old files lack and nothing needs
_STATISTICS = ("running_mean", "running_var")  # of batch norm, which start as 0 and 1


class MissingStatisticsError(UserError):
    """A file holds weights without the statistics of batch norm, which only a training would make."""


def put_into(backbone: nn.Module, weights: Weights, path: Path, encoder: str, *, frozen: bool = False) -> int | None:
    """Put weights into a backbone and say in the log what was found, what is left out and what is missing.

    Return the number of channels that the file's first kernel reads, None where it has none.

    The tensors may stand below any prefix, such as `module.` or `backbone.`. Of another number of input channels, the
    first kernel is summed for one and else repeated and scaled, as in timm.

    Raises
    ------
    UserError
        When they are of another network than `encoder` or are not finite; the message names a tensor. Also when they
        are those of two networks, such as a student and its teacher.
    MissingStatisticsError
        When they lack the statistics of batch norm for a backbone that stays `frozen`.
    """
    wanted: dict[str, Tensor] = backbone.state_dict()
    prefix, *others = _prefixes(weights, backbone)
    found = _below(prefix, weights)
    used = {name: found[name] for name in wanted if name in found}
    _check_complete(backbone, used, path, encoder)
    for other in others:
        _check_same(found, prefix, other, weights, backbone, path)
    _check_nothing_over(found, wanted, path, encoder)
    first = _first_kernel(backbone)
    channels = used[first].shape[1] if first in used else None
    if channels and _differ_in_channels(used[first], wanted[first]):
        read = wanted[first].shape[1]
        used[first] = for_channels(used[first], read)
        how = "sums" if read == 1 else "repeats and scales"
        made_for = counted_channels(channels)
        log.info("the first kernel was made for %s: the encoder %s it for %d", made_for, how, read)
    _check_values(backbone, used, wanted, path, encoder)
    missing = [name for name in wanted if name not in used and not name.endswith(_COUNTS)]
    statistics = [name for name in missing if name.endswith(_STATISTICS)]
    if statistics and frozen:
        raise MissingStatisticsError(
            f"init: {path} lacks statistics of batch norm ({shortened(statistics)}), which a frozen encoder does not "
            "learn: save the whole state_dict, with its buffers"
        )
    backbone.load_state_dict({**wanted, **used})
    aside = [
        name
        for name in weights.tensors
        if not (name.startswith(prefix) and name.removeprefix(prefix) in wanted)
        and not (weights.are_ours and name.startswith("normalization."))  # which first_weights takes
    ]
    where = (f", within {weights.part}" if weights.part else "") + (f', below "{prefix}"' if prefix else "")
    log.info("starting from %s: %d of the backbone's %d tensors%s", path, len(used), len(wanted), where)
    if weights.others:
        log.warning(
            "warning: %s holds several networks: %s is used, and not %s: to use another, save it as a file of its own",
            *(path, weights.part, shortened(list(weights.others))),
        )
    if untrained := [name for name in missing if name not in statistics]:
        log.warning("warning: %s lacks %s, which stay as in an untrained network", path, shortened(untrained))
    if statistics:
        named = shortened(statistics)
        log.warning(
            "warning: %s lacks statistics of batch norm (%s), which begin with mean 0 and variance 1", path, named
        )
    if aside:
        log.info("left out of %s: %s", path, shortened(aside))
    return channels


def are_of(weights: Weights, backbone: nn.Module) -> bool:
    """Return whether `put_into` finds in a file what it needs of a backbone, for any number of channels."""
    found = _below(_prefixes(weights, backbone)[0], weights)
    try:
        _check_complete(backbone, found, Path(), "")
        _check_nothing_over(found, backbone.state_dict(), Path(), "")
    except UserError:
        return False
    first = _first_kernel(backbone)
    return all(
        found[name].shape == one.shape or (name == first and _differ_in_channels(found[name], one))
        for name, one in backbone.named_parameters()
        if name in found
    )


def _first_kernel(backbone: nn.Module) -> str:
    """Return the name of the kernel that reads the images; parameters such as a transformer's tokens come before it."""
    return next((f"{name}.weight" for name, module in backbone.named_modules() if isinstance(module, nn.Conv2d)), "")


def _prefixes(weights: Weights, backbone: nn.Module) -> list[str]:
    """Return what stands before the names of the most parameters, several prefixes where they match equally well."""
    wanted = dict(backbone.named_parameters())
    named: Counter[str] = Counter()
    fitting: Counter[str] = Counter()  # in their shapes, too
    for name, tensor in weights.tensors.items():
        parts = name.split(".")
        for start in range(len(parts)):
            if (parameter := wanted.get(".".join(parts[start:]))) is not None:
                prefix = "".join(f"{part}." for part in parts[:start])
                named[prefix] += 1
                fitting[prefix] += tensor.shape == parameter.shape
    best = max(((named[prefix], fitting[prefix]) for prefix in named), default=None)
    found = [prefix for prefix in named if (named[prefix], fitting[prefix]) == best] or [""]
    return [_OURS] if weights.are_ours and _OURS in found else found


def _below(prefix: str, weights: Weights) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.tensors.items() if name.startswith(prefix)}


def _check_same(
    found: Mapping[str, Tensor], prefix: str, other: str, weights: Weights, backbone: nn.Module, path: Path
) -> None:
    """Raise UserError when the parameters below two prefixes differ, as those of a student and its teacher do.

    Those of a module that is registered under two names do not.
    """
    second = _below(other, weights)
    for name, _ in backbone.named_parameters():
        one, two = found.get(name), second.get(name)
        if one is not two and (one is None or two is None or not one.equal(two)):
            places = " and ".join(f'below "{where}"' if where else "at the top" for where in (prefix, other))
            kept = other or prefix
            raise UserError(
                f"init: {path} holds two networks that match equally well, {places}: save one of them, such as "
                f'{{name: tensor for name, tensor in state_dict.items() if name.startswith("{kept}")}}'
            )


def _check_complete(backbone: nn.Module, used: Mapping[str, Tensor], path: Path, encoder: str) -> None:
    sizes = {name: parameter.numel() for name, parameter in backbone.named_parameters()}
    missing = [name for name in sizes if name not in used]
    share = 1 - sum(sizes[name] for name in missing) / max(1, sum(sizes.values()))
    if share < _LEAST_SHARE:
        raise UserError(
            f"init: {path} has {share:.0%} of the parameters of {encoder} and lacks {shortened(missing)}: is it a "
            f"{encoder}?"
        )


def _check_nothing_over(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path, encoder: str) -> None:
    """Raise UserError when the file's network has more in a part than the backbone has there, the head set aside."""
    parts = {name.partition(".")[0] for name in wanted}
    for name, tensor in found.items():
        is_part = name.partition(".")[0] in parts and not _HEADS & set(name.split("."))
        if is_part and name not in wanted and tensor.is_floating_point():
            raise UserError(f"init: {name} of {path} is left over: is it a {encoder}?")


def _differ_in_channels(given: Tensor, wanted: Tensor) -> bool:
    shapes = [[size for axis, size in enumerate(tensor.shape) if axis != 1] for tensor in (given, wanted)]
    return given.shape != wanted.shape and shapes[0] == shapes[1] and given.shape[1] > 0


def for_channels(kernel: Tensor, channels: int) -> Tensor:
    """Return a kernel [O, I, …] for another number of input channels, [O, channels, …].

    For one channel its parts are summed, so that a gray image gives what it gives as a color image; for others they are
    repeated in turn and scaled, so that the sum over equal channels remains for multiples of I.
    """
    if channels == 1:
        return kernel.sum(dim=1, keepdim=True)
    given = kernel.shape[1]
    return kernel[:, torch.arange(channels) % given] * (given / channels)


def _check_values(
    backbone: nn.Module, used: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path, encoder: str
) -> None:
    parameters = {name for name, _ in backbone.named_parameters()}
    for name, tensor in used.items():
        if tensor.shape != wanted[name].shape:
            given, expected = (" × ".join(map(str, shape)) or "1" for shape in (tensor.shape, wanted[name].shape))
            raise UserError(
                f"init: {name} of {path} is {given}, but {expected} in {encoder} for these images: use the encoder, "
                "stem and view_size that the weights were made with"
            )
        if wanted[name].is_floating_point() and not tensor.is_floating_point():
            raise UserError(f"init: {name} of {path} is of {tensor.dtype}: use weights that are not quantized")
        values = tensor.float()
        if values.isnan().any() or (name in parameters and values.isinf().any()):
            raise UserError(f"init: {path} holds weights that are not finite, first in {name}: use other weights")
        if name.endswith("running_var") and not ((values >= 0) & values.isfinite()).all():
            raise UserError(f"init: {name} of {path} is negative or infinite: use other weights")
