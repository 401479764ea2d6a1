"""What a context makes streams and datasets from: sources, queues, local data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from livebatch import sources
from livebatch.checkpoint import make_folder
from livebatch.closures import builtin, ship_pickle
from livebatch.frames.frame import Static
from livebatch.frames.functions import register
from livebatch.frames.static import reloaded
from livebatch.interval import Duration, Millis, to_millis
from livebatch.operators.state import given_rows
from livebatch.rdd import RDD, to_lineage
from livebatch.rdd.functions import collect_rows
from livebatch.rdd.operation import Read
from livebatch.sources.receiving import KEY, Overflow, Receiving
from livebatch.stream import DStream, Input
from livebatch.variables import Variables
from livebatch.wire import Offer


class Inputs(Variables):
    """The part of a `StreamingContext` that begins streams; each source is a method."""

    batch: Millis
    on_overflow: Overflow = "block"

    def input_stream(self, source: str, /, **options: Any) -> DStream[Any]:
        """Return the stream of a source, by the name of its file in `livebatch.sources`.

        Raises:
            DefinitionError: there is no such source, or an option is wrong.
        """
        receiving = self._receiving(sources.kind(source), options)
        return self._from_source(source, sources.source(source, options), receiving)

    def queue_stream(
        self,
        rdds: Iterable[RDD[Any] | Iterable[Any]] = (),
        one_at_a_time: bool = True,
        default: Iterable[Any] | None = None,
    ) -> DStream[Any]:
        """Return a stream that is fed by hand, from a queue of RDDs or lists.

        Put more into the queue with ``ssc.put(stream, rdd)``.

        Args:
            rdds: what is in the queue at first.
            one_at_a_time: whether each batch takes one of the queue, or all that is in it.
            default: the batch when the queue is empty; an empty one if not told.
        """
        fallback = None if default is None else _rows(default)
        stream = self._input("queue", {"one_at_a_time": one_at_a_time, "default": fallback})
        first = list(rdds)
        if first:
            self.put(stream, *first)
        return stream

    def put(self, stream: DStream[Any], *rdds: RDD[Any] | Iterable[Any]) -> None:
        """Put RDDs or lists of records into the queue of a queue stream."""
        made = [rdd if isinstance(rdd, RDD) else self.parallelize(rdd) for rdd in rdds]
        self.connection.request(Offer(stream.id, tuple(to_lineage(rdd) for rdd in made)))

    def _input(
        self, source: str, options: dict[str, Any], schema: pa.Schema | None = None
    ) -> DStream[Any]:
        stream: DStream[Any] = Input((), self.batch, source, options)
        stream.context, stream.schema = self, schema
        return stream

    def _from_source(self, name: str, made: Any, receiving: Receiving | None) -> DStream[Any]:
        options = msgspec.to_builtins(made)
        if receiving is not None:
            options[KEY] = msgspec.to_builtins(receiving)
        return self._input(name, options, getattr(made, "schema", None))

    def _receiving(self, kind: Any, options: dict[str, Any]) -> Receiving | None:
        """Take from the options of a source that is pushed those that are not its own."""
        if not hasattr(kind, "run"):
            return None
        shared = set(Receiving.__struct_fields__) & options.keys()
        said = {name: options.pop(name) for name in shared}
        return Receiving(**{"on_overflow": self.on_overflow, **said})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in sources.kinds():
            raise AttributeError(f"StreamingContext has no attribute or source {name!r}")
        kind = sources.kind(name)

        def make(*args: Any, **options: Any) -> DStream[Any]:
            receiving = self._receiving(kind, options)
            return self._from_source(name, kind(*args, **options), receiving)

        make.__name__, make.__doc__ = name, kind.__doc__
        if hasattr(kind, "run"):
            make.__doc__ = f"{kind.__doc__}\n    {Receiving.__doc__}"
        make.__wrapped__ = kind  # type: ignore[attr-defined]
        return make

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *sources.kinds()]

    @property
    def default_parallelism(self) -> int:
        """How many partitions an RDD has when not told: the number of workers.

        Example:
            ``ssc.parallelize(rows, 4 * ssc.default_parallelism)``
        """
        return self.runner.default_parallelism

    @property
    def default_min_partitions(self) -> int:
        """How many partitions an RDD of files has at least when not told.

        Example:
            ``ssc.text_file("logs", ssc.default_min_partitions)``
        """
        return self.runner.default_parallelism

    def empty_rdd(self) -> RDD[Any]:
        """Return an RDD without rows or partitions.

        Example:
            ``rdd = ssc.empty_rdd()``
        """
        return RDD(Read(()), runner=self.runner)

    def range(
        self, start: int, end: int | None = None, step: int = 1, num_slices: int | None = None
    ) -> RDD[int]:
        """Return an RDD of whole numbers, as ``range`` does, made where they are needed.

        Args:
            start, end, step: as for ``range``; with one number, that is where it ends.
            num_slices: how many partitions; the engine's parallelism if not told.

        Example:
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     ssc.range(2, 10, 3).collect(), ssc.range(5).sum()
            ([2, 5, 8], 10)
        """
        numbers = range(start, end, step) if end is not None else range(0, start, step)
        parts = _slices(numbers, num_slices or self.runner.default_parallelism)
        readers = (builtin(range_of, part.start, part.stop, part.step) for part in parts)
        return RDD(Read(tuple(readers)), runner=self.runner)

    def run_job(
        self,
        rdd: RDD[Any],
        partition_func: Callable[[Iterable[Any]], Iterable[Any]],
        partitions: Sequence[int] | None = None,
    ) -> list[Any]:
        """Apply a function to partitions of an RDD, and return all that it gives.

        Args:
            rdd: whose.
            partition_func: takes the rows of a partition.
            partitions: which; all if not told.

        Example:
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     ssc.run_job(ssc.range(0, 6, 1, 3), lambda rows: [sum(rows)], [0, 2])
            [1, 9]
        """
        made = rdd.map_partitions(partition_func)
        return [row for part in made.run(builtin(collect_rows), partitions) for row in part]

    def parallelize(self, data: Iterable[Any], num_slices: int | None = None) -> RDD[Any]:
        """Return an RDD of local data.

        Args:
            data: the rows.
            num_slices: how many partitions; the engine's parallelism if not told.
        """
        slices = _slices(list(data), num_slices or self.runner.default_parallelism)
        return RDD(Read(tuple(_rows(part) for part in slices)), runner=self.runner)

    def table(self, load: Callable[[], Any], refresh: Duration) -> Static:
        """Return a table that does not stream, to be joined to frames, and is loaded anew by
        workers that have had it for a while.

        A batch that is computed again can see a newer table than the first time.

        Args:
            load: takes nothing, gives an Arrow table, a data frame or a dict of columns, always
                with the columns that it has now.
            refresh: how long a table is used, such as ``"5m"``.

        Raises:
            DefinitionError: it gives no table, or the duration is none.

        Example:
            ``requests.join(ssc.table(lambda: pd.read_csv("pages.csv"), "5m"), "page")``
        """
        return reloaded(load, to_millis(refresh, "refresh") / 1000)

    def register_function(
        self,
        name: str,
        func: Callable[..., Any],
        parameters: Sequence[str] | None = None,
        returns: str | None = None,
        vectorized: bool = False,
    ) -> None:
        """Have a function of Python be known to the SQL of frames that are defined from now on.

        Args:
            name: what it is called in SQL.
            func: takes values and gives one; where an argument is NULL, so is the result. If it
                is ``vectorized`` it takes and gives Arrow arrays, which is much faster.
            parameters, returns: SQL types; those that it is annotated with if not told.
            vectorized: whether it takes arrays.

        Raises:
            DefinitionError: its types are not known.
            ClosureError: it cannot be sent to the workers.

        Example:
            >>> from livebatch.testing import ManualContext
            >>> with ManualContext() as ssc:
            ...     def initial(word: str) -> str:
            ...         return word[0]
            ...     ssc.register_function("initial", initial)
            ...     frame = ssc.queue_stream().to_frame({"word": "VARCHAR"})
            ...     frame.select(letter="initial(word)").columns
            (('letter', 'VARCHAR'),)
        """
        register(name, func, parameters, returns, vectorized)

    def set_checkpoint_dir(self, directory: str | Path) -> None:
        """Say where RDDs are saved that `RDD.checkpoint` was called for.

        Args:
            directory: local, or a URI that pyarrow.fs understands; it is made if it is not there.

        Raises:
            SourceError: it cannot be made.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> from livebatch.testing import ManualContext
            >>> with TemporaryDirectory() as folder, ManualContext() as ssc:
            ...     ssc.set_checkpoint_dir(folder)
            ...     squares = ssc.parallelize(range(5)).map(lambda n: n * n)
            ...     squares.checkpoint()
            ...     squares.sum(), squares.is_checkpointed(), squares.collect()
            (30, True, [0, 1, 4, 9, 16])
        """
        self.runner.checkpoint_dir = make_folder(directory)

    def text_file(
        self, path: str, min_partitions: int | None = None, encoding: str = "utf-8"
    ) -> RDD[str]:
        """Return an RDD of the lines of a text file, or of all files of a folder or pattern.

        Args:
            path: local, or a URI that pyarrow.fs understands (``s3://``, ``hdfs://``, ``file://``).
            min_partitions: at least so many; the engine's parallelism if not told.

        Raises:
            SourceError: there is no such file.
        """
        from livebatch import reading  # takes a moment, and few scripts read files

        parts = min_partitions or self.runner.default_parallelism
        readers = reading.text_file(path, parts, encoding)
        return RDD(Read(tuple(readers)), runner=self.runner)

    def binary_records(self, path: str, record_length: int) -> RDD[bytes]:
        """Return an RDD of the records of files, each ``bytes`` of one length; a partition for
        each file.

        Args:
            path: local, or a URI that pyarrow.fs understands; a file, folder or pattern.
            record_length: how many bytes a record has.

        Raises:
            SourceError: there is no such file.
            DefinitionError: the length is not a whole number of at least 1.

        Example:
            ``ssc.binary_records("samples", 4).map(lambda four: struct.unpack("<f", four)[0])``
        """
        from livebatch import reading

        readers = reading.binary_records(path, record_length)
        return RDD(Read(tuple(readers)), runner=self.runner)

    def read(
        self, path: str, format: str | None = None, schema: dict[str, str] | None = None
    ) -> RDD[dict[str, Any]]:
        """Return an RDD of the rows of CSV, JSON lines or Parquet files, as dicts.

        Args:
            path: local, or a URI that pyarrow.fs understands; a file, folder or pattern.
            format: ``"csv"``, ``"json"`` or ``"parquet"``; told by the files' endings if not given.
            schema: types by column name; found out from the files if not given.

        Raises:
            SourceError: there is no such file, or it cannot be read.
            DefinitionError: the format or a type is none.
        """
        from livebatch import reading

        readers = reading.read(path, format, schema)
        return RDD(Read(tuple(readers)), runner=self.runner)

    def read_output(
        self, path: str | Path, begin: datetime | None = None, end: datetime | None = None
    ) -> RDD[dict[str, Any]]:
        """Return an RDD of what streams have written to a folder, as dicts: of the batches that
        are complete now. See `livebatch.read_output`.

        Args:
            path: as it was given to ``to_parquet``, ``to_json``, ``to_csv`` or ``to_text``.
            begin: only batches after that time, if told (naive times are local).
            end: only batches up to that time, if told.

        Raises:
            SinkError: no stream was written there.

        Example:
            ``ssc.read_output("clicks").filter(lambda row: row["ms"] > 100).count()``
        """
        from livebatch import output

        readers = output.read_output(path, begin, end).readers()
        return RDD(Read(tuple(readers)), runner=self.runner)


def _slices(rows: Sequence[Any], count: int) -> Iterator[Any]:
    """Divide rows evenly."""
    bounds = [len(rows) * i // count for i in range(count + 1)]
    return (rows[a:b] for a, b in pairwise(bounds))


def range_of(start: int, stop: int, step: int) -> range:
    """The numbers of a partition."""
    return range(start, stop, step)


def _rows(rows: Iterable[Any]) -> Any:
    return builtin(given_rows, ship_pickle(list(rows), "local data"))
