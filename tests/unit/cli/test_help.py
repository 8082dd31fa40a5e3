"""What the help texts say: under which heading, and with examples that parse."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from chaosfuzz.cli import run
from chaosfuzz.cli.application import application
from chaosfuzz.cli.fuzz import fuzz
from chaosfuzz.cli.help import Command, Group

# Of the examples, those that end within a second and need no system.
CHEAP = (
    "chaosfuzz targets",
    "chaosfuzz defects simulated",
    "chaosfuzz invariants",
    "chaosfuzz actions",
    "chaosfuzz cases",
    "chaosfuzz cases list",
    "chaosfuzz profile schema",
    "chaosfuzz profile new mysystem.toml --yes --worker './worker {dsn}'",
    "chaosfuzz scenario --list",
    "chaosfuzz down",
)


def tree(
    command: click.Command = application, path: tuple[str, ...] = ("chaosfuzz",)
) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from tree(found, (*path, name))


COMMANDS = dict(tree())
EXAMPLES = sorted({line for c in COMMANDS.values() for line in (c.epilog or "").splitlines()})


def help_of(path: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run([*path.split()[1:], "--help"]) == 0
    return capsys.readouterr().out


def parse(line: str) -> None:
    program, *arguments = shlex.split(line)
    assert program == "chaosfuzz"
    command: click.Command = application
    context = command.make_context(command.name, arguments)
    while isinstance(command, click.Group):
        _, found, arguments = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert found is not None, line
        command = found
        context = command.make_context(command.name, arguments, parent=context)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_help_ends_with_an_example(path: str, capsys: pytest.CaptureFixture[str]):
    command = COMMANDS[path]
    assert isinstance(command, Command | Group)
    last = help_of(path, capsys).rstrip().splitlines()[-1]
    assert last == f"  {(command.epilog or '').splitlines()[-1]}"
    about = path if path.count(" ") else "chaosfuzz"
    assert any(line.startswith(about) for line in (command.epilog or "").splitlines())


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_parses(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    parse(line)


@pytest.mark.parametrize("line", ["chaosfuzz fuz", "chaosfuzz fuzz --nowhere", "chaosfuzz watch"])
def test_an_example_that_does_not_work_is_noticed(line: str):
    with pytest.raises((click.UsageError, AssertionError)):
        parse(line)


def test_every_cheap_example_is_one_of_the_help_texts():
    assert set(CHEAP) <= set(EXAMPLES)


@pytest.mark.parametrize("line", CHEAP)
def test_every_cheap_example_runs(
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


def test_the_first_screen_has_five_commands_to_start_with(capsys: pytest.CaptureFixture[str]):
    text = help_of("chaosfuzz", capsys)
    (start,) = re.findall(r"Start here:\n((?:  .+\n)+)\n", text)
    lines = start.splitlines()
    assert len(lines) == 5
    for line in lines:
        # Each is a command, or a command of a group, that exists.
        words = re.split(r" {2,}", line.strip())[0].split()
        assert " ".join(words if words[-1].islower() else words[:-1]) in COMMANDS
    assert text.index("Start here:") < text.index("Options:") < text.index("Search for broken")


def test_every_command_stands_under_one_heading(capsys: pytest.CaptureFixture[str]):
    text = help_of("chaosfuzz", capsys)
    context = click.Context(application)
    for name in application.list_commands(context):
        assert len(re.findall(rf"^  {name} {{2,}}\S", text, flags=re.MULTILINE)) == 1, name


def test_every_option_of_fuzz_stands_under_one_heading():
    placed = [name for names in fuzz.sections.values() for name in names]
    options = [p.name for p in fuzz.params if isinstance(p, click.Option)]
    assert sorted(placed) == sorted(str(name) for name in options)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_says_what_it_does(path: str):
    for option in COMMANDS[path].params:
        if isinstance(option, click.Option):
            assert option.help, f"{path} {option.name}"
