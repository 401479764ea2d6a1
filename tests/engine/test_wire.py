"""Every message survives the journey, and code makes it once."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect as shapes

from livebatch import errors
from livebatch.calls import Call
from livebatch.closures import Code, builtin, codes, load, revive, ship
from livebatch.errors import LivebatchError
from livebatch.events import Message
from livebatch.failure import Failure, Frame
from livebatch.framing import Channel, unpack
from livebatch.rdd import functions as run
from livebatch.wire import AnyMessage, Ok, Refused, RunJob, checked

CODE = [ship(abs), ship(lambda n: n + 1)]
INT = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=10)
PLAIN = st.recursive(
    st.none() | st.booleans() | INT | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
SIMPLE = {
    shapes.AnyType: PLAIN,
    shapes.BoolType: st.booleans(),
    shapes.BytesType: st.binary(max_size=20),
    shapes.FloatType: st.floats(allow_nan=False),
    shapes.IntType: INT,
    shapes.NoneType: st.none(),
    shapes.StrType: TEXT,
}


def values(shape: shapes.Type) -> st.SearchStrategy[Any]:
    """Values of a type, as msgspec describes types."""
    match shape:
        case shapes.LiteralType():
            return st.sampled_from(shape.values)
        case shapes.UnionType():
            return st.one_of(*map(values, shape.types))
        case shapes.VarTupleType():
            return st.lists(values(shape.item_type), max_size=2).map(tuple)
        case shapes.ListType():
            return st.lists(values(shape.item_type), max_size=2)
        case shapes.DictType():
            keys = values(shape.key_type)
            return st.dictionaries(keys, values(shape.value_type), max_size=2)
        case shapes.StructType():
            return structs(shape.cls)
    return SIMPLE[type(shape)]


@cache
def structs(kind: type[Any]) -> st.SearchStrategy[Any]:
    if kind is Code:
        return st.sampled_from(CODE)
    shape = shapes.type_info(kind)
    assert isinstance(shape, shapes.StructType)
    return st.builds(kind, **{field.name: values(field.type) for field in shape.fields})


def sent(message: Message, channel: Channel | None = None) -> Any:
    return unpack((channel or Channel()).pack(message))


@pytest.mark.parametrize("kind", get_args(AnyMessage), ids=lambda kind: kind.__name__)
def test_every_message_arrives_as_it_was_sent(kind: type[Message]) -> None:
    @settings(max_examples=10)
    @given(structs(kind))
    def arrives(message: Message) -> None:
        arrived = sent(message)
        assert type(arrived) is kind
        assert arrived == message

    arrives()


def test_every_message_can_be_told_from_the_others() -> None:
    tags = [kind.__struct_config__.tag for kind in get_args(AnyMessage)]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    "frame", [b"", b"\xc1", msgspec.msgpack.encode({"type": "Nonsense"}), b"\x93"]
)
def test_what_is_no_message_is_refused(frame: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        unpack([frame])


# -- code ------------------------------------------------------------------------------------


def job(*functions: Any) -> RunJob:
    return RunJob("job", (), builtin(run.on_value, *functions))


def test_code_is_sent_once_to_each_peer() -> None:
    one, other, channel = ship(lambda: 1), ship(lambda: 2), Channel()
    assert [len(channel.pack(job(one))) for _ in range(3)] == [2, 1, 1]
    assert len(channel.pack(job(one, other))) == 2
    assert len(channel.pack(Call("c", one, 0, (), False))) == 1
    assert len(Channel().pack(job(one, other))) == 3


def test_code_within_arguments_of_arguments_is_found() -> None:
    inner = ship(lambda: 1)
    assert len(Channel().pack(job(builtin(run.with_key, [inner])))) == 2
    assert len(Channel().pack(job({"key": builtin(run.with_key, inner)}))) == 2


def test_code_that_arrives_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = Channel().pack(job(ship(lambda n: n * 3)))
    monkeypatch.setattr(codes, "_blobs", {})
    arrived = unpack(frames)
    assert isinstance(arrived, RunJob)
    assert list(load(arrived.action)([("a", 2)])) == [("a", 6)]


def test_code_that_arrived_can_be_passed_on() -> None:
    arrived = sent(job(ship(lambda n: n * 4)))
    assert isinstance(arrived, RunJob)
    assert len(Channel().pack(arrived)) == 2
    function = revive(sent(arrived).action.args)[0]
    assert load(function)(2) == 8


# -- replies ---------------------------------------------------------------------------------


def kinds() -> list[type[LivebatchError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in found if issubclass(kind, LivebatchError)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_a_refusal_is_raised_as_what_the_engine_raised(kind: type[LivebatchError]) -> None:
    with pytest.raises(LivebatchError) as raised:
        checked(sent(Refused(kind.__name__, "because")))
    assert (type(raised.value), str(raised.value)) == (kind, "because")


@pytest.mark.parametrize("name", ["KeyboardInterrupt", "Nonsense"])
def test_a_refusal_of_an_unknown_kind_is_an_engine_error(name: str) -> None:
    with pytest.raises(errors.EngineError, match="because"):
        checked(Refused(name, "because"))


def test_a_refusal_with_a_failure_shows_the_users_own_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failure = Failure("ValueError", "no", (Frame("cell.py", 3, "f", "raise ValueError"),), "7")
    with pytest.raises(errors.JobFailed) as raised:
        checked(sent(Refused("JobFailed", "ValueError: no", failure, "printed before\n")))
    said = str(raised.value)
    assert 'File "cell.py", line 3, in f\n    raise ValueError\nValueError: no' in said
    assert said.endswith("for the record 7")
    assert capsys.readouterr().out == "printed before\n"


def test_other_replies_are_passed_on() -> None:
    assert checked(Ok(1)) == Ok(1)
