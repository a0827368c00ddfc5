"""Parsing that typer leaves out: several values after one option, and examples under the help of a command."""

import re
from collections.abc import Sequence
from typing import Any

import typer
from typer._click import Context, HelpFormatter
from typer._click.exceptions import UsageError
from typer.core import TyperArgument, TyperCommand, TyperGroup

from lib.files import in_cache

NAME = "python -m lib"
VALUE = re.compile(r"(?!-)|-\.?\d")  # begins a value: no dash, or a negative number


class Group(TyperGroup):
    """Commands that say so, and what to do, where the cache cannot be read or written."""

    def invoke(self, ctx: Context) -> Any:
        """Run the command that was asked for."""
        with in_cache():
            return super().invoke(ctx)


def new_group(text: str, completion: bool = False) -> typer.Typer:
    """An empty group of commands, each a `Command`; without a command it shows its help, and its errors are left to
    `lib.cli.main`.

    Args:
        text: what the commands of the group are for.
        completion: whether it offers to complete commands and options in the user's shell.
    """
    return _Commands(
        cls=Group,
        help=text,
        no_args_is_help=True,
        add_completion=completion,
        rich_markup_mode=None,  # plain text: fast, the same in a pipe, and readable in any locale
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )


def examples(*lines: str) -> str:
    """The text under a command's help: ``lines`` are what follows the program's name."""
    return "\b\n" + "\n".join(["Examples:" if len(lines) > 1 else "Example:", *(f"  {NAME} {line}" for line in lines)])


class Command(TyperCommand):
    """A command that takes an option once, and whose help names its arguments without the types of Python, which say
    nothing to a chemist.
    """

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Refuse an option that is given twice, of which the first would be lost; then parse as usual."""
        once = {name for p in self.params if not getattr(p, "multiple", False) for name in p.opts if name[0] == "-"}
        given = [argument.partition("=")[0] for argument in args]
        if repeated := sorted(name for name in once if given.count(name) > 1):
            raise UsageError(f"{repeated[0]} is given {given.count(repeated[0])} times: give it once", ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the help of arguments and options."""
        for param in self.params:
            if isinstance(param, TyperArgument):
                # nothing follows the argument's name; typer has no setting for it, and its stubs no attribute
                param.display_type_rich = lambda ctx: ""  # type: ignore[method-assign]
        super().format_options(ctx, formatter)


class _Commands(typer.Typer):
    """A group whose commands are `Command`s."""

    def command(self, name: str | None = None, *, cls: type[TyperCommand] | None = Command, **options: Any) -> Any:
        """As that of `typer.Typer`."""
        return super().command(name, cls=cls, **options)


class SeveralValues(Command):
    """A command whose list options take all values that follow: ``--seeds 0 1 2`` is ``--seeds 0 --seeds 1 --seeds 2``.

    It has no positional arguments, so that what follows a list option can only belong to it.
    """

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Spread the values, then parse as usual."""
        names = {name for p in self.params if getattr(p, "multiple", False) for name in p.opts}
        return super().parse_args(ctx, spread(args, names))


def spread(arguments: Sequence[str], names: set[str]) -> list[str]:
    """``arguments`` with each of ``names`` repeated before every value that follows it."""
    out: list[str] = []
    name, count = "", 0
    for argument in [*arguments, "--"]:  # the last ends what came before
        ends = not VALUE.match(argument)
        if ends:
            name, _, value = argument.partition("=")
            name, count = name if name in names else "", int(bool(value))
        elif name:
            out += [name] if count else []
            count += 1
        out.append(argument)
    return out[:-1]
