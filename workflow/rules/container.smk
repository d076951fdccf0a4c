import argparse

from snakemake.settings.types import DeploymentMethod

IN_CONTAINER = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
IN_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method

# Where programs in the image, which is read-only, keep what they would else compute again in every job.
CACHES = {
    "CUDA_CACHE_PATH": "cuda",
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "PYTORCH_KERNEL_CACHE_PATH": "torch_kernels",
    "TORCH_HOME": "torch",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
}


# The image, or where Apptainer gets it from. Whoever moves the link simclr.sif while jobs run does not change theirs.
IMAGE = CONFIG.container if "://" in CONFIG.container else str(Path(CONFIG.container).resolve())


def python():
    """Return how a command starts Python: this one, conda's, or the image's with its caches in the folder work."""
    if not IN_CONTAINER:
        return "python" if IN_CONDA else shlex.quote(sys.executable)
    caches = [f'{key}="$PWD/work/cache/{name}"' for key, name in CACHES.items()]
    image = [f"SIMCLR_IMAGE={shlex.quote(IMAGE)}", f"SIMCLR_IMAGE_SHA256={image_digest()}"]
    return " ".join(["env", *caches, *image, "python"])


def image_digest():
    """Return the digest that containers/build.sh wrote beside the image, which the container need not see; or nothing."""
    file = Path(f"{IMAGE}.sha256")
    return shlex.quote(file.read_text().strip()) if file.is_file() else ""


def check_container():
    """Stop Snakemake with one sentence where the image is missing, or would not see the GPU or the data."""
    arguments = workflow.deployment_settings.apptainer_args
    if "://" not in IMAGE and not Path(IMAGE).exists():
        sys.exit(
            f"config error: container: {CONFIG.container} does not exist: make it with containers/build.sh, or name another"
        )
    if len(IMAGE.split()) > 1:
        sys.exit(
            f"config error: container: Snakemake can't start an image whose path contains a space: move or rename {IMAGE}"
        )
    asked = workflow.resource_settings.overwrite_resources.values()
    gpus = [resources["gpu"] for resources in asked if "gpu" in resources]
    if (GPUS or any(gpu.is_evaluable() or gpu.value for gpu in gpus)) and "--nv" not in shlex.split(arguments):
        sys.exit("error: steps in the container would not see the GPU: add --nv, as in --apptainer-args=--nv")
    mounted = [Path.cwd(), Path(os.sep, "tmp"), *bound_folders(arguments)]
    for name in DATASETS:
        data = Path(getattr(CONFIG.datasets[name], "path", None) or ".").resolve()
        data = data.parent if data.is_file() else data  # beside a table lies what it names
        if not any(data.is_relative_to(folder.resolve()) for folder in mounted):
            sys.exit(
                f"config error: datasets.{name}.path: the container does not see {data}: bind it, as in "
                f"--apptainer-args='--bind {data}'"
            )


def bound_folders(arguments):
    """Return the folders that Apptainer's arguments or environment bind to the same place in the container."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--bind", "-B", action="append", default=[])
    parser.add_argument("--mount", action="append", default=[])
    known, _ = parser.parse_known_args(shlex.split(arguments))
    variables = [f"{program}_{name}" for program in ("APPTAINER", "SINGULARITY") for name in ("BIND", "BINDPATH")]
    binds = ",".join([*known.bind, *(os.environ.get(name, "") for name in variables)]).split(",")
    places = [(bind.split(":") * 2)[:2] for bind in binds if bind]
    for mount in known.mount:
        fields = dict(field.partition("=")[::2] for field in mount.split(","))
        source, target = (fields.keys() & names for names in ({"source", "src"}, {"destination", "dst", "target"}))
        places += [(fields[source.pop()], fields[target.pop()])] if source and target else []
    return [Path(source) for source, target in places if Path(source) == Path(target)]


if IN_CONTAINER:
    check_container()
