"""What the workflow plans for a config, before anything has run."""

import json
import re
import resource
import shutil
from pathlib import Path

import pytest
import yaml

from simclr_steps.files import write_json
from simclr_steps.machine.code_hash import code_hash
from simclr_steps.machine.planned import read_plan
from simclr_steps.machine.watch import overview
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import plan
from tests.layout import SCRATCH
from tests.workflow.conftest import CONFIG, ROOT, Project, publish


def test_equal_pretrainings_of_two_experiments_are_planned_once(fresh: Project) -> None:
    fresh.config["pretrains"]["same"] = fresh.config["pretrains"]["simclr"]
    fresh.config["experiments"] = [
        {"dataset": "digits", "pretrain": "simclr", "finetunes": ["pretrained"]},
        {"dataset": "digits", "pretrain": "same", "finetunes": ["scratch"]},
    ]
    fresh.write_config()
    jobs = fresh.plan()
    assert [job for job in jobs if job[0] == "pretrain"] == [("pretrain", "digits", "simclr", "0")]
    starts = {job[2:] for job in jobs if job[0] == "finetune"}
    assert starts == {("simclr/seed0", "pretrained"), (SCRATCH, "scratch")}


def test_grid_plans_one_pretraining_for_each_combination(fresh: Project) -> None:
    fresh.config["experiments"][0]["grid"] = {"temperature": [0.1, 0.5], "epochs": [1, 2, 3]}
    fresh.write_config()
    jobs = fresh.plan("summary")
    assert len([job for job in jobs if job[0] == "pretrain"]) == 6
    assert ("pretrain", "digits", "simclr-epochs=3-temperature=0.1", "0") in jobs
    assert len([job for job in jobs if job[0] == "present"]) == 6, "too many for one page"


def test_seeds_temperatures_and_label_fractions_share_their_pretrainings(fresh: Project) -> None:
    names = ["tenth", "third", "all"]
    fresh.config["finetunes"] = {
        name: {"labels": labels, "epochs": 1} for name, labels in zip(names, (0.1, 0.3, 1.0), strict=True)
    }
    experiment = fresh.config["experiments"][0] | {"seeds": [0, 1, 2], "grid": {"temperature": [0.1, 0.5]}}
    fresh.config["experiments"] = [experiment | {"finetunes": [name]} for name in names]
    fresh.write_config()
    planned = fresh.dry_run("--cores", "2").stdout
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", planned, re.MULTILINE)}
    expected = {"pretrain": 6, "galleries": 6, "umap": 6, "finetune": 18, "compare": 4, "evaluate": 6, "summary": 1}
    assert {rule: counts[rule] for rule in expected} == expected, "pixels and three networks serve all temperatures"
    assert "present" not in counts, "one page holds them all"
    assert "results/summary/sweep.png" in planned


def inputs_of_test(shown: str) -> set[str]:
    """Return the rules of a dry run that take files of the test split."""
    inputs = re.findall(r"^rule (\w+):\n    input: (.*)$", shown, re.MULTILINE)
    return {rule for rule, files in inputs if re.search(r"/test[./]|/predictions\.parquet", files)}


