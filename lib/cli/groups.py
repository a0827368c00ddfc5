"""Options that belong together: a parameter of a command that is a dataclass stands for an option per field.

Several commands take the same group, so that an option has one home, and a command has few parameters.
"""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` as typer is to see it: with the fields of its dataclasses as parameters of their own."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        parameters += _of_fields(groups[name]) if name in groups else [parameter.replace(annotation=hints[name])]

    @wraps(command)
    def with_groups(**values: Any) -> None:
        """Gather the fields of each group, and call the command."""
        given = {}
        for name, kind in groups.items():
            given[name] = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
        command(**given, **values)

    keywords = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
    ordered = sorted(keywords, key=lambda parameter: parameter.default is not Parameter.empty)
    with_groups.__signature__ = Signature(ordered)  # type: ignore[attr-defined]  # what inspect.signature looks at
    with_groups.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
    return with_groups


def _of_fields(group: Any) -> Iterator[Parameter]:
    """A parameter for each field of the dataclass ``group``."""
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        default = Parameter.empty if field.default is MISSING else field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name])
