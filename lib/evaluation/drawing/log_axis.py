"""A logarithmic axis whose numbers are read at a glance."""

from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

_DECADE: Final = 10.0
_NUM_TICKS: Final = 6


def use_log_scale(axes: Axes) -> None:
    """Make the y axis logarithmic, after the data is drawn, with plain numbers at a handful of ticks.

    By default an axis of less than a decade shows all its numbers as multiples of powers of ten.
    """
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < _DECADE * low:
        axes.yaxis.set_major_locator(MaxNLocator(_NUM_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
    elif high < _DECADE**2 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
