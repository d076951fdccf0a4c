"""What is said of each plot: on the summary's page, and in Snakemake's report."""

from __future__ import annotations

from dataclasses import dataclass

from simclr_steps.summary.headline import DEVIATION


@dataclass(frozen=True)
class Caption:
    """The words beside one plot."""

    short: str  # on the summary's page, which explains the protocol elsewhere
    long: str  # in the report, where a plot stands alone; {dataset} stands for the data set's name
    title: str = ""  # on the page; the pictures of a run have none


# What is said of the page in the report.
PAGE = (
    "All results of all runs on one page: accuracy on the test split, or on the hold-out in a grid, for every number "
    "of labels and every kind of classifier; a description of the data, the protocol, the plots, and how the results "
    f"were produced. Accuracies are {DEVIATION}."
)

_UMAP = (
    "Each point is an image of the data set {dataset}; points that are close together are images that the network "
    "considers similar. Color and shape show the image's class. If a class forms an island, the network separates it "
    "from the others. The size and position of islands and the distance between those far apart mean nothing: UMAP "
    "preserves only neighborhoods. The numbers below the plot show how far it can be trusted: if accuracy in the "
    "plot is far below accuracy in the feature space, the picture hides what the network knows (in brackets, the 95 % "
    "interval for the number of images or of groups judged); a trustworthiness of 1 means that points close together "
    "in the plot are also close in the feature space."
)
_INTERACTIVE = "The interactive map shows each point's image."

# The summary's plots, in the order of the page.
PLOTS = {
    "label_efficiency": Caption(
        "Where the SimCLR curve lies above the others, pretraining has reduced the need for labels. Bars are standard "
        "deviations over draws of labels and seeds. Points of the same number of labels stand side by side. Chance is "
        "what always predicting the most frequent class gives.",
        "Accuracy by number of labeled training images, on the split that the axis names. Where the curve of the "
        "SimCLR encoder lies above the others, pretraining without labels has replaced labels: read to the left to "
        "see how many. Bars are standard deviations over all draws of the labels of all seeds; points of the same "
        "number of labels stand side by side, so that none hides another. Panels of the same data set share their "
        "range, so that they can be compared. Chance is what always predicting the most frequent class gives.",
        title="Accuracy by number of labels",
    ),
    "sweep": Caption(
        "How the values of the grid affect the accuracy of the frozen features and of the fine-tuned classifiers, on "
        "the hold-out. Bars are standard deviations over draws of labels, seeds and, in a grid of several keys, the "
        "other keys' values. Dotted lines are the best of what comes for free with as many labels, and chance.",
        "How the values of a grid affect accuracy on the hold-out: that of the frozen features, for each number of "
        "labels (solid lines), and that of the classifiers fine-tuned from the pretrained network (dashed lines). "
        "Points are means; bars are standard deviations over draws of labels and seeds and, in a grid of several "
        "keys, over the values of the other keys. Differences smaller than the bars mean little. A dotted line of the "
        "same color is the best of what comes for free with as many labels; a gray one is chance, always predicting "
        "the most frequent class.",
        title="Sweep",
    ),
    "confusion": Caption(
        "Percentage of the images of each class (rows) that the fine-tuned classifier assigns to each class "
        "(columns), for the first draw's classifier, with all seeds pooled.",
        "Which classes a fine-tuned classifier confuses: each row shows, as a percentage of the images of one class, "
        "which classes they were assigned to. A perfect classifier has all of them on the diagonal; a dark cell off "
        "the diagonal is a pair of classes that the classifier mixes up. The counts are the predictions of the first "
        "draw's classifier, with all seeds pooled.",
        title="Confusion",
    ),
    "mistakes": Caption(
        "Images of the test split, or of the hold-out in a grid, that the fine-tuned classifier (first draw, first "
        "seed) assigns to the wrong class with the highest probability: the true class, the predicted class and its "
        "probability. Some are mislabeled; others show what the classifier misses. All mistakes are in mistakes.csv "
        "or validation.mistakes.csv, beside the results of the fine-tuning.",
        "Images of the test split, or of the hold-out in a grid, that a fine-tuned classifier assigns to the wrong "
        "class, most confident mistakes first. Below each image are its class and, after the arrow, the predicted "
        "class with its probability. Some of these images are mislabeled, which no training can fix; others show what "
        "the classifier misses. The classifier shown is that of the first draw and the first seed.",
        title="Most confident mistakes",
    ),
    "monitors": Caption(
        "Mean over the seeds. Only kNN needs labels; chance is what always predicting the most frequent class gives, "
        "and epoch 0 of a training from scratch shows random weights. The effective rank counts the directions "
        "that the features use; a low value means that they collapse. Alignment measures how close two views of an "
        "image are, uniformity how evenly the projections are spread; lower is better for both.",
        'Metrics of the network on the hold-out during pretraining, by epoch, averaged over the seeds. "kNN accuracy" '
        "is how often the ten most similar training images vote for the right class, beside chance, which always "
        "predicts the most frequent class; it is the only metric that needs labels, and its value at epoch 0 is that "
        'of random weights where a training starts from scratch. "Effective rank" counts the directions that the '
        "features use; if it falls toward 1, all images look "
        'alike to the network. "Alignment" measures how close two views of an image are, "uniformity" how evenly the '
        "images are spread; lower is better for both.",
        title="Hold-out metrics during pretraining",
    ),
    "history": Caption(
        "Loss on the training images and on the hold-out, and the learning rate. A loss grows with the logarithm of "
        "the number of views that each is compared with, which differs between the two, so that logarithm, the loss "
        "of chance, was subtracted: 0 is a network to which all images look alike. Losses of different temperatures "
        "cannot be compared. One line per seed; a dotted line shows where a pretraining continues another.",
        "The SimCLR loss by epoch, on the training images and on the hold-out. Both should fall and then flatten out. "
        "A hold-out loss that rises again while the training loss keeps falling means that the network is starting to "
        "memorize its training images. A loss grows with the logarithm of the number of views that each is compared "
        "with, which differs between batches and hold-out, so that logarithm, the loss of chance, was subtracted: 0 is "
        "a network to which all images look alike. Losses of different temperatures cannot be compared. Tables have "
        "the losses as they are. The learning rate is shown below. One line per seed; a dotted line shows where a "
        "pretraining continues another.",
        title="Pretraining",
    ),
    "finetune_history": Caption(
        "Accuracy by epoch on the training images and on the hold-out, in panels of the same range. One line per draw "
        "and seed. Chance is what always predicting the most frequent class of the hold-out gives.",
        "Accuracy of the fine-tuned classifiers by epoch, on the training images and on the hold-out, with one line "
        "per draw of the labels and seed; the dotted line is chance, always predicting the most frequent class. Dots "
        "mark the epochs whose hold-out accuracy was measured, if some were not. "
        "If the training accuracy keeps rising while the hold-out accuracy has stopped improving, training for more "
        "epochs does not help.",
        title="Fine-tuning",
    ),
}

