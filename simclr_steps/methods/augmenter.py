"""The random views of a block's augmentation, for the images of one data set: ours, and after them the user's own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.methods import random_numbers
from simclr_steps.methods.views import random_views
from simclr_steps.networks.user_code import OWN_AUGMENTATION, own_function
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.sizes import Size

_OWN = 2  # what the keys of the user's function are derived for; 1 is the noise
_ROUNDING = 1e-5  # of values beside [0, 1]
_LEAST_DIFFERENCE = 1e-3  # of views on average, above what another order of a sum makes


def tell_left_out(settings: Augmentation | None, channels: int, *, is_color: bool) -> None:
    """Log which keys of an augmentation images without red, green and blue leave out."""
    if settings and settings.of_color and not is_color:
        keys = ", ".join(settings.of_color)
        log.info("augmentation skips %s: that requires 3 color channels, but these images have %d", keys, channels)


class Augmenter:
    """Makes random views, as `random_views` does, and hands them to the user's own function where there is one.

    `make_views` may be replaced by another form of `random_views`, as by a compiled one.
    """

    def __init__(
        self,
        settings: Augmentation,
        size: Size | None = None,
        is_color: bool | None = None,
        make_views: Callable[..., Tensor] = random_views,
    ) -> None:
        self._settings, self._size, self._is_color = settings, size, is_color
        self.make_views = make_views
        self._own = own_function(settings.own, OWN_AUGMENTATION) if settings.own else None
        self._is_checked = False

    def __call__(self, images: Tensor, key: Tensor) -> Tensor:
        """Return views, float32 [V, B, C, height, width] in [0, 1], of images [B, H, W, C] with keys, int64 [V, B].

        Raises
        ------
        UserError
            When the user's function fails, returns something else than views or, in the first batch, does not keep to
            what is asked of their values.
        """
        views = self.make_views(images, key, self._settings, self._size, self._is_color)
        if self._own is None:
            return views
        x, keys = views.flatten(0, 1), random_numbers.derived(key.flatten(), _OWN)
        with torch.no_grad():
            fault = None if self._is_checked else _fault(self._own, x, keys)
            changed = x if fault else self._own(x, keys)
            fault = fault or _misfit(changed, views.flatten(0, 1))
        if fault:
            raise UserError(f"{OWN_AUGMENTATION}: {self._settings.own} {fault}")
        self._is_checked = True
        return changed.reshape(views.shape)


def _misfit(result: object, x: Tensor) -> str | None:
    """Return what is wrong with what a user's function returns for views, float32 [N, C, H, W], but for its values."""
    if not isinstance(result, Tensor):
        return f"returns a {type(result).__name__}: make it return a tensor"
    if result.shape != x.shape or result.dtype != x.dtype or result.device != x.device:
        found, asked = (f"{one.dtype} {list(one.shape)} on {one.device}".removeprefix("torch.") for one in (result, x))
        return f"returns {found} for {asked}: make it return the same kind, shape and device"
    return None


def _fault(own: Callable[[Tensor, Tensor], Tensor], x: Tensor, keys: Tensor) -> str | None:
    """Return what is wrong with a user's function, as it shows in a batch of views, float32 [N, C, H, W]."""
    result = own(x.clone(), keys.clone())
    if fault := _misfit(result, x):
        return fault
    if not result.isfinite().all():
        return "returns values that are NaN or infinite: fix it"
    low, high = float(result.min()), float(result.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        return f"returns values from {low:.3g} to {high:.3g}: clip them to 0 and 1"
    if not torch.equal(result, own(x.clone(), keys.clone())):
        return "returns other views when it is called again with the same keys: draw its random numbers from the keys"
    every_other = own(x[::2].clone(), keys[::2].clone())
    if (result[::2] - every_other).abs().mean() > _LEAST_DIFFERENCE:
        return "returns other views of an image beside other images: make each view of its own image and key alone"
    return None
