"""Functions of the user's in SQL."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from livebatch.closures import Builtin, Code, builtin, load, ship_value
from livebatch.duck import create_function
from livebatch.errors import DefinitionError
from livebatch.frames.check import database, lock
from livebatch.frames.kernel import kernel
from livebatch.frames.syntax import parse, walk
from livebatch.schema import arrow_schema, written

TYPES = {"int": "BIGINT", "float": "DOUBLE", "str": "VARCHAR", "bool": "BOOLEAN", "bytes": "BLOB"}
"""The SQL types of what a function is annotated with."""


class UserFunction(NamedTuple):
    """A function, what it takes and gives in SQL's types, and whether it takes Arrow arrays."""

    name: str
    code: Code
    parameters: tuple[str, ...]
    returns: str
    vectorized: bool


registered: dict[str, UserFunction] = {}
"""The functions that this process has registered, by their names in lower case."""


def register(
    name: str,
    func: Callable[..., Any],
    parameters: Sequence[str] | None,
    returns: str | None,
    vectorized: bool,
) -> None:
    """Have a function be known to SQL; see `StreamingContext.register_function`.

    Raises:
        DefinitionError: its types are not known, or it has no name that SQL could call it by.
    """
    if not name.isidentifier():
        raise DefinitionError(f"a function's name must be a plain name, not {name!r}")
    given = _annotated(func) if parameters is None or returns is None else ([], "")
    takes = list(given[0] if parameters is None else parameters)
    kinds = {f"{i}": kind for i, kind in enumerate([*takes, returns or given[1]])}
    *types, gives = (kind for _, kind in written(kinds))
    code = ship_value(func, name)
    found = UserFunction(name, code, tuple(types), gives, vectorized)
    with lock:
        create_function(database(), name, _nothing(gives), found.parameters, gives, True)
    registered[name.lower()] = found


def _annotated(func: Callable[..., Any]) -> tuple[list[str], str]:
    """Return the SQL types that a function is annotated with."""
    signature = inspect.signature(func)
    said = [parameter.annotation for parameter in signature.parameters.values()]
    names = [getattr(kind, "__name__", kind) for kind in (*said, signature.return_annotation)]
    if unknown := [name for name in names if name not in TYPES]:
        raise DefinitionError(
            f"the types of the function are not known ({unknown[0]}): annotate it with "
            f'{", ".join(TYPES)}, or say parameters=["BIGINT"], returns="BIGINT"'
        )
    *parameters, returns = (TYPES[name] for name in names)
    return parameters, returns


def _nothing(kind: str) -> Callable[..., pa.Array]:
    """Return a function that gives NULLs, for where queries are only looked at."""
    [field] = arrow_schema((("x", kind),))

    def function(*columns: pa.ChunkedArray) -> pa.Array:
        return pa.nulls(len(columns[0]) if columns else 1, field.type)

    return function


def calling(sql: str, function: Builtin) -> Builtin:
    """Return a task's function with the functions of the user's that its query calls."""
    if not registered:
        return function
    names = {node["function_name"].lower() for node in walk(parse(sql)) if "function_name" in node}
    used = [list(registered[name]) for name in sorted(names & set(registered))]
    return builtin(with_functions, used, function) if used else function


def with_functions(
    used: Sequence[tuple[str, Code, Sequence[str], str, bool]],
    function: Callable[..., Any],
    *parts: Any,
) -> Any:
    """Call a task's function where SQL knows the user's."""
    for name, code, *types in used:
        kernel().keep_function(name, code.digest, load(code), *types)  # type: ignore[arg-type]
    return function(*parts)


def give_nulls() -> None:
    """Have SQL in this process call functions that give NULLs in place of the user's."""
    for found in registered.values():
        kernel().keep_function(found.name, "", _nothing(found.returns), *found[2:4], True)
