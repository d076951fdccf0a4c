import json
import os
import pty
import re
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from simclr_steps.cli import parser
from simclr_steps.cli.options import Step
from simclr_steps.cli.parser import parse
from simclr_steps.cli.table import STEPS
from simclr_steps.machine.errors import UserError

PRETRAIN = ["pretrain", "--settings", "{}", "--data", "d", "--seed", "0", "--out", "o", "--work", "w"]
LIBRARIES = "import yaml, pydantic; pydantic.create_model('A', x=(int, 1))"  # what --help cannot do without


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simclr_steps", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def seconds_of(*arguments: str) -> float:
    """Return the CPU seconds of a Python process; beside other work they may be twice those of a quiet machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert subprocess.run([sys.executable, *arguments], capture_output=True).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_loads_no_torch_and_answers_at_once() -> None:
    code = "import sys; from simclr_steps.cli.parser import parser; parser().format_help(); print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'pydantic'" in modules
    assert not any(f"'{heavy}'" in modules for heavy in ("torch", "numpy", "pandas", "lightning", "sklearn"))
    commands = (["-m", "simclr_steps", "--help"], ["-c", LIBRARIES])
    times = np.array([[seconds_of(*command) for command in commands] for _ in range(5)])
    own, of_libraries = times.min(axis=0)
    assert own < 2.5 * of_libraries, "of which a quiet machine takes 0.2 s"


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_help(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse([step, "--help"])
    assert end.value.code == 0
    assert ("--out" in capsys.readouterr().out) == (step not in ("check", "watch", "prune", "run"))


@pytest.mark.parametrize(
    ("word", "offer"),
    [
        ("pretran", 'did you mean "pretrain"?'),
        ("xyz", "available: check, classify, compare, download, download_weights,"),
    ],
)
def test_a_step_that_does_not_exist_gets_an_offer(word: str, offer: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse([word, "--gpus", "1"])
    assert end.value.code == 2
    assert f'error: there is no step "{word}"; {offer}' in capsys.readouterr().err


def test_words_behind_two_dashes_are_passed_on_by_the_step_that_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    read = parse(["run", "my.yaml", "--slurm", "umap_all", "--", "-R", "umap", "--", "-n"])
    assert (str(read.config), read.targets, read.slurm) == ("my.yaml", ["umap_all"], True)
    assert read.options == ["-R", "umap", "--", "-n"]
    assert parse(["run"]).options == [] == parse(["run"]).targets
    with pytest.raises(SystemExit) as end:
        parse(["run", "my.yaml", "--cores", "2"])
    assert end.value.code == 2
    said = "run has no option --cores, and passes on what comes last, after --: simclr run my.yaml -- --cores 2"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["classify", "--model", "m", "--images", "./f.csv", "--out", "o.csv"], "--images"),
        (["export", "--encoder", "e", "--out", "f.csv"], "--out"),
        (["search", "--encoder", "e", "--features", "t", "--image", "a", "--image", "f.csv", "--out", "o"], "--image"),
        (["pretrain", "--settings", "f.csv", *PRETRAIN[3:]], "--settings"),
    ],
)
def test_a_log_that_would_empty_another_file_of_the_command_line_is_refused(
    words: list[str], flag: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.csv").write_text("path\na.png\n")
    (tmp_path / "link").symlink_to("f.csv")
    for log in ("f.csv", str(tmp_path / "f.csv"), "link"):
        with pytest.raises(SystemExit) as end:
            parse([*words, "--log", log])
        assert end.value.code == 2
        assert f"error: --log: {log} is {flag} as well, and would be emptied: give" in capsys.readouterr().err
    assert str(parse([*words, "--log", "other"]).log) == "other"


def test_version_names_what_runs_and_loads_no_torch() -> None:
    code = "import sys; sys.argv = ['simclr', '--version']; from simclr_steps.__main__ import main; main()"
    shown = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(
        r"simclr-workflow \d+\.\d+\.\d+ \(torch \d\S+, (no CUDA|CUDA [\d.]+), requirements.lock [0-9a-f]{12}\)\n",
        shown.stdout,
    )
    assert "pydantic" in shown.stderr and not re.search(r"\| +torch$", shown.stderr, flags=re.MULTILINE)


def test_mistake_of_the_user_ends_in_one_sentence_on_console_and_in_the_log(tmp_path: Path) -> None:
    settings = json.dumps({"temprature": 0.1})
    log = tmp_path / "logs" / "pretrain.log"
    arguments = ["--data", "none", "--seed", "0", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    ended = run("pretrain", "--settings", settings, *arguments, "--log", str(log))
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert 'unknown key "temprature"; did you mean "temperature"?' in ended.stderr
    date, _, line = log.read_text().partition(" ")
    assert line == ended.stderr and date.count("-") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "step",
    [step for step in STEPS.values() if any(option.check for option in step.options)],
    ids=lambda step: step.name,
)
def test_an_out_of_the_wrong_kind_is_told_before_the_step_begins(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begins(*_: object) -> None:
        raise AssertionError("it must not begin")

    monkeypatch.setattr(parser, "_function", begins)
    monkeypatch.setattr(parser, "read_settings", lambda *_: None)
    (out_text,) = [option.keywords["help"] for option in step.options if option.to == "out"]
    words = [step.name]
    for option in step.options:
        if option.keywords.get("required") and option.to != "out":
            words += [option.flag, *option.keywords.get("choices", ("0",))[:1]]
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to("absent")
    wrong = ("file", "nowhere") if out_text.startswith("folder") else ("folder",)
    for name in wrong:
        with pytest.raises(UserError, match=f"{name} is (not )?a folder"):
            parser.run(step, parse([*words, "--out", str(tmp_path / name)]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "nowhere"]


def test_init_says_on_a_terminal_at_once_what_it_does_and_nothing_of_it_elsewhere(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "simclr_steps", "init", str(tmp_path / "absent")]
    with os.fdopen(theirs, "w") as terminal:
        assert subprocess.run(words, stdout=subprocess.PIPE, stderr=terminal, check=False).stdout == b""
    said = ""
    with suppress(OSError):  # at the end, as no process has the other side open any more
        while part := os.read(ours, 10_000):
            said += part.decode()
    os.close(ours)
    assert 0 <= said.find("looking at the images") < said.find("absent does not exist")
    assert "looking" not in run("init", str(tmp_path / "absent")).stderr


def test_a_path_that_cannot_be_written_is_named_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    download = ["download", "--settings", '{"source": "digits"}', "--folder", str(tmp_path / "originals")]
    for out, log in ((tmp_path / "file/out.json", tmp_path / "log"), (tmp_path / "out.json", tmp_path)):
        ended = run(*download, "--out", str(out), "--log", str(log))
        assert ended.returncode == 1
        assert "cannot be used" in ended.stderr and str(tmp_path) in ended.stderr
        assert "Traceback" not in ended.stderr and len(ended.stderr.strip().splitlines()) <= 2


@pytest.mark.parametrize(("step", "module"), [("download", "sklearn"), ("pretrain", "torch")])
def test_a_missing_dependency_is_named_with_the_ways_to_install_it(step: str, module: str, tmp_path: Path) -> None:
    data = ["--settings", '{"source": "digits"}', "--folder", str(tmp_path), "--out", str(tmp_path / "out.json")]
    words = {"download": ["download", *data], "pretrain": PRETRAIN}[step]
    code = f"import sys; sys.modules[{module!r}] = None; from simclr_steps.__main__ import main; sys.exit(main())"
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"error: {module} is not installed: install requirements.lock of simclr-workflow 0." in ended.stderr
    assert ended.stderr.count("\n") == 2 and ": starting\n" in ended.stderr  # said before the import


@pytest.mark.parametrize("cause", ["stop", "None"])
def test_sigterm_that_a_library_turns_into_an_error_of_its_own_is_no_bug_of_the_program(cause: str) -> None:
    code = (
        "import os, signal, sys; from simclr_steps import __main__ as main\n"
        "def run(*_):\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM)\n"
        f"    except BaseException as stop: raise RuntimeError('the archive cannot be closed') from {cause}\n"
        "main.run = run; sys.exit(main.main())"
    )
    ended = subprocess.run([sys.executable, "-c", code, *PRETRAIN], capture_output=True, text=True, check=False)
    assert ended.returncode == 143
    assert ended.stderr.count("\n") == 1 and "stopped (SIGTERM): run again to resume" in ended.stderr


def test_sigterm_of_a_command_that_keeps_nothing_does_not_speak_of_resuming() -> None:
    code = (
        "import os, signal, sys; from simclr_steps import __main__ as main\n"
        "main.run = lambda *_: os.kill(os.getpid(), signal.SIGTERM); sys.exit(main.main())"
    )
    ended = subprocess.run([sys.executable, "-c", code, "init", "."], capture_output=True, text=True, check=False)
    assert ended.returncode == 143
    assert ended.stderr.endswith("init: stopped (SIGTERM)\n")


@pytest.mark.parametrize("module", ["simclr_steps.steps.attic", "json.attic"])
def test_a_missing_module_that_is_no_dependency_is_a_bug(module: str) -> None:
    code = (
        "import sys; from simclr_steps import __main__ as main\n"
        f"def run(*_): raise ModuleNotFoundError(name={module!r})\n"
        "main.run = run; sys.exit(main.main())"
    )
    ended = subprocess.run([sys.executable, "-c", code, *PRETRAIN], capture_output=True, text=True, check=False)
    assert ended.returncode == 70
    assert "this is a bug in the program" in ended.stderr


def test_a_log_in_a_folder_that_is_read_takes_the_place_of_no_file_but_an_earlier_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("image.png", "run.log"):
        (tmp_path / name).touch()
    words = ["classify", "--model", "m", "--images", str(tmp_path), "--out", "o.csv", "--log"]
    for name in ("run.log", "new.txt"):
        assert parse([*words, str(tmp_path / name)]).log == tmp_path / name
    with pytest.raises(SystemExit):
        parse([*words, str(tmp_path / "image.png")])
    assert "image.png is a file in --images, and would be emptied: give another name" in capsys.readouterr().err
