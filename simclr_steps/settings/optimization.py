"""What every training asks of its optimizer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from simclr_steps.settings.base import Settings


class Optimization(Settings):
    """How weights are updated."""

    optimizer: Literal["sgd", "adam", "adamw", "lars"] = Field(
        "sgd", description="The optimizer. `lars` is for batches of thousands of images."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of `sgd` and `lars`; the others ignore it.")
    weight_decay: float = Field(
        5e-4,
        ge=0,
        description="Weight decay; never applied to biases and batch-norm parameters, and nor is the adaptation of "
        "`lars`. SimCLR takes 1e-6 with `lars`.",
    )
    warmup_epochs: float = Field(0, ge=0, description="Epochs over which the learning rate rises from 0.")
    warmup_steps: int | None = Field(
        None, gt=0, description="Updates over which the learning rate rises from 0, instead of `warmup_epochs`."
    )
    step_epochs: list[Annotated[int, Field(gt=0)]] = Field(
        [], description="Epochs after which the learning rate falls under the schedule `step`, counted from the start."
    )
    step_factor: float = Field(0.1, gt=0, lt=1, description="What the learning rate is multiplied by at each fall.")
    schedule: Literal["cosine", "constant", "step"] = Field(
        "cosine",
        validate_default=True,
        description="What the learning rate does after the warm-up; `cosine` ends at 0, `step` falls at `step_epochs`.",
    )
    precision: Literal["auto", "bf16", "tf32", "fp32"] = Field(
        "auto",
        description="Number format of the network: `fp32` in full, `tf32` with the faster convolutions of a GPU that "
        "has them, `bf16`; `auto` is bf16 where the hardware multiplies it at full speed, else fp32. The loss is "
        "always in full fp32.",
    )

    @field_validator("warmup_steps")
    @classmethod
    def _check_one_warmup(cls, value: int | None, others: ValidationInfo) -> int | None:
        if value is not None and others.data.get("warmup_epochs"):
            raise ValueError("must be left out where warmup_epochs is given")
        return value

    @field_validator("schedule")
    @classmethod
    def _check_steps(cls, value: str, others: ValidationInfo) -> str:
        if (value == "step") != bool(others.data.get("step_epochs", value == "step")):
            raise ValueError("must be step where step_epochs are given, and only there")
        return value
