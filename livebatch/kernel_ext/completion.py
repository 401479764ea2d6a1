"""What the Tab key offers on the lines of livebatch's magics, and for streams in any cell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.interactiveshell import InteractiveShell

from livebatch.errors import LivebatchError
from livebatch.kernel_ext.chains import chain, members
from livebatch.kernel_ext.engine import NAME
from livebatch.kernel_ext.grammar import (
    ON_ONE_STREAM,
    SUGGESTED,
    cell_options,
    engine_options,
    stream_options,
)
from livebatch.kernel_ext.options import Options
from livebatch.kernel_ext.query_magic import query_options
from livebatch.kernel_ext.watch import watch_options
from livebatch.session import StreamingContext
from livebatch.sql import columns

_SQL = re.compile(r"%%query\b|%%stream\b.*\s--sql\b")
_LINE = re.compile(r"\s*(%%?\w+) (.*)", re.DOTALL)


class Matcher:
    """Completes options, their values and the names of streams; and what streams can do.

    What it knows it finds in the live objects. Where it finds anything nobody else is asked:
    Jedi, which reads the source instead, takes seconds and knows no operator.

    Args:
        shell: the notebook's.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    @context_matcher(identifier="livebatch", priority=1000)
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return what fits what has been typed."""
        if magic := _LINE.fullmatch(context.text_until_cursor):
            *words, typed = magic[2].split(" ")
            return _fitting(typed, self._on_magic_line(magic[1], words, typed), "param")
        if _SQL.match(context.full_text):
            typed = context.token
            found = self._in_sql(context.full_text) if typed else ()
            return _fitting(typed, found, "stream") | {"suppress": True}
        return self._in_code(context)

    def _on_magic_line(self, magic: str, words: list[str], typed: str) -> Iterable[str]:
        match magic, words:
            case "%%stream", []:
                return self._streams()
            case "%%stream", _:
                return _options(cell_options(), words, typed)
            case "%watch", []:
                return self._streams()
            case "%watch", _:
                return _options(watch_options(), words, typed)
            case "%%query", _:
                return _options(query_options(), words, typed)
            case "%stream", [action] if action in ON_ONE_STREAM:
                return self._streams()
            case "%stream", []:
                return stream_options().actions
            case "%engine", []:
                return engine_options().actions
            case "%engine", [action, *rest] if action in engine_options().actions:
                return _options(engine_options().actions[action], rest, typed)
        return ()

    def _in_sql(self, text: str) -> Iterable[str]:
        """Return the streams, and the columns of those that a query names."""
        ssc, words = self._shell.user_ns.get(NAME), set(re.findall(r"\w+", text))
        for name in self._streams():
            yield name
            if name in words:
                with suppress(LivebatchError):
                    found = columns(name, ssc)
                    yield from found if text.startswith("%%query") else found[1:]

    def _in_code(self, context: CompletionContext) -> SimpleMatcherResult:
        lines = context.full_text.split("\n")[: context.cursor_line]
        *steps, typed = chain("\n".join([*lines, context.text_until_cursor])) or [""]
        found = members(self._shell.user_ns, steps)
        return _fitting(typed, found, "function")

    def _streams(self) -> Iterable[str]:
        ssc = self._shell.user_ns.get(NAME)
        return sorted(ssc.streams) if isinstance(ssc, StreamingContext) else ()


def _options(options: Options, words: list[str], typed: str) -> Iterable[str]:
    flags = options.flags
    if words and words[-1] in flags and (values := _values(words[-1], flags)):
        return values
    return (
        [flag for flag in flags if flag not in words] if typed.startswith("-") or not typed else ()
    )


def _values(flag: str, flags: dict[str, Any]) -> tuple[str, ...]:
    return tuple(flags[flag]) or SUGGESTED.get(flag, ())


def _fitting(typed: str, words: Iterable[str], kind: str) -> SimpleMatcherResult:
    found = [SimpleCompletion(word, type=kind) for word in words if word.startswith(typed)]
    return {"completions": found, "matched_fragment": typed, "suppress": bool(found)}
