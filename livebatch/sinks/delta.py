"""A table of Delta Lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from livebatch.columns import conform, distinct
from livebatch.errors import DefinitionError, SinkError
from livebatch.filesystems import absolute
from livebatch.operators.written import Written
from livebatch.rdd.data import Data
from livebatch.sinks.base import Key, Receipt, Stream, as_table, into, together
from livebatch.sinks.files import as_text
from livebatch.sinks.folder import shown
from livebatch.stream import operator

TRIES = 100
"""So often a commit is tried that others come before: each of them has got on meanwhile."""


class Sink(msgspec.Struct, frozen=True):
    """A table of Delta Lake. A batch is one commit, and its time the version of an application's
    transaction, so that a batch that is there is known.

    Args:
        path: of the table, absolute or a URI.
        storage_options: for where it lies, such as credentials.
        optimize_every: after so many commits small files are put together.
    """

    path: str
    storage_options: dict[str, str] | None = None
    optimize_every: int = 100

    def __repr__(self) -> str:
        return f"Sink({shown(self.path)!r})"

    def prepare(self) -> None:
        _deltalake()
        with self._explaining():
            self._table()
            if "://" not in self.path:
                Path(self.path).mkdir(parents=True, exist_ok=True)

    def write(self, key: Key, rows: Data) -> pa.Table:
        return as_table(rows)

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        table = _fitted(together(parts))
        if not table.num_rows:
            return Receipt()
        with self._explaining():
            for _ in range(TRIES):
                if (version := self._try(key, table)) is not None:
                    self._optimize(version)
                    return Receipt(table.num_rows)
        raise SinkError(f"cannot write to {shown(self.path)}: others were faster {TRIES} times")

    def _try(self, key: Key, table: pa.Table) -> int | None:
        """Commit a batch on top of what the table is now, unless it is there already; return the
        table's version, or None if another commit came in between."""
        delta = _deltalake()
        before = self._table()
        if before is not None and (before.transaction_version(key.writer) or -1) >= key.time:
            return 0
        this = delta.Transaction(key.writer, key.time)
        try:
            delta.write_deltalake(
                before or self.path,
                _as_in(before, table),
                mode="append" if before else "error",
                schema_mode="merge" if before else None,
                storage_options=self.storage_options,
                # It must not be tried again without another look at the transactions.
                commit_properties=delta.CommitProperties(
                    app_transactions=[this], max_commit_retries=0
                ),
            )
        except delta.exceptions.CommitFailedError:
            return None
        except delta.exceptions.DeltaError:
            if before is not None or self._table() is None:
                raise
            return None
        return before.version() if before else 0

    def _optimize(self, version: int) -> None:
        """Now and then put small files together; that it fails for another commit does not matter,
        there will be another time."""
        if version and version % self.optimize_every == 0:
            with suppress(_deltalake().exceptions.CommitFailedError):
                table = self._table()
                if table is not None:
                    table.optimize.compact()

    def _table(self) -> Any:
        delta = _deltalake()
        try:
            return delta.DeltaTable(self.path, storage_options=self.storage_options)
        except delta.exceptions.TableNotFoundError:
            return None

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except SinkError:
            raise
        except Exception as error:  # deltalake raises all kinds
            said = str(error).strip().partition("\n")[0].replace(self.path, shown(self.path))
            for secret in (self.storage_options or {}).values():
                said = said.replace(secret, "***") if secret else said
            raise SinkError(
                f"cannot write to the Delta table {shown(self.path)} ({said})"
            ) from None


def _deltalake() -> Any:
    try:
        import deltalake
        import deltalake.exceptions
    except ImportError:
        raise DefinitionError('to_delta needs deltalake: pip install "livebatch[delta]"') from None
    return deltalake


def _fitted(table: pa.Table) -> pa.Table:
    """Return a table with columns such as Delta Lake has; what has no values is left out, as it
    would be text for ever."""
    table = table.rename_columns(distinct(tuple(table.column_names)))
    schema = [field if _has_form(field.type) else as_text(field) for field in table.schema]
    fitted = conform(table, pa.schema(schema))
    known = [field.name for field in table.schema if not pa.types.is_null(field.type)]
    return fitted.select(known) if known else fitted


def _has_form(kind: pa.DataType) -> bool:
    types = pa.types
    parts = [kind.field(i).type for i in range(kind.num_fields)]
    if types.is_list(kind) or types.is_struct(kind) or types.is_map(kind):
        return bool(parts) and all(map(_has_form, parts))
    return any(
        of(kind) for of in (types.is_integer, types.is_float32, types.is_float64, types.is_boolean,
                            types.is_string, types.is_binary, types.is_date, types.is_timestamp,
                            types.is_decimal)
    )  # fmt: skip


def _as_in(before: Any, table: pa.Table) -> pa.Table:
    """Return a table with its columns spelt as they are in the one before."""
    if before is None:
        return table
    known = {field.name.casefold(): field.name for field in before.schema().fields}
    return table.rename_columns([known.get(name.casefold(), name) for name in table.column_names])


@operator
def to_delta(
    self: Stream,
    path: str | Path,
    storage_options: dict[str, str] | None = None,
    optimize_every: int = 100,
    writer: str | None = None,
) -> Written:
    """Write every batch to a table of Delta Lake, once, whatever happens; return the stream of
    receipts.

    A batch is one commit with one file, and its time the version of the writer's transaction in
    Delta's log. The table is made if there is none. A new column is added to it, a record without
    one has NULL there, and values are cast to a column's type; a batch where that is not possible
    fails. It takes deltalake: ``pip install "livebatch[delta]"``.

    Args:
        path: of the table: local, or a URI that deltalake understands.
        storage_options: for where it lies, such as credentials; never shown, but kept
            in checkpoints with the stream.
        optimize_every: after so many commits small files are put together; the old ones stay until
            ``DeltaTable.vacuum``.
        writer: as for `to_parquet`; batches before the newest one that it has written are taken
            for written.

    Returns:
        a row for each batch, with its ``rows``.

    Raises:
        SinkError: the table cannot be written to.
        DefinitionError: deltalake is not installed, or an option is wrong.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from deltalake import DeltaTable
        >>> from livebatch.testing import ManualContext
        >>> with TemporaryDirectory() as folder, ManualContext("1s") as ssc:
        ...     receipts = ssc.queue_stream([[{"page": "a", "ms": 5}]]).to_delta(folder)
        ...     ssc.start()
        ...     ssc.advance("1s")
        ...     DeltaTable(folder).to_pyarrow_table().to_pylist()
        [{'page': 'a', 'ms': 5}]
    """
    if type(optimize_every) is not int or optimize_every < 1:
        raise DefinitionError(
            f"optimize_every is a whole number of at least 1, not {optimize_every!r}"
        )
    made = Sink(absolute(path), storage_options, optimize_every)
    return into(self, made, f"to_delta({shown(made.path)!r})", writer)
