import hashlib
import shlex
import sys
from pathlib import Path

from simclr_steps.files import canonical_json, write_text
from simclr_steps.machine.code_hash import code_hash  # called in functions, as a job needs that of its step only
from simclr_steps.machine.container import image_of, python_in
from simclr_steps.machine.processes import STARTER, as_starter


def python():
    """Return how a command starts Python: this one, conda's, or the image's with its caches in the folder work."""
    if IN_CONTAINER:
        return python_in(image_of(CONFIG.container), undeclared("work/cache"))
    return "python" if IN_CONDA else shlex.quote(sys.executable)


PYTHON = python()

# A local job's step would outlive a killed Snakemake and overwrite the next one's results. A scheduled one may live on.
ENDS_WITH = "" if IS_SCHEDULED else f"{STARTER}={as_starter()}"


def command(step):
    """Return a param that starts a step's command; as it is derived from the resources, it triggers no rerun."""
    path = shlex.quote(str(PACKAGE.parent))

    def start(wildcards, resources, threads):
        # srun, unlike other launchers, would give each node's process one core of those that the job has
        cores = f"SRUN_CPUS_PER_TASK={threads}"
        launcher = f"{cores} {resources.mpi} -n {resources.nodes} " if "mpi" in resources.keys() else ""
        starter = "" if launcher else f"{ENDS_WITH} "
        return f"PYTHONSAFEPATH=1 PYTHONPATH={path} {starter}{launcher}{PYTHON} -m simclr_steps {step}"

    return start


def time_budget(wildcards, resources):
    """Return the option by which a training leaves in time, where a scheduler ends it: not in a local job."""
    return f"--time-budget {resources.runtime}" if IS_SCHEDULED else ""


def gpus(wildcards, resources):
    """Return the option that says how many GPUs a step takes; where only the machine was asked, the step finds out."""
    is_guess = resources.gpu and not (GPUS_ASKED or IS_SCHEDULED)
    return "" if is_guess else f"--gpus {resources.gpu}"


def options(*names):
    """Return a param: options of the step that a profile may set as resources, which trigger no rerun."""

    def given(wildcards, resources):
        set_ones = [name for name in names if name in resources.keys()]
        return " ".join(f"--{name.replace('_', '-')} {shlex.quote(str(getattr(resources, name)))}" for name in set_ones)

    return given


LONGEST = 50_000  # bytes; the system allows 131,072 for one argument, and a container's whole command is one


def as_argument(settings):
    """Return settings as an argument of a command: their text, or the file that holds it where it is too long."""
    content = settings.encode()
    if len(content) <= LONGEST:
        return shlex.quote(settings)
    path = Path(undeclared(f"work/settings/{hashlib.sha256(content).hexdigest()[:16]}.json"))
    if not (path.exists() or is_dry_run()):
        write_text(path, settings)
    return shlex.quote(str(path))


def given(settings):
    """Return a param: as_argument of what a function of the wildcards returns; derived, it triggers no rerun."""
    return lambda wildcards, output: as_argument(settings(wildcards))


def sha256_option(path):
    """Return the option that makes a step refuse another file of weights than the user's that is there now."""
    return ["--weights-sha256", *checksum_of(path)] if checksum_of(path) else []


def command_beside(step):
    """Return a param that starts a quick step in the command of pretraining, before it; derived, it triggers no rerun.

    Labels, and what a fine-tuning asks of the data, are looked at before any training and must rerun none. As inputs
    or params they would, and Snakemake forgets other reasons to run a job whose input is `ancient` and made anew.
    """
    path = shlex.quote(str(PACKAGE.parent))
    start = f"PYTHONSAFEPATH=1 PYTHONPATH={path} {ENDS_WITH} {PYTHON} -m simclr_steps {step}"
    return lambda wildcards, resources: start


def label_beside(wildcards, resources):
    """Return the command that writes the user's own labels as they are now; for a known set one that does nothing."""
    is_known = CONFIG.datasets[wildcards.dataset].is_downloaded
    return ":" if is_known else command_beside("label")(wildcards, resources)


def config_named(wildcards, output):
    """Return the option that names the config on the summary's page; derived, it triggers no rerun."""
    name = " with ".join([", ".join(config_files()), *(["values of --config"] if OVERRIDES else [])])
    return f"--config {shlex.quote(name)}" if config_files() else ""


def work_folder(name):
    """Return a param: where a training keeps what it needs to go on, which is no output, and triggers no rerun."""
    return lambda wildcards, output: undeclared(f"work/{name}".format(**wildcards))