@pytest.mark.parametrize("drawn", ["test", "all"])
def test_runs_of_a_grid_take_the_hold_out_and_only_the_winner_by_itself_the_test_split(
    drawn: str, fresh: Project
) -> None:
    fresh.config["umap"] |= {"split": drawn}
    fresh.config["experiments"][0]["grid"] = {"temperature": [0.1, 0.5]}
    fresh.write_config()
    shown = fresh.dry_run("--cores", "2", "--printshellcmds").stdout
    assert inputs_of_test(shown) <= {"label"}, "which writes down what the test split has"
    assert "--judged-by test" not in shown and "--split test" not in shown
    fresh.config["pretrains"]["best"] = fresh.config["pretrains"]["simclr"] | {"temperature": 0.1}
    fresh.config["experiments"].append({**fresh.config["experiments"][0], "pretrain": "best", "grid": {}})
    fresh.write_config()
    shown = fresh.dry_run("--cores", "2", "--printshellcmds").stdout
    assert {"evaluate", "compare", "finetune", "predict_features", "umap", "explore", "galleries"} <= inputs_of_test(
        shown
    )
    trained = re.findall(r"simclr_steps pretrain .* --out (\S+)", shown)
    assert sorted(trained) == [f"results/digits/simclr-temperature={value}/seed0/pretrain" for value in (0.1, 0.5)]
    judged = re.findall(r"simclr_steps evaluate .* --judged-by (\w+) +--out results/digits/(\S+)/seed0", shown)
    assert sorted(judged) == [("test", "simclr-temperature=0.1"), ("validation", "simclr-temperature=0.5")]
    folder = "results/digits/simclr-temperature=0.5/seed0"
    shown = fresh.dry_run("--cores", "2", f"{folder}/index.html").stdout
    (inputs,) = re.findall(r"^rule present:\n    input: (.*)$", shown, re.MULTILINE)
    predicted = [file for file in inputs.split(", ") if "predictions" in file]
    assert predicted == [f"{folder}/finetune/pretrained/validation.predictions.parquet"], "not from scratch, of test"
    assert f" {folder}/finetune/pretrained/validation.mistakes.csv," in inputs, "which has their order"


def test_options_of_a_training_that_are_hardware_are_set_as_resources(fresh: Project) -> None:
    resources = ("pretrain:workers=2", "pretrain:compile=never", "pretrain:save_minutes=5", "finetune:save_minutes=3")
    own = "pretrain:logger=my_loggers:wandb;true"  # which must mean nothing to the shell
    shown = fresh.dry_run("--printshellcmds", "--cores", "2", "--set-resources", *resources, own).stdout
    options = "--workers 2 --compile never --save-minutes 5 --logger 'my_loggers:wandb;true'"
    assert re.search(rf"pretrain --settings .* {options} --log", shown)
    assert re.search(r"finetune --settings .* --save-minutes 3 --log", shown)
    assert "--save-minutes" not in fresh.dry_run("--printshellcmds", "--cores", "2").stdout


def test_test_split_is_no_input_of_pretrain_and_select(fresh: Project) -> None:
    shown = fresh.dry_run("--cores", "2").stdout
    inputs = dict(re.findall(r"^rule (\w+):\n    input: (.*)$", shown, re.MULTILINE))
    assert "/test." in inputs["evaluate"]
    for rule in ("pretrain", "select"):
        assert "/train.images.npy" in inputs[rule]
        assert "/test." not in inputs[rule]


@pytest.mark.parametrize(
    ("target", "last"),
    [
        ("pretrain_all", "pretrain"),
        ("select_all", "select"),
        ("finetune_all", "finetune"),
        ("predict_all", "tabulate_features"),
        ("explore_all", "explore"),
    ],
)
def test_stage_target_plans_the_stage_and_what_it_needs(target: str, last: str, fresh: Project) -> None:
    rules = fresh.planned_rules(target)
    assert {"download", "prepare", last, target} <= rules
    assert "summary" not in rules


def test_published_weights_are_downloaded_once_for_all_pretrainings(fresh: Project) -> None:
    fresh.config["pretrains"]["simclr"] |= {"encoder": "resnet18", "stem": "auto", "init": "published"}
    fresh.config["experiments"][0] |= {"seeds": [0, 1], "grid": {"temperature": [0.1, 0.5]}}
    fresh.write_config()
    shown = fresh.dry_run("--cores", "2", "--printshellcmds", "pretrain_all").stdout
    assert re.search(r"^download_weights +1$", shown, re.MULTILINE) and re.search(r"^pretrain +4$", shown, re.MULTILINE)
    assert "--weights resources/weights/resnet18.IMAGENET1K_V1.json" in shown
    assert "download_weights" in fresh.planned_rules("download_all")