# The pictures of each run, by the name of their file.
PICTURES = {
    "augmentation": Caption(
        "The effect of the augmentation: each row shows an image and random views of it.",
        "What pretraining sees of the data set {dataset}: each row shows an image and random views of it, of which "
        "training compares two at a time. SimCLR learns to ignore whatever the views change. If you would not "
        "recognize a view yourself, or if a view changes what matters to you, the augmentation is too strong or of "
        "the wrong kind.",
    ),
    "neighbors": Caption(
        "Nearest neighbors by the cosine similarity of the backbone's features.",
        "Images of the data set {dataset}, each followed by the eight images whose features are most similar to its "
        "own. A blue frame marks a neighbor of the same class, a red dotted frame one of a different class. In the "
        "upper rows, the neighbors vote for the right class; in the lower rows, if there are any such images, for a "
        "wrong one. Without labels, there are no frames: check whether the neighbors show the same thing.",
    ),
    "backbone": Caption(
        "UMAP of the backbone's features, which classifiers are trained on.",
        f"{_UMAP} The features are those of the backbone, which a classifier uses. {_INTERACTIVE}",
    ),
    "metadata": Caption(
        "UMAP of the backbone's features, colored by columns of the table, of the split in its title only. If the "
        "values of a column lie apart, the features tell them; the accuracies under Metadata are of all splits, in a "
        "grid of all but test.",
        "The points of the backbone's plot of the data set {dataset}, colored by columns of its table, such as the "
        "plate; the title names the split. Where the values of a column lie apart, the network tells them from each "
        "other: a batch effect if the images should not differ by it. The interactive map has a menu for the same "
        "colors.",
    ),
    "projection_head": Caption(
        "UMAP of the projection head's features, which the SimCLR loss compares.",
        f"{_UMAP} The features are the projections that the SimCLR loss compares. {_INTERACTIVE}",
    ),
    "map": Caption(
        "UMAP of both layers' features, interactive.",
        f"{_UMAP} Move the pointer over a point, or tap it, to see its image; the menu colors points by class, "
        "neighbors' vote, cluster or a column of the table; what a lasso or a part of a path selects can be exported. "
        "If there are more than 10,000 points, the images are in files beside the page, which a report does not hold.",
    ),
}
