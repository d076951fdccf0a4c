# Undocumented parts of Snakemake, which may change: only this file uses them. min_version is what they were tested with.
import os

from snakemake.io import IOFile
from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake.settings.types import DeploymentMethod
from snakemake_interface_logger_plugins.common import LogEvent

IS_MAIN_PROCESS = workflow.is_main_process  # and not that of a job
IS_SCHEDULED = workflow.remote_exec  # this process runs a job that a scheduler has started
IN_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
IN_CONTAINER = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
APPTAINER_ARGUMENTS = workflow.deployment_settings.apptainer_args

# Of --configfile and --config; a workflow that uses this one as a module passes a config of its own instead.
IS_GIVEN_CONFIG = workflow.modifier.skip_configfile
NAMED_CONFIG_FILES = [] if IS_GIVEN_CONFIG else [os.path.relpath(file) for file in workflow.overwrite_configfiles]
OVERRIDES = {} if IS_GIVEN_CONFIG else dict(workflow.config_settings.config)

# How many GPUs all jobs may use, None without a limit; and how many --set-resources and profiles ask for, by rule: None
# where the number is computed later.
GPU_LIMIT = workflow.global_resources["gpu"].value if "gpu" in workflow.global_resources else None
GPUS_ASKED = {
    name: None if resources["gpu"].is_evaluable() else resources["gpu"].value
    for name, resources in workflow.resource_settings.overwrite_resources.items()
    if "gpu" in resources
}


def config_files():
    """Return the files that the config is read from, which Snakemake knows once it has read the Snakefile."""
    return [os.path.relpath(file) for file in workflow.configfiles]


def rerun_triggers():
    """Return the names of what makes Snakemake rerun a job, which it does not know while it reads the Snakefile."""
    return {trigger.name.lower() for trigger in workflow.rerun_triggers}


def is_dry_run():
    """Return whether Snakemake only shows what it would do, which it does not know while it reads the Snakefile."""
    return workflow.dryrun


def knows_or_forces(maker, path):
    """Return whether Snakemake has a note of how an output was made, or was asked to make it anew; once it plans.

    `maker` is the name of what makes it.
    """
    forced = workflow.dag_settings.forcerun
    if workflow.dag_settings.forceall or maker in forced or path in forced:
        return True
    return workflow.persistence.metadata(IOFile(path)) is not None


MODIFIER = workflow.modifier


def planned_jobs(rules):
    """Return the jobs of some rules that Snakemake has planned, as onstart knows them, for `simclr watch`.

    A temporary output shows that its job is done, and so do the outputs of those that took it. Rules have the names and
    paths that they have without a module's renaming and prefix.
    """
    dag = workflow.dag
    names = {MODIFIER.modify_rulename(rule): rule for rule in rules}
    jobs = [job for job in dag.jobs if job.output and job.rule.name in names]
    folder = os.path.dirname(undeclared("logs")) or "."

    def below(paths):
        return [os.path.relpath(path, folder) for path in map(str, paths)]

    takers = {job: [] for job in jobs}
    for taker in jobs:
        for job, files in dag.dependencies[taker].items():
            if job in takers and files & job.temp_output:
                takers[job].append(taker)
    return [
        {
            "rule": names[job.rule.name],
            "wildcards": dict(job.wildcards_dict),
            "made": [below(made.output) for made in (job, *takers[job])],
            "logs": below(job.log),
            "benchmark": below([job.benchmark])[0] if job.benchmark else None,
            "due": dag.needrun(job),
        }
        for job in jobs
    ]


def as_module_starts(function):
    """Have a function called as jobs start where another workflow uses all rules of this and ignores its onstart."""
    if MODIFIER.is_main_snakefile() or MODIFIER.rule_whitelist is not None:
        return
    onstart_of_other = workflow._onstart

    def onstart(log):
        onstart_of_other(log)
        function()

    workflow._onstart = onstart


def hide_finished_jobs():
    """Where Snakemake is quiet about rules, leave out their ends, too, which name numbers that it did not show.

    How many steps are done is still said, and what fails.
    """
    for handler in logger.handlers:
        if any(Quietness.RULES in getattr(one, "quiet", ()) for one in handler.filters):
            handler.addFilter(lambda record: getattr(record, "event", None) != LogEvent.JOB_FINISHED)


PATHS = workflow.modifier.path_modifier


def undeclared(path):
    """Return the path of what is no input or output: below a module's prefix, and never in a storage."""
    return str(PATHS.replace_prefix(path))
