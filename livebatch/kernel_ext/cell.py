"""The body of a ``%%stream`` cell: ordinary Python whose last expression is the stream."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import CodeType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from livebatch.duck import moved
from livebatch.errors import DefinitionError, QueryError
from livebatch.frames.statement import stream_of_sql
from livebatch.interval import Millis
from livebatch.kernel_ext.tracebacks import CellSyntaxError
from livebatch.stream import DStream


@dataclass(frozen=True)
class Body:
    """A cell's body, compiled: what is executed first, and the expression at its end."""

    statements: CodeType
    expression: CodeType

    def run(self, namespace: dict[str, Any]) -> Any:
        """Execute it in a namespace and return the value of its last expression."""
        __tracebackhide__ = True
        exec(self.statements, namespace)
        return eval(self.expression, namespace)


@dataclass(frozen=True)
class Query:
    """A cell's body that is SQL: a SELECT over one of the notebook's streams, and tables.

    Attributes:
        text: the SELECT.
        window, slide: what it is over, and how often, in milliseconds, if that is told.
    """

    text: str
    window: Millis | None
    slide: Millis | None

    def run(self, namespace: dict[str, Any]) -> DStream[Any]:
        """Return its stream.

        Raises:
            QueryError: it is wrong; the message points at the word.
        """
        __tracebackhide__ = True
        if self.slide is not None and self.window is None:
            raise DefinitionError("--slide is of a window: add --window 30s")
        length, slide = (None if d is None else d / 1000 for d in (self.window, self.slide))
        try:
            return stream_of_sql(self.text, namespace, length, slide)
        except QueryError as error:  # the magic's own line is line 1
            raise QueryError(moved(str(error), 1)) from None


def compile_body(shell: InteractiveShell, line: str, text: str) -> Body:
    """Compile a body so that tracebacks, now and later, show the lines of the user's cell.

    Args:
        shell: the notebook's.
        line: what follows ``%%stream`` in the cell's first line.
        text: the cell from its second line on.

    Raises:
        CellSyntaxError: it is no Python.
        DefinitionError: it does not end with an expression.
    """
    # Some versions of IPython count the cell before they run it, some after.
    number = len(shell.user_ns["In"]) - 1
    file = shell.compile.cache(f"%%stream {line}\n{text}", number)
    flags = shell.compile.flags
    try:
        # The magic's own line is line 1, also for the compiler.
        tree = compile(f"\n{text}", file, "exec", flags | ast.PyCF_ONLY_AST, True)
        last = tree.body.pop() if tree.body else None
        statements = compile(tree, file, "exec", flags, True)
        if not isinstance(last, ast.Expr):
            raise DefinitionError(f"the cell must end with a stream; {_ending(last)}")
        expression = compile(ast.Expression(last.value), file, "eval", flags, True)
    except SyntaxError as error:
        raise CellSyntaxError(shell, error) from None
    return Body(statements, expression)


def _ending(last: ast.stmt | None) -> str:
    if last is None:
        return "it is empty"
    if isinstance(last, ast.Assign) and isinstance(last.targets[0], ast.Name):
        name = last.targets[0].id
        return f"it ends with an assignment: add a last line with just {name}"
    return f"it ends with a statement (line {last.lineno}), which has no value"


def checked(value: Any) -> DStream[Any]:
    """Return the value of a cell's last expression if it is a stream.

    Raises:
        DefinitionError: it is not.
    """
    if isinstance(value, DStream):
        return value
    hint = ""
    if value is None:
        hint = " (outputs such as pprint() return nothing: put the stream on a line after them)"
    raise DefinitionError(f"the cell must end with a stream; it ends with {kind_of(value)}{hint}")


def kind_of(value: Any) -> str:
    """Say what a value is: ``None``, or the name of its type."""
    return "None" if value is None else type(value).__name__
