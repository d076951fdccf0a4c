def in_report(file, **told):
    """Mark a run's picture for Snakemake's report, unless there are too many runs for one page."""
    return file if SUMMARY.has_pages else report(file, **told)


def gallery_report(kind):
    """Return how the report shows a gallery."""
    return {
        "caption": f"../report/{kind}.rst",
        "category": "3 Galleries",
        "subcategory": "{dataset}",
        "labels": {"pretraining": "{pretrain}", "seed": "{seed}", "gallery": kind},
    }


def umap_report(layer, kind):
    """Return how the report shows the plot of a layer, or the map of both."""
    return {
        "caption": f"../report/{layer}.rst",
        "category": "2 Features in 2D",
        "subcategory": "{dataset}",
        "labels": {
            "pretraining": "{pretrain}",
            "seed": "{seed}",
            "layer": layer.replace("_", " "),
            "plot": kind,
        },
    }


def umap_by_columns(*kinds):
    """Return the plot of the points by the columns that `metadata` names, if there are any, for the report as well."""
    plots = [f"results/{{dataset}}/{{pretrain}}/seed{{seed}}/umap/metadata.{kind}" for kind in kinds]
    return [in_report(plots[0], **umap_report("metadata", "picture")), *plots[1:]] if CONFIG.metadata else []
