"""The commands that begin a config, start the workflow as a whole and look after its files, as entries of the table."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.cli.options import REST, Option, Step

_OF_SNAKEMAKE = (
    "any options of Snakemake: -- -n shows what would run, -- --cores 4 takes four cores, -- -R umap runs one rule "
    "again, -- --profile FOLDER takes a profile of your own"
)

OF_WORKFLOW = (
    Step(
        "init",
        "look at images and write a config that fits them: simclr init photos --out my.yaml",
        (
            Option(
                "images",
                "images",
                {
                    "type": Path,
                    "help": "folder of images, CSV file that lists them, .npz file, or folder of .npy arrays",
                },
            ),
            Option(
                "--out",
                "file",
                {"type": Path, "metavar": "FILE", "help": "write the config into this new file instead of printing it"},
            ),
        ),
        wing="commands",
        logs=False,
        begins="looking at the images, which takes some seconds",
    ),
    Step(
        "run",
        "run the workflow in this folder: Snakemake, with the profile of a workstation",
        (
            Option(
                "config",
                "config",
                {
                    "type": Path,
                    "nargs": "?",
                    "default": Path("config/config.yaml"),
                    "metavar": "CONFIG",
                    "help": "the config (default: %(default)s)",
                },
            ),
            Option(
                "targets",
                "targets",
                {"nargs": "*", "metavar": "TARGET", "help": "stages, such as umap_all, or files (default: everything)"},
            ),
            Option("--slurm", "slurm", {"action": "store_true", "help": "take the profile of a SLURM cluster instead"}),
            Option(REST, "options", {"nargs": "*", "metavar": "-- OPTION", "help": _OF_SNAKEMAKE}),
        ),
        wing="commands",
        logs=False,
    ),
    Step(
        "watch",
        "show how far the workflow in this folder is: all runs and stages, running trainings, failures, time left",
        (
            Option(
                "results",
                "results",
                {
                    "type": Path,
                    "nargs": "?",
                    "default": Path("results"),
                    "help": "folder that contains the results of all runs (default: %(default)s)",
                },
            ),
            Option(
                "--once",
                "once",
                {"action": "store_true", "help": "print once and exit, as when the output is not a terminal"},
            ),
        ),
        wing="machine",
        logs=False,
    ),
    Step(
        "prune",
        "list the training runs kept in the work folder, finished and interrupted, with size and age; with --remove, "
        "remove the finished ones that no result needs",
        (
            Option(
                "work",
                "work",
                {"type": Path, "nargs": "?", "default": Path("work"), "help": "the folder (default: %(default)s)"},
            ),
            Option("--remove", "remove", {"action": "store_true", "help": "remove the superseded ones"}),
            Option(
                "--remove-interrupted",
                "remove_interrupted",
                {"action": "store_true", "help": "remove the interrupted ones, which then cannot resume"},
            ),
        ),
        wing="commands",
        logs=False,
    ),
)
