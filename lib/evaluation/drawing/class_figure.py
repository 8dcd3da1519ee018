"""Figure of a classification: how often each class was taken for which."""

import numpy as np
from matplotlib.figure import Figure

from lib.evaluation.drawing.value_text import with_error
from lib.evaluation.statistics.class_counts import ClassCounts


def draw_classes(title: str, found: ClassCounts) -> Figure:
    """Draw the confusion matrix; each row, a true class, adds up to one."""
    score = found.score()
    figure = Figure(figsize=(6.6, 5.4), layout="constrained")
    figure.suptitle(title, fontsize=14)
    axes = figure.subplots()
    totals = found.matrix.sum(axis=1, keepdims=True)
    share = found.matrix / np.maximum(totals, 1)
    image = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    for true, predicted in np.ndindex(*share.shape):
        colour = "white" if share[true, predicted] > 0.55 else "black"
        text = f"{share[true, predicted]:.3f}\n{found.matrix[true, predicted]}"
        axes.text(predicted, true, text, ha="center", va="center", color=colour, fontsize=9)
    names = [str(number) for number in range(len(share))]
    names[-1] += "+"
    axes.set(xticks=range(len(names)), yticks=range(len(names)), xticklabels=names, yticklabels=names)
    axes.set_xlabel("predicted number of photons")
    axes.set_ylabel("true number of photons")
    figure.colorbar(image, label="share of the true class")
    accuracy = with_error(100 * score.accuracy, 100 * score.accuracy_error)
    axes.set_title(f"{accuracy} % right, log loss {score.log_loss:.3f}, {score.num_events} events", fontsize=10)
    return figure
