"""A table of a database, by SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from livebatch.columns import conform, distinct
from livebatch.errors import DefinitionError, SinkError
from livebatch.operators.written import Written
from livebatch.rdd.data import Data
from livebatch.sinks.base import Key, Receipt, Stream, as_table, into, together
from livebatch.sinks.files import as_text
from livebatch.stream import operator

if TYPE_CHECKING:
    import sqlalchemy as sa

LEDGER = "livebatch_batches"
"""The table that says which batches are in the database."""

PORTION = 10_000
"""So many rows are sent at once."""

PATIENCE = 60.0
"""Seconds that SQLite, which has one writer at a time, waits for its turn."""

IF_EXISTS = ("append", "fail", "replace")


class Sink(msgspec.Struct, frozen=True):
    """A table of a database. A batch is one transaction, which also notes in a ledger that it is
    there; the ledger's unique key lets no second one in.

    Args:
        name: of the table.
        url: of the database, as SQLAlchemy writes it.
        schema: of the database, in which the table is.
        if_exists: what is done about a table that is there already when the stream is defined.
    """

    name: str
    url: str
    schema: str | None = None
    if_exists: str = "append"

    def __repr__(self) -> str:
        return f"Sink({self.name!r}, {self.place!r})"

    @property
    def place(self) -> str:
        """The URL without the password."""
        return str(_parsed(self.url).render_as_string(hide_password=True))

    def prepare(self) -> None:
        sa = _sqlalchemy()
        with self._connected() as connection:
            there = sa.inspect(connection).has_table(self.name, self.schema)
            if there and self.if_exists == "fail":
                raise DefinitionError(
                    f"there is a table {self.name} in {self.place} already: name another, or say "
                    'if_exists="append"'
                )
            if there and self.if_exists == "replace":
                ledger = self._ledger()
                sa.Table(self.name, sa.MetaData(), schema=self.schema).drop(connection)
                ledger.create(connection, checkfirst=True)
                connection.execute(ledger.delete().where(ledger.c.target == self.name))

    def write(self, key: Key, rows: Data) -> pa.Table:
        return as_table(rows)

    def commit(self, key: Key, parts: Sequence[pa.Table]) -> Receipt:
        table = _fitted(together(parts))
        if not table.num_rows:
            return Receipt()
        self._make_tables(table.schema)
        with self._connected() as connection:
            entered = self._enter(connection, key, table.num_rows)
            if entered:
                self._insert(connection, table)
        return Receipt(table.num_rows if entered else self._rows_of(key))

    def _make_tables(self, schema: pa.Schema) -> None:
        """Make the tables that are not there; another attempt may do so at the same time."""
        sa = _sqlalchemy()
        columns = [sa.Column(field.name, _sql_type(field.type)) for field in schema]
        target = sa.Table(self.name, sa.MetaData(), *columns, schema=self.schema)
        for table in (self._ledger(), target):
            if self._has(table.name):
                continue
            try:
                with self._connected() as connection:
                    table.create(connection)
            except SinkError:
                if not self._has(table.name):
                    raise

    def _has(self, table: str) -> bool:
        with self._connected() as connection:
            return bool(_sqlalchemy().inspect(connection).has_table(table, self.schema))

    def _enter(self, connection: sa.Connection, key: Key, rows: int) -> bool:
        """Note that a batch is there, as part of a transaction; return False if it is already. A
        second attempt waits here until the first has ended."""
        try:
            entry = {"writer": key.writer, "target": self.name, "batch": key.time, "rows": rows}
            connection.execute(self._ledger().insert(), entry)
        except _sqlalchemy().exc.IntegrityError:
            connection.rollback()
            return False
        return True

    def _insert(self, connection: sa.Connection, table: pa.Table) -> None:
        sa = _sqlalchemy()
        target = sa.Table(self.name, sa.MetaData(), schema=self.schema, autoload_with=connection)
        unknown = [name for name in table.column_names if name not in target.c]
        if unknown:
            raise SinkError(
                f"the table {self.name} in {self.place} has no column {', '.join(unknown)}: add it "
                "there, or leave it out of the stream"
            )
        for start in range(0, table.num_rows, PORTION):
            connection.execute(target.insert(), table.slice(start, PORTION).to_pylist())

    def _rows_of(self, key: Key) -> int:
        """Return how many rows there are of a batch that is there."""
        ledger = self._ledger()
        this = (ledger.c.writer == key.writer, ledger.c.target == self.name,
                ledger.c.batch == key.time)  # fmt: skip
        with self._connected() as connection:
            found = connection.execute(_sqlalchemy().select(ledger.c.rows).where(*this))
            return int(found.scalar_one())

    def _ledger(self) -> Any:
        sa = _sqlalchemy()
        return sa.Table(
            LEDGER,
            sa.MetaData(),
            sa.Column("writer", sa.String(64), primary_key=True),
            sa.Column("target", sa.String(128), primary_key=True),
            sa.Column("batch", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("rows", sa.BigInteger, nullable=False),
            schema=self.schema,
        )

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        """Give a connection, in a transaction.

        Raises:
            SinkError: the database refuses.
        """
        sa, url = _sqlalchemy(), _parsed(self.url)
        waits = url.get_backend_name() == "sqlite" and "timeout" not in url.query
        how = {"connect_args": {"timeout": PATIENCE}} if waits else {}
        try:
            engine = sa.create_engine(url, poolclass=sa.pool.NullPool, hide_parameters=True, **how)
        except (ImportError, sa.exc.ArgumentError) as error:
            raise DefinitionError(
                f"{self.place} takes a driver that is not installed ({_said(error, url)})"
            ) from None
        try:
            with engine.begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise SinkError(
                f"cannot write to the table {self.name} in {self.place} ({_said(error, url)})"
            ) from None


def _said(error: Exception, url: sa.URL) -> str:
    """Return in a line what an error says, without the password."""
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    return said.replace(str(url.password), "***") if url.password else said


def _sqlalchemy() -> Any:
    try:
        import sqlalchemy
    except ImportError:
        raise DefinitionError('to_sql needs SQLAlchemy: pip install "livebatch[sql]"') from None
    return sqlalchemy


def _parsed(url: str) -> sa.URL:
    try:
        return _sqlalchemy().make_url(url)  # type: ignore[no-any-return]
    except _sqlalchemy().exc.ArgumentError:
        raise DefinitionError(
            'that is no URL of a database: write it like "sqlite:////data/out.db" or '
            '"postgresql+psycopg://user:password@host/database"'
        ) from None


def _fitted(table: pa.Table) -> pa.Table:
    """Return a table with columns such as databases have."""
    table = table.rename_columns(distinct(tuple(table.column_names)))
    schema = [field if _sql_type(field.type) else as_text(field) for field in table.schema]
    return conform(table, pa.schema(schema))


def _sql_type(kind: pa.DataType) -> Any:
    """Return the type of a database's column; None if there is none."""
    sa, types = _sqlalchemy(), pa.types
    if types.is_decimal(kind):
        return sa.Numeric(kind.precision, kind.scale)
    if types.is_timestamp(kind):
        return sa.DateTime(timezone=kind.tz is not None)
    known = [
        (types.is_boolean, sa.Boolean),
        (types.is_integer, sa.BigInteger),
        (types.is_floating, sa.Double),
        (types.is_string, sa.Text),
        (types.is_binary, sa.LargeBinary),
        (types.is_date, sa.Date),
        (types.is_time, sa.Time),
    ]
    return next((made() for of, made in known if of(kind)), None)


