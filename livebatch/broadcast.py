"""Broadcast variables: values that every process gets once, and that can be refreshed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from livebatch.closures import Code, codes, refer, referred, ship_quietly
from livebatch.errors import DefinitionError, NotRunning
from livebatch.interval import Millis

T = TypeVar("T")


class Publisher(Protocol):
    """Where broadcast variables get their values from: the engine, as its client sees it."""

    def publish(self, broadcast: str, value: Code) -> None:
        """Have a variable have this value from the next batch on."""

    def newest(self, broadcast: str) -> Code | None:
        """Return the value that a variable has; None if it has been destroyed."""

    def withdraw(self, broadcast: str, destroy: bool) -> None:
        """Free the workers' copies of a variable's values; ``destroy``: the value itself, too."""


class Broadcast(Generic[T]):
    """A value that functions share; made by `StreamingContext.broadcast`.

    It is sent to each process once for each of its values, however many functions and tasks use
    it, and is unpickled there once: treat it as read-only.

    **Which value a batch sees.** The value is bound to a stream's functions when it is set, and a
    batch takes its functions along when it begins, as part of its lineage. So all tasks of a batch
    see the same value, a batch that begins after `refresh` has returned sees the new one, and a
    batch that is computed again, however much later, sees the one that it had. Functions on batch
    RDDs keep the value that there was when they were given to an RDD; in a function on RDDs
    (``transform``, ``foreach_rdd``) that is the value of its batch.

    Example:
        >>> from livebatch.testing import ManualContext, collected
        >>> with ManualContext("1s") as ssc:
        ...     names = ssc.broadcast({1: "one", 2: "two"})
        ...     seen = collected(ssc.queue_stream([[1, 2], [1, 2]]).map(lambda n: names.value[n]))
        ...     ssc.start()
        ...     ssc.advance("1s")
        ...     names.refresh({1: "uno", 2: "due"})
        ...     ssc.advance("1s")
        ...     seen
        [['one', 'two'], ['uno', 'due']]
    """

    def __init__(self, id: str, code: Code | None, publisher: Publisher | None = None) -> None:
        self.id, self._code, self._publisher = id, code, publisher

    @property
    def value(self) -> T:
        """The value: that of the batch, in functions that run as part of one; else the newest.

        Example:
            ``countries.value["de"]``

        Raises:
            NotRunning: it has been destroyed.
        """
        if self._publisher is not None:
            self._code = self._publisher.newest(self.id)
        if self._code is None:
            raise NotRunning(f"the broadcast variable {self.id} has been destroyed")
        return codes.load(self._code)  # type: ignore[no-any-return]

    def refresh(self, value: T) -> None:
        """Set a new value, for the batches that begin from now on.

        Args:
            value: anything that can be pickled.

        Example:
            ``prices.refresh(load_prices())``

        Raises:
            ClosureError: it cannot be pickled.
            NotRunning: the variable has been destroyed, or this is a function that runs as part
                of a batch.
        """
        self._code = ship_quietly(value, f"broadcast {self.id}")
        self._home().publish(self.id, self._code)

    def unpersist(self, blocking: bool = False) -> None:
        """Free the workers' copies of the value; it is sent again where it is used again.

        Args:
            blocking: makes no difference; nobody waits for it.

        Example:
            ``model.unpersist()``
        """
        self._home().withdraw(self.id, destroy=False)

    def destroy(self, blocking: bool = False) -> None:
        """Free the value everywhere; batches that begin from now on cannot use it.

        Args:
            blocking: makes no difference; nobody waits for it.

        Example:
            ``model.destroy()``
        """
        self._home().withdraw(self.id, destroy=True)

    def _home(self) -> Publisher:
        if self._publisher is None:
            raise NotRunning(
                "a broadcast variable is changed where it was made, not by a function that runs as "
                "part of a batch"
            )
        return self._publisher

    def __reduce__(self) -> tuple[Any, ...]:
        if self._publisher is not None:
            self._code = self._publisher.newest(self.id)
        refer(self.id, self._code)
        return arrived, (self.id,)

    def __repr__(self) -> str:
        return f"<Broadcast {self.id}>"


def arrived(id: str) -> Broadcast[Any]:
    """Return a variable that a function uses, with the value that is bound to the function."""
    return Broadcast(id, referred(id))


def loaded(loader: Callable[[], Any], id: str, time: Millis) -> Code:
    """Return a new value for a variable that is refreshed; called in the driver."""
    return ship_quietly(loader(), f"broadcast {id}")


def check_loader(loader: Any) -> Callable[[], Any]:
    """Return a function that makes values.

    Raises:
        DefinitionError: it is none.
    """
    if not callable(loader):
        raise DefinitionError(
            "refresh_every needs a function that makes the value, such as "
            f'ssc.broadcast(load_prices, refresh_every="10m"), not {type(loader).__name__}'
        )
    return loader  # type: ignore[no-any-return]