def test_what_needs_the_network_runs_where_snakemake_runs_as_nodes_often_have_none() -> None:
    fetching = {file.stem for file in (ROOT / "simclr_steps/steps").glob("*.py") if "fetching" in file.read_text()}
    text = (ROOT / "workflow/Snakefile").read_text()
    assert len(fetching) > 1 and fetching <= set(
        re.findall(r"\w+", text.partition("localrules:")[2].partition("rule all")[0])
    )


def test_all_pretrainings_share_what_is_trained_from_scratch_and_from_published_weights(fresh: Project) -> None:
    fresh.config["pretrains"]["simclr"]["encoder"] = "resnet18"
    fresh.config["finetunes"]["given"] = {"labels": 20, "epochs": 1, "init": "published"}
    experiment = fresh.config["experiments"][0] | {"seeds": [0, 1], "grid": {"temperature": [0.1, 0.5]}}
    fresh.config["experiments"] = [experiment | {"finetunes": ["pretrained", "scratch", "given"]}]
    fresh.write_config()
    shown = fresh.dry_run("--cores", "2", "--printshellcmds").stdout
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", shown, re.MULTILINE)}
    tuned = ("finetune", "predict_classifier", "gather_further_predictions")  # of the hold-out, as it is a grid
    assert [counts[rule] for rule in tuned] == [4 + 2 + 2] * 3 and counts["download_weights"] == 1
    commands = re.findall(r"simclr_steps finetune (.*)", shown)
    given = [command for command in commands if "compare/published-resnet18-seed1/finetune/given" in command]
    assert len(given) == 1 and "--weights resources/weights/resnet18.IMAGENET1K_V1.json" in given[0]
    assert "--seed 1" in given[0] and "--encoder" not in given[0]
    assert sum("--encoder results/" in command for command in commands) == 4


def test_every_split_that_is_asked_for_is_gathered(fresh: Project) -> None:
    fresh.config["prediction"] = {"splits": ["train", "unlabeled"]}
    fresh.config["umap"]["split"] = "validation"
    fresh.config["explore"] = {"splits": ["unlabeled"]}
    fresh.write_config()
    jobs = fresh.plan()
    assert {job[-1] for job in jobs if job[0] == "tabulate_features"} == {"train", "validation"}
    assert [job[0] for job in jobs].count("take_unlabeled") == 1
    gathered = [job[-1] for job in jobs if job[0] == "gather_features"]
    assert sorted(gathered) == ["train", "validation"], "the features of unlabeled images are computed once, in train"
    for classifier in (("simclr/seed0", "pretrained"), (SCRATCH, "scratch")):
        predicted = [job[-1] for job in jobs if job[0] == "predict_classifier" and job[2:4] == classifier]
        assert sorted(predicted) == ["test", "train"], "and so are their predictions"
        further = [job[-1] for job in jobs if job[0] == "gather_further_predictions" and job[2:4] == classifier]
        assert sorted(further) == ["train", "unlabeled"]
    assert [job[0] for job in jobs].count("gather_predictions") == 2, "the summary shows the test split in any case"


def test_command_line_config_takes_numbers_below_its_first_level(fresh: Project) -> None:
    override = ("--config", "pretrains={simclr: {epochs: 2}}", "umap={n_neighbors: 9, supervised: true}")
    done = fresh.dry_run("--cores", "2", "--printshellcmds", *override)
    assert done.returncode == 0, done.stderr
    assert '"epochs":2,' in done.stdout
    assert '"n_neighbors":9,' in done.stdout
    assert '"supervised":true' in done.stdout


