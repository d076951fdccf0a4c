"""What all blocks of the config share."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from simclr_steps.files import canonical_json
from simclr_steps.machine.errors import UserError

Split = Literal["train", "validation", "test", "unlabeled"]
SPLITS: tuple[str, ...] = get_args(Split)
PACKED_SPLITS = SPLITS[:3]  # that have arrays of their own; unlabeled are the rows of train without a label
NO_LABEL = -1  # of an image, in the place of its class
LARGEST_SEED = 2**32 - 1  # that NumPy takes
_LEAST_LETTERS, _MOST_OFFERED = 4, 3  # of a word that is looked for in longer ones, and how many of these are offered
MODULE_AND_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")  # of the user's own code
_RESERVED = {  # names of folders beside those of blocks
    "compare": "what encoders are compared with",
    "summary": "the summary's files",
    "weights": "published weights",
}
_LONGEST_NAME = 240  # bytes of a folder's; file systems allow 255, and logs add an ending
SCHEMES = ("https://", "http://", "file://")


def _check_address(value: str) -> str:
    if not value.startswith(SCHEMES):
        raise ValueError(f"must begin with {', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}")
    return value


def array_of(split: str) -> str:
    """Return the packed split whose array holds the images of a split."""
    return "train" if split == "unlabeled" else split


Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Probability = Annotated[float, Field(ge=0, le=1)]
LocalPath = Annotated[str, AfterValidator(os.path.expanduser)]
Address = Annotated[str, AfterValidator(_check_address)]


def _check_dataset_name(value: str) -> str:
    if value.partition(".")[0].lower() == "summary":  # such as summary.csv, which lies beside the data sets' folders
        raise ValueError("must not be summary or begin with summary., which are reserved for the summary's files")
    return value


def _check_block_name(value: str) -> str:
    if value.lower() in _RESERVED:
        raise ValueError(f"must not be {value.lower()}, which is reserved for {_RESERVED[value.lower()]}")
    return value


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
BlockName = Annotated[_Name, AfterValidator(_check_block_name)]
DatasetName = Annotated[_Name, AfterValidator(_check_dataset_name), AfterValidator(_check_block_name)]


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return the end of a sentence that offers those of some words that contain a word, or the nearest, or all."""
    words = sorted(words)
    longer = [name for name in words if len(word) >= _LEAST_LETTERS and word in name]
    near = longer if 0 < len(longer) <= _MOST_OFFERED else difflib.get_close_matches(word, words, n=1)
    offered = " or ".join(f'"{name}"' for name in near)
    return f"did you mean {offered}?" if near else f"available: {', '.join(words) or 'none'}"


def require_short(name: str, key: str, fix: str) -> None:
    """Raise UserError, with the key to change and how, where a folder's name is longer than file systems allow."""
    size = len(os.fsencode(name))
    if size > _LONGEST_NAME:
        raise UserError(
            f"{key}: the name of a folder would be {size} bytes long, but at most {_LONGEST_NAME} are allowed: {fix}"
        )


class Settings(BaseModel):
    """A block of the config. Unknown keys are errors, and a block does not change once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, content: Any) -> Any:
        if content is None:  # a YAML block with nothing below its name
            return {}
        known = {field.alias or name for name, field in cls.model_fields.items()}
        unknown = [str(key) for key in content if key not in known] if isinstance(content, dict) else []
        if unknown:
            raise PydanticCustomError(
                "unknown_key",
                'unknown key "{key}"; {advice}',
                {"key": unknown[0], "advice": did_you_mean(unknown[0], known)},
            )
        return content

    def as_json(self) -> str:
        """Return the block as canonical JSON, as a step's --settings reads it."""
        return canonical_json(self.model_dump(mode="json"))
