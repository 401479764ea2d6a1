"""PySpark's Structured Streaming, with its own functions, a file a batch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from benchmarks.peers.answers import TEN_SECONDS, finished
from benchmarks.peers.data import ADS, WORD

SCHEMA = "ad_id STRING, event_type STRING, event_time BIGINT"


@cache
def session() -> SparkSession:
    builder = SparkSession.builder.master("local[2]")
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
    }.items():
        builder = builder.config(key, value)
    found: SparkSession = builder.getOrCreate()
    found.sparkContext.setLogLevel("ERROR")
    return found


def lines_of(files: list[Path]) -> DataFrame:
    """Return the stream of the lines of all files of a folder, or of its first."""
    pattern = files[0].name if len(files) == 1 else "*.txt"
    reader = session().readStream.option("maxFilesPerTrigger", 1)
    return reader.option("pathGlobFilter", pattern).text(str(files[0].parent))


def result(stream: DataFrame) -> list[Any]:
    """Run a stream over all that is there, and return its last result."""
    with TemporaryDirectory(prefix="lb-") as folder:
        writer = stream.writeStream.format("memory").queryName("found").outputMode("complete")
        query = writer.option("checkpointLocation", folder).trigger(availableNow=True).start()
        query.awaitTermination()
        return session().table("found").collect()


def grep(files: list[Path]) -> Any:
    wanted = lines_of(files).filter(sf.col("value").contains(f" {WORD} "))
    [row] = result(wanted.groupBy().count())
    return int(row[0])


def campaigns(files: list[Path]) -> Any:
    ads = session().createDataFrame(list(map(tuple, zip(*ADS.to_pydict().values(), strict=True))))
    events = lines_of(files).select(sf.from_json("value", SCHEMA).alias("e")).select("e.*")
    views = events.filter("event_type = 'view'").join(ads.toDF("ad_id", "campaign_id"), "ad_id")
    start = sf.floor(sf.col("event_time") / TEN_SECONDS) * TEN_SECONDS
    found = result(
        views.groupBy(start.alias("start"), "campaign_id").agg(
            sf.count("*").alias("n"), sf.max("event_time").alias("last")
        )
    )
    counts = {(row["start"], row["campaign_id"]): row["n"] for row in found}
    return lambda: finished(counts, max(row["last"] for row in found))
