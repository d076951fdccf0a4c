"""Words of a page's first screen, for readers who have not met them."""

from __future__ import annotations

import re
from collections.abc import Iterable

WORDS = {
    "SimCLR features": "what the encoder, pretrained without labels, makes of an image; logistic regression learns the "
    "classes from them",
    "raw pixels": "the same regression without an encoder",
    "random features": "those of the same network, not trained at all",
    "features before training": "those of the given weights, before any training here",
    "fine-tuned": "the whole network, trained on labels",
    "from scratch": "the same without pretraining",
    "for free": "raw pixels, and features of random, given or published weights",
    "seeds": "trainings that differ in their random numbers only",
    "hold-out": "training images kept apart, to choose by",
    "kNN": "an image gets the class of those most like it",
    "effective rank": "in how many directions features differ: about 1 if the encoder finds all images alike",
    "in parentheses": "where the value for other such images is likely to lie (95 % interval)",
}
_INTERVAL = re.compile(r"\([^()]*\d to [^()]*\d\)")


def explained(texts: Iterable[str]) -> dict[str, str]:
    """Return those words that occur in any of the texts, or stand for an interval there, and what they mean."""
    text = " ".join(texts)
    read = text.lower() + " in parentheses" * bool(_INTERVAL.search(text))
    return {word: meaning for word, meaning in WORDS.items() if word.lower() in read}
