from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.encoders import load_network
from simclr_steps.networks.features import compute_features, images_at_a_time, network_input
from tests.unit.conftest import WriteEncoder, deep_digits, digits
from tests.unit.settings.test_image_format import of

FIVE = of(5, bits=16, dtype="uint16", height=8, width=8)
CPU = torch.device("cpu")


def test_features_are_those_of_the_network_and_batches_change_nothing(write_encoder: WriteEncoder) -> None:
    network = load_network(write_encoder())
    images, _ = digits(7)
    with torch.no_grad():
        expected = network(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    for batch_size in (None, 3, 1):
        found = compute_features(network, images, CPU, batch_size)
        for array, tensor in zip(found, expected, strict=True):
            assert array.dtype == np.float32
            np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-4, atol=1e-5)


def test_packed_values_of_8_and_16_bits_become_numbers_between_0_and_1() -> None:
    for packed in (np.arange(256, dtype=np.uint8), np.arange(65_536, dtype=np.uint16)):
        found = network_input(torch.from_numpy(packed.reshape(1, -1, 2, 2)), (len(packed) // 4, 2))
        expected = (packed / np.float64(packed[-1])).astype(np.float32).reshape(-1, 2, 2).transpose(2, 0, 1)
        np.testing.assert_array_equal(found[0].numpy(), expected)


def test_features_of_16_bits_and_five_channels_are_those_of_the_network(write_encoder: WriteEncoder) -> None:
    network, (images, _) = load_network(write_encoder(image_format=FIVE)), deep_digits(7, channels=5)
    with torch.no_grad():
        expected = network(torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2) / 65_535)[0]
    np.testing.assert_allclose(compute_features(network, images, CPU, 3)[0], expected, rtol=1e-4, atol=1e-5)


def test_no_images_give_empty_features_of_the_right_width(write_encoder: WriteEncoder) -> None:
    features, projections = compute_features(load_network(write_encoder()), digits(0)[0], CPU)
    assert features.shape == (0, 16)
    assert projections.shape == (0, 16)


def test_a_network_in_training_keeps_its_mode_and_its_statistics(write_encoder: WriteEncoder) -> None:
    network = load_network(write_encoder()).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    compute_features(network, digits(4)[0], CPU)
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_read_only_maps_and_tensors_are_taken_alike(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    network = load_network(write_encoder())
    np.save(tmp_path / "images.npy", digits(5)[0])
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    of_map, of_tensor = (compute_features(network, x, CPU)[0] for x in (mapped, torch.from_numpy(np.array(mapped))))
    np.testing.assert_array_equal(of_map, of_tensor)


def test_images_of_another_size_are_resized_without_aliasing() -> None:
    stripes = torch.zeros(1, 32, 32, 1, dtype=torch.uint8)
    stripes[:, :, ::4] = 255  # of which plain bilinear interpolation, between the second and third pixel, sees nothing
    small = network_input(stripes, (8, 8))
    assert small.shape == (1, 1, 8, 8)
    assert (small[..., 1:-1] - 0.25).abs().max() < 0.01
    assert network_input(stripes, (32, 32)).shape == (1, 1, 32, 32)


def test_large_images_come_in_smaller_batches() -> None:
    assert images_at_a_time(np.empty((1, 32, 32, 3), dtype=np.uint8)) == 1024
    assert images_at_a_time(np.empty((1, 224, 224, 3), dtype=np.uint8)) < 100


def test_images_of_another_depth_are_refused(write_encoder: WriteEncoder) -> None:
    deep = write_encoder(image_format=of(1, bits=16, dtype="uint16", height=8, width=8))
    with pytest.raises(UserError, match="images with 16 bits, but these have 8: use the data it was made for"):
        compute_features(load_network(deep), digits(2)[0], CPU)
    with pytest.raises(UserError, match="images with 8 bits, but these have 16: use the data it was made for"):
        compute_features(load_network(write_encoder()), deep_digits(2)[0], CPU)


def test_images_of_other_channels_are_refused(write_encoder: WriteEncoder) -> None:
    with pytest.raises(UserError, match="3 channels, but these have 1"):
        compute_features(load_network(write_encoder(channels=3)), digits(2)[0], CPU)
