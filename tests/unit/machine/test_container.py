"""What is refused before a job starts in a container that would not see what the job needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simclr_steps.machine.container import bound_folders, check_data, check_gpu, check_image, image_of, python_in
from simclr_steps.machine.errors import UserError


def test_missing_image_is_named_as_the_config_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^container: images/simclr\.sif does not exist: make it with"):
        check_image("images/simclr.sif")
    check_image("docker://example.org/simclr")


def test_image_below_a_folder_with_a_space_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "an image.sif"
    image.touch()
    with pytest.raises(UserError, match=f"whose path contains a space: move or rename {image}$"):
        check_image(str(image))


def test_moving_the_link_changes_no_running_jobs_image(tmp_path: Path) -> None:
    for name in ("old.sif", "new.sif"):
        (tmp_path / name).touch()
    link = tmp_path / "simclr.sif"
    link.symlink_to("old.sif")
    taken = image_of(str(link))
    link.unlink()
    link.symlink_to("new.sif")
    assert taken == str(tmp_path.resolve() / "old.sif")
    assert image_of("docker://example.org/simclr") == "docker://example.org/simclr"


def test_command_sets_caches_below_the_working_directory_and_names_the_image(tmp_path: Path) -> None:
    image, folder = tmp_path / "it's.sif", tmp_path / "a folder"
    Path(f"{image}.sha256").write_text("abc\n")
    folder.mkdir()
    (tmp_path / "python").symlink_to(sys.executable)
    command = python_in(str(image), "my $work/cache")
    assert command.endswith(" python")
    names = ["MPLCONFIGDIR", "SIMCLR_IMAGE", "SIMCLR_IMAGE_SHA256"]
    code = f"import os; print(*(os.environ[name] for name in {names}), sep=chr(10))"
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = f'{command} -c "$CODE"'
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment | {"CODE": code}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [str(folder / "my $work/cache/matplotlib"), str(image), "abc"]


def test_gpu_needs_the_option_that_shows_it() -> None:
    check_gpu("--bind /data --nv")
    with pytest.raises(UserError, match=r"would not see the GPU: add --nv, as in --apptainer-args=--nv$"):
        check_gpu("--bind /data--nv")


@pytest.mark.parametrize(
    ("arguments", "environment", "folders"),
    [
        ("", {}, []),
        ("--nv --bind /a", {}, ["/a"]),
        ("--bind=/a,/b:/b:ro", {}, ["/a", "/b"]),
        ("-B/a -B /b", {}, ["/a", "/b"]),
        ("--bind /a:/mnt", {}, []),
        ("--mount type=bind,source=/a,destination=/a,ro --mount type=bind,src=/b,dst=/mnt", {}, ["/a"]),
        ("--mount type=tmpfs,dst=/a", {}, []),
        ("", {"APPTAINER_BIND": "/a", "SINGULARITY_BINDPATH": "/b:/b", "OTHER_BIND": "/c"}, ["/a", "/b"]),
    ],
)
def test_folders_bound_to_the_same_place_are_found(
    arguments: str, environment: dict[str, str], folders: list[str]
) -> None:
    assert bound_folders(arguments, environment) == [Path(folder) for folder in folders]


def test_data_need_a_bound_folder_and_a_table_the_folder_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("APPTAINER_BIND", "APPTAINER_BINDPATH", "SINGULARITY_BIND", "SINGULARITY_BINDPATH"):
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    outside = Path(__file__).resolve()  # tmp_path lies below /tmp, which every container sees
    with pytest.raises(UserError, match=f"^datasets.own.path: the container does not see {outside.parent}: bind it"):
        check_data({"datasets.own.path": outside}, f"--bind {outside}")
    check_data({"datasets.own.path": outside}, f"--bind {outside.parent}")
    check_data({"datasets.own.path": here, "pretrains.own.init": Path("/tmp")}, "")
    monkeypatch.setenv("APPTAINER_BIND", str(outside.parents[1]))
    check_data({"datasets.own.path": outside}, "")