def test_named_config_stands_alone(fresh: Project, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    block = {"datasets": {"d": {"source": "digits"}}, "pretrains": {"simclr": {}}}
    own.write_text(json.dumps({**block, "experiments": [{"dataset": "d", "pretrain": "simclr"}]}))
    done = fresh.dry_run("--cores", "2", "--printshellcmds", "--configfile", str(own))
    assert done.returncode == 0, done.stderr
    assert '"epochs":"auto",' in done.stdout  # the settings' default, not the other config's 1
    assert "rule finetune" not in done.stdout


@pytest.mark.slow
def test_workflow_runs_from_another_folder(fresh: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    shutil.copy(fresh.folder / "mine.py", elsewhere)  # own code is run from the working folder
    options = ("--configfile", "config/config.yaml", "--directory", str(elsewhere))
    prepared = fresh.forked_snakemake("--cores", "2", *options, "prepare_all", warm=True)
    assert prepared.returncode == 0, prepared.stderr
    assert (elsewhere / "resources/digits/dataset.json").exists()


def outer_workflow(folder: Path, snakefile: str) -> Project:
    """Return a workflow that uses this one as a module, with a config of its own."""
    folder.mkdir()
    (folder / "Snakefile").write_text(
        f'configfile: "config.yaml"\n'
        f"module simclr:\n    snakefile: {snakefile}\n    config: config\n"
        f"use rule * from simclr as simclr_*\n"
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    shutil.copy(ROOT / "tests/own_encoders.py", folder / "mine.py")
    return Project(folder)


def test_another_workflow_uses_this_one_from_a_folder(fresh: Project, tmp_path: Path) -> None:
    snakefile = f"{str(fresh.folder / 'workflow/Snakefile')!r}\n    prefix: 'ssl'"
    outer = outer_workflow(tmp_path / "outer", snakefile)
    done = outer.forked_snakemake("--cores", "2", "simclr_prepare_all", warm=True)
    assert done.returncode == 0, done.stderr
    made = outer.folder / "ssl"
    assert (made / "resources/digits/dataset.json").exists()
    head, _, stages, *rows, _, nothing = overview(made, read_plan(made))
    assert re.fullmatch(r"(\d) of \1 steps done", head) and nothing == "nothing is running"
    assert stages.split() == ["data"] and "digits  done" in rows


@pytest.mark.slow
def test_another_workflow_uses_this_one_from_a_git_tag(fresh: Project, tmp_path: Path) -> None:
    environment = publish(fresh.folder, tmp_path)
    snakefile = 'github("owner/simclr-workflow", path="workflow/Snakefile", tag="v1.2.3")'
    outer = outer_workflow(tmp_path / "outer", snakefile)
    done = outer.forked_snakemake("--cores", "2", "simclr_prepare_all", warm=False, **environment)
    assert done.returncode == 0, done.stderr
    assert (outer.folder / "resources/digits/dataset.json").exists()
    rules = outer.planned_rules("simclr_pretrain_all", **environment)
    assert rules == {"simclr_pretrain", "simclr_pretrain_all"}


@pytest.mark.slow
def test_dry_run_of_200_experiments_takes_little_more_than_one_of_20(fresh: Project) -> None:
    def seconds_of_cpu(experiments: int) -> float:
        runs = [{"dataset": "digits", "pretrain": "simclr", "seeds": [seed]} for seed in range(experiments)]
        fresh.config["experiments"] = runs
        fresh.write_config()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = fresh.snakemake("--dry-run", "--cores", "2", "--quiet", "rules")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert re.search(rf"^pretrain +{experiments}$", done.stdout + done.stderr, re.MULTILINE), done.stderr
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    few, many = seconds_of_cpu(20), seconds_of_cpu(200)
    # A ratio, as machines differ: 4.6 s for 200 on a quiet one (Zen 5), most of it Snakemake's own, and on a busy one
    # 18.0 s, which was 4.2 times as much as for 20; work that grew with the square would be above 20 times.
    assert many < 6 * few, f"{many:.1f} s of CPU for 200, {few:.1f} s for 20"


def test_a_schedulers_job_gets_a_time_budget_and_every_local_step_ends_with_snakemake(fresh: Project) -> None:
    for mode, budgets in (("default", set()), ("remote", {"1440", "480"})):
        done = fresh.dry_run("--printshellcmds", "--cores", "1", "--mode", mode)
        assert done.returncode == 0, done.stderr
        said = done.stdout + done.stderr
        assert set(re.findall(r"--time-budget (\d+)", said)) == budgets
        starts = re.findall(r"PYTHONSAFEPATH=1 PYTHONPATH=\S+ (.*?) *\S*python\S* -m simclr_steps (\w+)", said)
        assert {"check", "pretrain", "summarize"} < {step for _, step in starts}
        pattern = r"SIMCLR_STARTER=\d+@\S+" if mode == "default" else ""
        assert [step for starter, step in starts if not re.fullmatch(pattern, starter)] == []


def test_every_path_of_every_command_lies_below_a_modules_prefix(fresh: Project, tmp_path: Path) -> None:
    snakefile = f"{str(fresh.folder / 'workflow/Snakefile')!r}\n    prefix: 'ssl'"
    outer = outer_workflow(tmp_path / "outer", snakefile)
    done = outer.dry_run("--printshellcmds", "--cores", "2", "--", "simclr_all")
    assert done.returncode == 0, done.stderr
    commands = re.findall(r"PYTHONSAFEPATH=1 .*", done.stdout)
    steps = {step for command in commands for step in re.findall(r"-m simclr_steps (\w+)", command)}
    assert len(steps) == 16
    paths = [
        path for command in commands for path in re.findall(r" --(?!settings|config )[\w-]+ (?=\S*[a-z])(\S+)", command)
    ]
    assert [path for path in paths if not path.startswith("ssl/") and "/" in path] == []
    assert {path.split("/")[1] for path in paths if "/" in path} == {
        "resources",
        "results",
        "work",
        "logs",
        "benchmarks",
    }
    assert {path for path in paths if "/" not in path} <= {"train", "test"}


def test_a_pretraining_that_continues_another_plans_it_and_waits_for_it(fresh: Project) -> None:
    fresh.config["pretrains"]["longer"] = {"continue": "simclr", "epochs": 2}
    fresh.config["experiments"][0] |= {"pretrain": "longer", "seeds": [3]}
    fresh.write_config()
    shown = fresh.dry_run("--cores", "2", "--printshellcmds").stdout
    assert re.search(r"^pretrain +2$", shown, re.MULTILINE) and re.search(r"^select +1$", shown, re.MULTILINE)
    assert "--parent results/digits/simclr/seed3/pretrain --data resources/digits" in shown
    assert re.search(r"input: .*results/digits/simclr/seed3/pretrain\n    output: results/digits/longer/seed3/", shown)


def test_raised_epochs_of_a_finished_pretraining_are_told_of_continue(fresh: Project) -> None:
    trained = plan(read_config(fresh.config)).pretrains["simclr"].trained.model_dump(mode="json")
    write_json(
        fresh.folder / "results/digits/simclr/seed0/pretrain/run.json",
        {"settings": trained, "fitted": {"epochs": trained["epochs"]}, "code_hash": code_hash("pretrain")},
    )
    fresh.config["pretrains"]["simclr"]["epochs"] += 4
    fresh.write_config()
    done = fresh.dry_run("--cores", "2", "-R", "pretrain")
    said = done.stdout + done.stderr
    assert "note: results/digits/simclr/seed0/pretrain has" in said
    assert "and add a block with continue: simclr and epochs: 4" in said


def test_a_page_of_a_run_that_the_config_does_not_ask_for_is_refused_in_one_sentence(fresh: Project) -> None:
    done = fresh.dry_run("--cores", "2", "results/digits/other/seed0/index.html")
    said = "error: results/digits/other/seed0/index.html: the config asks for no such run: add it to experiments"
    assert done.returncode != 0 and said in done.stdout + done.stderr and "Traceback" not in done.stderr
