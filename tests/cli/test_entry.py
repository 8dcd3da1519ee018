"""A command must end with the right code: a message for the user's mistake, a traceback for the program's."""

import logging
import os
import sys
from collections.abc import Sequence

import pytest

from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR, run_command
from lib.errors import DataError


def test_the_code_of_the_command_is_passed_on() -> None:
    assert run_command(lambda arguments: EXIT_DONE, []) == 0
    assert run_command(lambda arguments: 75, []) == 75


def test_the_arguments_of_the_command_are_passed_on() -> None:
    seen: list[Sequence[str]] = []
    run_command(lambda arguments: seen.append(arguments) or EXIT_DONE, ["--seed", "1"])
    assert seen == [["--seed", "1"]]


def test_the_arguments_of_the_process_serve_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[str]] = []
    monkeypatch.setattr(sys, "argv", ["program", "--events", "5"])
    run_command(lambda arguments: seen.append(arguments) or EXIT_DONE)
    assert seen == [["--events", "5"]]


def test_a_mistake_of_the_user_ends_with_its_message_alone(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(arguments: Sequence[str]) -> int:
        raise DataError("run1.root: no tree 'tree'")

    assert run_command(refuse, []) == EXIT_USER_ERROR == 2
    captured = capsys.readouterr()
    assert captured.err == "error: run1.root: no tree 'tree'\n"
    assert captured.out == ""


def test_control_characters_of_a_message_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(arguments: Sequence[str]) -> int:
        raise DataError("é \x1b[2J\u202ename\x00:\nnot plain")

    assert run_command(fail, []) == EXIT_USER_ERROR
    assert capsys.readouterr().err == "error: é \\x1b[2J\\u202ename\\x00:\nnot plain\n"


def test_a_fault_of_the_program_is_not_hidden() -> None:
    def fail(arguments: Sequence[str]) -> int:
        raise ZeroDivisionError("a fault")

    with pytest.raises(ZeroDivisionError, match="a fault"):
        run_command(fail, [])


def test_an_exit_of_the_argument_parser_is_passed_on() -> None:
    def leave(arguments: Sequence[str]) -> int:
        raise SystemExit(2)

    with pytest.raises(SystemExit, match="2"):
        run_command(leave, ["--help"])


def test_the_steps_of_embedding_a_font_are_not_logged() -> None:
    run_command(lambda arguments: EXIT_DONE, [])
    assert not logging.getLogger("fontTools.subset").isEnabledFor(logging.INFO)


@pytest.mark.parametrize(
    ("given", "seen"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
    ids=["nothing said", "another count", "a policy"],
)
def test_threads_spin_briefly_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], seen: str | None
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found: list[str | None] = []
    run_command(lambda _: found.append(os.environ.get("GOMP_SPINCOUNT")) or EXIT_DONE, [])
    assert found == [seen]
