"""Published weights come from a server, a mirror or the user's own disk, and are verified."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.published import Published
from simclr_steps.settings.weights import PublishedWeights
from simclr_steps.steps import download_weights

CONTENT, OTHER = b"weights" * 1000, b"other weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = f"net-{SHA256[:8]}.pth"
NO_ADDRESS = "http://127.0.0.1:9/models/"  # where nobody listens


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Return the folder that the server offers below /models."""
    folder = tmp_path / "served/models"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(CONTENT)
    return folder


@pytest.fixture
def server(served: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served.parent))) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def publish(monkeypatch: pytest.MonkeyPatch, address: str, digits: str = SHA256[:8]) -> None:
    """Make up what is published, as nothing of it can be downloaded here."""
    monkeypatch.setattr(download_weights, "published", lambda encoder: Published(address, digits, "apache-2.0"))


def run(tmp_path: Path, **where: Any) -> dict[str, Any]:
    asked = PublishedWeights.model_validate({"encoder": "resnet50", **where})
    out = tmp_path / "resources/weights/resnet50.IMAGENET1K_V2.json"
    download_weights.download_weights(asked, folder=out.with_suffix(""), out=out)
    return dict(json.loads(out.read_text()))


def test_the_official_file_is_verified_and_described(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, f"{server}/models/{FILE}")
    facts = run(tmp_path)
    assert Path(facts["path"]).read_bytes() == CONTENT
    described = ("resnet50.IMAGENET1K_V2", f"{server}/models/{FILE}", SHA256, "apache-2.0")
    assert (facts["name"], facts["source"], facts["sha256"], facts["license"]) == described
    assert facts["run"]["step"] == "download_weights"


def test_a_file_of_other_digits_is_refused_and_the_mirror_asked(
    served: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mirror/models").mkdir(parents=True)
    (served / FILE).rename(tmp_path / "mirror/models" / FILE)
    (served / FILE).write_bytes(OTHER)
    publish(monkeypatch, f"{server}/models/{FILE}")
    with pytest.raises(UserError, match=f"its checksum is wrong: its sha256 is not {SHA256[:8]}.*`weights_mirrors`"):
        run(tmp_path)
    facts = run(tmp_path, mirrors=[(tmp_path / "mirror").as_uri()])
    assert Path(facts["path"]).read_bytes() == CONTENT


def test_without_digits_those_of_the_first_download_are_demanded_ever_after(
    served: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (served / FILE).rename(served / "model.safetensors")
    publish(monkeypatch, f"{server}/models/model.safetensors", digits="")
    file = Path(run(tmp_path)["path"])
    file.write_bytes(OTHER)
    assert Path(run(tmp_path)["path"]).read_bytes() == CONTENT, "a damaged file is fetched again"
    file.unlink()
    (served / "model.safetensors").write_bytes(OTHER)
    with pytest.raises(UserError, match=f"its sha256 is not {SHA256}"):
        run(tmp_path)
    other = hashlib.sha256(OTHER).hexdigest()
    assert run(tmp_path, sha256=other)["sha256"] == other


def test_the_users_own_file_is_used_where_it_is(served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, f"{NO_ADDRESS}{FILE}")
    for path in (served, served / FILE):
        facts = run(tmp_path, path=str(path))
        assert (facts["path"], facts["source"]) == (str(served / FILE), str(path))
    (served / FILE).write_bytes(OTHER)
    with pytest.raises(UserError, match=f"^weights_path: .*{FILE} is not the original .* name it as init"):
        run(tmp_path, path=str(served))
    assert (served / FILE).read_bytes() == OTHER
    with pytest.raises(UserError, match="^weights_path: there is no file .*: put it there"):
        run(tmp_path, path=str(tmp_path / "absent"))


def test_without_network_and_file_the_ways_out_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, f"{NO_ADDRESS}{FILE}")
    with pytest.raises(UserError, match=f"{FILE} could not be downloaded .*`weights_mirrors`, or set `weights_path`"):
        run(tmp_path)
