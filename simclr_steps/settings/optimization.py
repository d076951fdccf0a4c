"""Optimizer settings that every training shares."""

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
        description="Weight decay. Neither weight decay nor the adaptation of `lars` applies to biases and batch-norm "
        "parameters. SimCLR uses 1e-6 with `lars`.",
    )
    warmup_epochs: float = Field(0, ge=0, description="Epochs over which the learning rate rises from 0.")
    warmup_steps: int | None = Field(
        None, gt=0, description="Updates over which the learning rate rises from 0, instead of `warmup_epochs`."
    )
    step_epochs: list[Annotated[int, Field(gt=0)]] = Field(
        [], description="Epochs, counted from the start, after which the `step` schedule lowers the learning rate."
    )
    step_factor: float = Field(
        0.1, gt=0, lt=1, description="Factor applied to the learning rate at each of `step_epochs`."
    )
    schedule: Literal["cosine", "constant", "step"] = Field(
        "cosine",
        validate_default=True,
        description="Learning rate schedule after the warm-up; `cosine` ends at 0, `step` drops at `step_epochs`.",
    )
    precision: Literal["auto", "bf16", "tf32", "fp32"] = Field(
        "auto",
        description="Numeric precision of the network: `fp32`, `tf32` (faster convolutions on GPUs that support it) or "
        "`bf16`; `auto` uses bf16 on a GPU that runs it at full speed and fp32 otherwise. The loss is always "
        "computed in full fp32.",
    )

    @field_validator("warmup_steps")
    @classmethod
    def _check_one_warmup(cls, value: int | None, others: ValidationInfo) -> int | None:
        if value is not None and others.data.get("warmup_epochs"):
            raise ValueError("must be omitted if warmup_epochs is given")
        return value

    @field_validator("schedule")
    @classmethod
    def _check_steps(cls, value: str, others: ValidationInfo) -> str:
        if (value == "step") != bool(others.data.get("step_epochs", value == "step")):
            raise ValueError("must be step if, and only if, step_epochs are given")
        return value

    @field_validator("epochs", check_fields=False)  # of the blocks that are trainings
    @classmethod
    def _check_length(cls, value: int | str, others: ValidationInfo) -> int | str:
        last = max(others.data.get("step_epochs") or [0])
        if isinstance(value, int) and last >= value:  # else the training itself warns of it
            raise ValueError(f"must be greater than {last}, the last of step_epochs, or nothing falls there")
        return value
