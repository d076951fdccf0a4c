"""The files of candidates are whole, readable and as small as can be, and their reader starts without Lightning."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simclr_steps.machine.errors import UserError
from simclr_steps.methods.candidate_files import read_candidate, write_candidate, write_candidates
from simclr_steps.methods.candidates import current_candidate
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.image_format import ImageFormat
from tests.unit.pretraining import SMALL


def test_where_there_are_no_hard_links_equal_candidates_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links")

    monkeypatch.setattr("os.link", refuse)
    encoder = Encoder(resolve(SMALL, ImageFormat.of_8_bits((8, 8), 1)))
    candidate = current_candidate(encoder, {"epoch": 1, "step": 5})
    write_candidates(tmp_path, {"best_loss": candidate, "last": candidate}, encoder.architecture)
    assert (tmp_path / "best_loss.ckpt").read_bytes() == (tmp_path / "last.ckpt").read_bytes()


def test_a_checkpoint_that_holds_one_number_as_size_is_read_as_a_square(tmp_path: Path) -> None:
    encoder, file = Encoder(resolve(SMALL, ImageFormat.of_8_bits((8, 8), 1))), tmp_path / "last.ckpt"
    write_candidate(file, current_candidate(encoder, {"epoch": 1, "step": 5}), encoder.architecture)
    content = torch.load(file, weights_only=True)
    content["architecture"] |= {"image_size": 8, "packed_size": 16}
    torch.save(content, file)
    read = read_candidate(file)[1].architecture
    assert (read.image_size, read.packed_size) == ((8, 8), (16, 16))


def test_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    encoder, file = Encoder(resolve(SMALL, ImageFormat.of_8_bits((8, 8), 1))), tmp_path / "last.ckpt"
    write_candidate(file, current_candidate(encoder, {"epoch": 1, "step": 5}), encoder.architecture)
    assert read_candidate(file)[0].step == 5
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(UserError, match="last.ckpt is damaged"):
        read_candidate(file)


def test_select_starts_without_lightning() -> None:
    code = "import sys, simclr_steps.steps.select; sys.exit('lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
