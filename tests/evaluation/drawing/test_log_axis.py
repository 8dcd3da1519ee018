"""Numbers along a logarithmic axis."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lib.evaluation.drawing.log_axis import use_log_scale


@pytest.mark.parametrize("values", [(2.1, 2.6), (9.0, 11.3), (0.03, 0.9), (6.0, 90.0), (0.5, 4000.0)])
def test_a_few_plain_numbers_stand_along_the_axis(values: tuple[float, float]) -> None:
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([1, 2], values)
    use_log_scale(axes)
    figure.canvas.draw()
    low, high = axes.get_ylim()
    labels = [
        label.get_text()
        for minor in (False, True)
        for label in axes.yaxis.get_ticklabels(minor=minor)
        if low <= label.get_position()[1] <= high
    ]
    shown = [float(text) for text in labels if text]
    assert 3 <= len(shown) <= 9
    assert all(low <= value <= high for value in shown)
