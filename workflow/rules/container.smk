from snakemake.settings.types import DeploymentMethod

IN_CONTAINER = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method

# Where programs in the image, which is read-only, keep what they would else compute again in every job.
CACHES = {
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
}


# The image, or where Apptainer gets it from. Whoever moves the link simclr.sif while jobs run does not change theirs.
IMAGE = CONFIG.container if "://" in CONFIG.container else str(Path(CONFIG.container).resolve())


def python():
    """Return how a command starts Python: this one, or the image's with its caches in the folder work."""
    if not IN_CONTAINER:
        return shlex.quote(sys.executable)
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
        sys.exit(f"config error: container: Snakemake can't start an image whose path holds a space, as does {IMAGE}")
    asked = workflow.resource_settings.overwrite_resources.values()
    gpus = [resources["gpu"].value for resources in asked if "gpu" in resources]
    if (GPUS or any(gpus)) and "--nv" not in shlex.split(arguments):
        sys.exit("error: steps in the container would not see the GPU: add --nv, as in --apptainer-args=--nv")
    mounted = [Path.cwd(), Path(os.sep, "tmp"), *bound_folders(arguments)]
    for name in DATASETS:
        data = Path(getattr(CONFIG.datasets[name], "path", None) or ".").resolve()
        if not any(data.is_relative_to(folder.resolve()) for folder in mounted):
            sys.exit(
                f"config error: datasets.{name}.path: the container does not see {data}: bind it, as in "
                f"--apptainer-args='--bind {data}'"
            )


def bound_folders(arguments):
    """Return the folders that Apptainer's arguments or environment bind to the same place in the container."""
    words = shlex.split(arguments)
    binds = [after for word, after in zip(words, words[1:]) if word in ("--bind", "-B")]
    binds += [word.partition("=")[2] for word in words if word.startswith("--bind=")]
    binds += [os.environ.get(name, "") for name in ("APPTAINER_BIND", "APPTAINER_BINDPATH")]
    return [Path(bind.split(":")[0]) for bind in ",".join(binds).split(",") if bind]


if IN_CONTAINER:
    check_container()
