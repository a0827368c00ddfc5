"""Hand-written forms of the models' message functions, and the one switch between them and the plain formulas.

A model states its messages as a plain formula and names the fast form beside it::

    @kernels.fast_form(EdgeMessages)
    def messages(...): ...

`enabled` decides at every call which of the two runs; `use` overrules it. The two are one function with one gradient
(`tests/models/test_kernels.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from lib.models.kernels.chunked import ChunkedFunction

CHOICES = ("auto", "plain", "fast")  # fast on a CPU alone, nowhere, on every device
_choice = "auto"


@contextmanager
def use(choice: str) -> Iterator[None]:
    """Inside, the fast forms run as ``choice`` of `CHOICES` says; outside, as before.

    Raises:
        ValueError: an unknown choice.
    """
    global _choice
    if choice not in CHOICES:
        raise ValueError(f"no choice of kernels {choice!r}: choose from {list(CHOICES)}")
    before, _choice = _choice, choice
    try:
        yield
    finally:
        _choice = before


def enabled(tensor: Tensor) -> bool:
    """Whether fast forms run on the device of ``tensor``: never inside torch.compile or in mixed precision."""
    device = tensor.device.type
    if torch.compiler.is_compiling() or torch.is_autocast_enabled(device):
        return False
    return _choice == "fast" or (_choice == "auto" and device == "cpu")


def fast_form(kernel: type[ChunkedFunction]) -> Callable[[Callable], Callable]:
    """Decorator of a plain formula of tensors: ``kernel`` takes its place where `enabled` and able to."""

    def decorate(plain: Callable) -> Callable:
        """The formula ``plain`` with its kernel."""

        @wraps(plain)
        def chosen(first: Tensor, *others: Any) -> Any:
            """Kernel or formula, decided at each call."""
            if enabled(first) and kernel.supports(first, *others):
                return kernel.apply(plain, first, *others)
            return plain(first, *others)

        return chosen

    return decorate
