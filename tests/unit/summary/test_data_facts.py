"""The page says how many images a data set has, of which format, and how they were split."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.data.packed import SplitCounts, read_description
from simclr_steps.summary.data_facts import _images, data_facts
from tests.unit.settings.test_image_format import of


def test_the_format_of_the_images_is_said() -> None:
    one_range = of(2, bits=16, dtype="uint16", value_range=[(180, 4095)] * 2)
    two_ranges = of(2, bits=16, dtype="float32", channel_names=["DNA", "<b>"], value_range=[(-0.5, 1), (0, 65_535)])
    assert _images(of(3)) == "6 × 5 pixels, 3 channels"
    assert _images(one_range) == "6 × 5 pixels, 2 channels, 16 bits, range 180 to 4,095"
    assert _images(of(1)) == "6 × 5 pixels, 1 channel"
    said = "6 × 5 pixels, 2 channels (DNA, <b>), 16 bits, range DNA -0.5 to 1, <b> 0 to 65,535"
    assert _images(two_ranges) == said


def test_of_many_classes_the_page_tells_how_many_images_they_have(data: Path) -> None:
    packed, images = read_description(data), sum(range(1, 22))
    counted = SplitCounts(images=images, labeled=images, per_class=list(range(1, 22)))
    many = {"classes": [f"c{number}" for number in range(21)], "splits": {**packed.splits, "test": counted}}
    table = data_facts(packed.model_copy(update=many))["splits"]
    assert table[0][-1] == "of each class"
    assert next(row for row in table if row[0] == "test")[-1] == "1 to 21"
