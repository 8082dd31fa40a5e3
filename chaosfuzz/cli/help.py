"""Help texts: commands and options under headings, and examples at the end."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import click

# A heading, and the names of the commands or of the options' parameters that stand under it.
Sections = Mapping[str, Sequence[str]]

# click cuts the first sentence of a help text at a limit; longer than this no sentence is.
LONGEST_SENTENCE = 200


def examples(*lines: str) -> str:
    """Return the epilog of a Command or a Group: whole command lines that work."""
    return "\n".join(lines)


class Command(click.Command):
    """A command whose help ends with its examples, and whose options may stand under headings.

    `sections` names the parameters of the options under each heading. Options that it does not
    name come last, under "Options".
    """

    sections: ClassVar[Sections] = {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        records = {
            str(parameter.name): record
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option)
            and (record := parameter.get_help_record(ctx)) is not None
        }
        for heading, names in self.sections.items():
            _write_list(formatter, heading, [records.pop(name) for name in names])
        _write_list(formatter, "Options", list(records.values()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        _write_examples(formatter, self.epilog)


class Group(click.Group):
    """A group of commands, in the order of their definition; its help ends with its examples."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of their definition."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with whole sentences, where click would cut them."""
        write_commands(self, ctx, formatter, {"Commands": self.list_commands(ctx)})

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        _write_examples(formatter, self.epilog)


def write_commands(
    group: click.Group, ctx: click.Context, formatter: click.HelpFormatter, sections: Sections
) -> None:
    """Write a group's commands under headings, each with the first sentence of its help."""
    width = max(len(name) for names in sections.values() for name in names)
    for heading, names in sections.items():
        rows = []
        for name in names:
            command = group.get_command(ctx, name)
            assert command is not None, name
            rows.append((f"{name:{width}}", command.get_short_help_str(LONGEST_SENTENCE)))
        _write_list(formatter, heading, rows)


def _write_list(
    formatter: click.HelpFormatter, heading: str, rows: Sequence[tuple[str, str]]
) -> None:
    if rows:
        with formatter.section(heading):
            formatter.write_dl(rows)


def _write_examples(formatter: click.HelpFormatter, epilog: str | None) -> None:
    """Write each line as it is: click would fill the lines of a paragraph."""
    lines = (epilog or "").splitlines()
    if lines:
        with formatter.section("Examples" if len(lines) > 1 else "Example"):
            for line in lines:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
