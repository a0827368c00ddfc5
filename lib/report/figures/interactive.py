"""What a reader can move in a notebook that has a kernel: a slider that draws a figure again."""

import os
from collections.abc import Callable, Sequence

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from lib.machine import STATIC


def slider(draw: Callable[[float], Figure], name: str, values: Sequence[float]) -> None:
    """Show ``draw(value)`` under a slider over ``values``, called ``name``.

    Nothing is shown where the environment variable `STATIC` is set, as it is for notebooks that are executed to be
    read: a slider without a kernel is dead, so each stands under a static picture of the same thing.
    """
    if os.environ.get(STATIC):
        return

    def show(value: float) -> None:
        """Draw the figure of one value and close it, so that it is shown once."""
        figure = draw(value)
        display(figure)
        plt.close(figure)

    choice = ipywidgets.SelectionSlider(options=list(values), value=values[len(values) // 2], description=name)
    ipywidgets.interact(show, value=choice)
