"""What torchvision and timm publish: the mean and standard deviation of the images that their weights expect."""

from __future__ import annotations

from collections.abc import Sequence

from simclr_steps.networks.user_code import is_own

Statistics = tuple[Sequence[float], Sequence[float]]  # mean and standard deviation of each channel, in [0, 1]

_IMAGENET: Statistics = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of all weights that torchvision publishes


def input_statistics(encoder: str) -> Statistics | None:
    """Return what the published weights of a network expect of its images, None where nothing is published."""
    if is_own(encoder):
        return None
    if not encoder.startswith("timm:"):
        return _IMAGENET
    import timm  # slow to import, and few need it

    config = timm.models.get_pretrained_cfg(encoder.removeprefix("timm:"))
    return (config.mean, config.std) if config else None
