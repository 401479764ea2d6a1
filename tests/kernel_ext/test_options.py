"""Options of magics: an error is one line, and nothing ever exits."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from livebatch.kernel_ext.grammar import cell_options, engine_options, stream_options
from livebatch.kernel_ext.options import HelpShown, Options


def test_a_cell_has_sensible_defaults() -> None:
    options = cell_options().read("words")
    assert (options.name, options.show) == ("words", "auto")
    assert (options.window, options.retain, options.sql) == (None, 600_000, False)


def test_all_options_of_a_cell() -> None:
    options = cell_options().read("words --show bar --window 1m30s --retain=1h")
    assert (options.show, options.window, options.retain) == ("bar", 90_000, 3_600_000)


def test_an_action_that_is_not_named_has_a_default() -> None:
    assert engine_options().read("").action == "status"
    assert stream_options().read("").action == "list"


@pytest.mark.parametrize(
    ("options", "line", "says"),
    [
        (cell_options(), "", "required: NAME"),
        (cell_options(), "words --sho bar", "unrecognized arguments: --sho"),
        (cell_options(), "words --show pie", "invalid choice: 'pie'"),
        (cell_options(), "words --window fast", "'fast' is no duration; write 500ms"),
        (cell_options(), "words --window 0s", "'0s' is no duration"),
        (cell_options(), "'words", "No closing quotation"),
        (cell_options(), "words tags", "unrecognized arguments: tags"),
        (engine_options(), "start --workers 0", "'0' is not a number of at least 1"),
        (engine_options(), "start --workers two", "'two' is not a number"),
        (engine_options(), "start --on-error ignore", "invalid choice: 'ignore'"),
        (engine_options(), "begin", "invalid choice: 'begin'"),
        (stream_options(), "stop", "required: NAME"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options: Options, line: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        options.read(line)
    message = str(raised.value)
    assert says in message
    assert message.startswith(options.prog)
    assert "\n" not in message


@pytest.mark.parametrize("options", [cell_options(), engine_options(), stream_options()])
def test_help_is_printed(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HelpShown):
        options.read("--help")
    assert capsys.readouterr().out.startswith(f"usage: {options.prog}")