@operator
def to_sql(
    self: Stream,
    name: str,
    con: str,
    schema: str | None = None,
    if_exists: str = "append",
    writer: str | None = None,
) -> Written:
    """Write every batch to a table of a database, once, whatever happens; return the stream of
    receipts.

    A batch is one transaction, so that nobody sees a part of it. The transaction also notes the
    batch in the table ``livebatch_batches``, and does nothing if it is there already. The table is
    made, with the columns of the first batch that has rows, if there is none; a record without one
    of them has NULL there, and a batch with other columns fails. Lists and the like are JSON in
    text. It takes SQLAlchemy: ``pip install "livebatch[sql]"``, and the database's driver.

    Args:
        name: of the table.
        con: the database's URL: ``"sqlite:////data/out.db"``. Its password is never shown, but
            kept in checkpoints with the stream.
        schema: of the database, where the table is; its default if not told.
        if_exists: what is done about a table that is there already now: ``"append"`` to it,
            ``"fail"``, or ``"replace"`` it.
        writer: as for `to_parquet`.

    Returns:
        a row for each batch, with its ``rows``.

    Raises:
        SinkError: the database cannot be reached, or refuses.
        DefinitionError: it is no URL, or something is not installed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from livebatch.testing import ManualContext
        >>> import pandas as pd
        >>> with TemporaryDirectory() as folder, ManualContext("1s") as ssc:
        ...     database = f"sqlite:///{folder}/out.db"
        ...     receipts = ssc.queue_stream([[{"page": "a", "ms": 5}]]).to_sql("pages", database)
        ...     ssc.start()
        ...     ssc.advance("1s")
        ...     pd.read_sql("pages", database).to_dict("records")
        [{'page': 'a', 'ms': 5}]
    """
    if if_exists not in IF_EXISTS:
        raise DefinitionError(f"if_exists is one of {', '.join(IF_EXISTS)}, not {if_exists!r}")
    made = Sink(name, con, schema, if_exists)
    return into(self, made, f"to_sql({name!r}, {made.place!r})", writer)
