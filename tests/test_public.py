"""What users may rely on: its names, its types and its documentation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import livebatch
from livebatch import errors, sources, testing
from livebatch.errors import LivebatchError
from livebatch.testing import ManualContext

CLASSES = [livebatch.DStream, livebatch.RDD, livebatch.StreamingContext]


def public(kind: type[Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods of a class and the getters of its properties, inherited ones too."""
    for name, member in inspect.getmembers(kind):
        function = getattr(member, "fget", None) or getattr(member, "func", None) or member
        if not name.startswith("_") and inspect.isroutine(function):
            yield name, function


def test_the_public_names() -> None:
    assert livebatch.__all__ == [
        "RDD",
        "Accumulator",
        "AccumulatorParam",
        "Broadcast",
        "DStream",
        "LivebatchError",
        "Result",
        "Session",
        "StatCounter",
        "State",
        "StorageLevel",
        "StreamingContext",
        "StreamingDataFrame",
        "StreamingListener",
        "Tagged",
        "TaskContext",
        "__version__",
        "connect",
        "dashboard",
        "read_output",
        "vacuum_output",
    ]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_public_method_is_documented(kind: type[Any]) -> None:
    found = dict(public(kind))
    assert len(found) >= 10
    assert [name for name, function in found.items() if not inspect.getdoc(function)] == []


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_public_method_is_typed(kind: type[Any]) -> None:
    untyped = []
    for name, function in public(kind):
        signature = inspect.signature(function)
        hints = [parameter.annotation for parameter in signature.parameters.values()]
        hints = [*hints[not inspect.ismethod(function) :], signature.return_annotation]
        untyped += [name] * (inspect.Signature.empty in hints)
    assert untyped == []
    assert Path(livebatch.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize("name", sources.kinds())
def test_every_source_is_a_documented_method_of_a_context(name: str) -> None:
    with ManualContext() as ssc:
        assert name in dir(ssc)
        assert "stream" in (inspect.getdoc(getattr(ssc, name)) or "")
        assert "Example" in (inspect.getdoc(getattr(ssc, name)) or "")


@pytest.mark.parametrize("function", [testing.run, testing.collected, testing.local_executor])
def test_the_test_kit_is_documented(function: Callable[..., Any]) -> None:
    assert inspect.getdoc(function)


def test_every_error_is_one_of_livebatchs_and_in_the_picture() -> None:
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    assert [kind for kind in kinds if not issubclass(kind, LivebatchError)] == []
    picture = errors.__doc__ or ""
    assert [kind.__name__ for kind in kinds if kind.__name__ not in picture] == []
