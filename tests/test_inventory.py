"""Every public member of PySpark's streaming classes is here, or there is a line that says why not.

The signatures are PySpark's. A member is called as PEP 8 would have it, takes the same parameters
in the same order with the same defaults, and may take more that need not be given.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import livebatch as lb
from livebatch.testing import ManualContext

VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD

STREAMING_CONTEXT = """
    __init__(sparkContext, batchDuration=None, jssc=None)
    getOrCreate(checkpointPath, setupFunc)
    getActive()
    getActiveOrCreate(checkpointPath, setupFunc)
    sparkContext
    start()
    awaitTermination(timeout=None)
    awaitTerminationOrTimeout(timeout)
    stop(stopSparkContext=True, stopGraceFully=False)
    remember(duration)
    checkpoint(directory)
    socketTextStream(hostname, port, storageLevel=StorageLevel.MEMORY_AND_DISK_2)
    textFileStream(directory)
    binaryRecordsStream(directory, recordLength)
    queueStream(rdds, oneAtATime=True, default=None)
    transform(dstreams, transformFunc)
    union(*dstreams)
    addStreamingListener(streamingListener)
    _activeContext
"""
SPARK_CONTEXT = """
    defaultParallelism
    defaultMinPartitions
    emptyRDD()
    range(start, end=None, step=1, numSlices=None)
    parallelize(c, numSlices=None)
    textFile(name, minPartitions=None, use_unicode=True)
    binaryRecords(path, recordLength)
    union(rdds)
    broadcast(value)
    accumulator(value, accum_param=None)
    setCheckpointDir(dirName)
    runJob(rdd, partitionFunc, partitions=None, allowLocal=False)
"""
DSTREAM = """
    __init__(jdstream, ssc, jrdd_deserializer)
    context()
    count()
    filter(f)
    flatMap(f, preservesPartitioning=False)
    map(f, preservesPartitioning=False)
    mapPartitions(f, preservesPartitioning=False)
    mapPartitionsWithIndex(f, preservesPartitioning=False)
    reduce(func)
    reduceByKey(func, numPartitions=None)
    combineByKey(createCombiner, mergeValue, mergeCombiners, numPartitions=None)
    partitionBy(numPartitions, partitionFunc=portable_hash)
    foreachRDD(func)
    pprint(num=10)
    mapValues(f)
    flatMapValues(f)
    glom()
    cache()
    persist(storageLevel)
    checkpoint(interval)
    groupByKey(numPartitions=None)
    countByValue()
    saveAsTextFiles(prefix, suffix=None)
    transform(func)
    transformWith(func, other, keepSerializer=False)
    repartition(numPartitions)
    union(other)
    cogroup(other, numPartitions=None)
    join(other, numPartitions=None)
    leftOuterJoin(other, numPartitions=None)
    rightOuterJoin(other, numPartitions=None)
    fullOuterJoin(other, numPartitions=None)
    slice(begin, end)
    window(windowDuration, slideDuration=None)
    reduceByWindow(reduceFunc, invReduceFunc, windowDuration, slideDuration)
    countByWindow(windowDuration, slideDuration)
    countByValueAndWindow(windowDuration, slideDuration, numPartitions=None)
    groupByKeyAndWindow(windowDuration, slideDuration, numPartitions=None)
    reduceByKeyAndWindow(func, invFunc, windowDuration, slideDuration=None, numPartitions=None, filterFunc=None)
    updateStateByKey(updateFunc, numPartitions=None, initialRDD=None)
"""  # noqa: E501
LISTENER = """
    __init__()
    onStreamingStarted(streamingStarted)
    onReceiverStarted(receiverStarted)
    onReceiverError(receiverError)
    onReceiverStopped(receiverStopped)
    onBatchSubmitted(batchSubmitted)
    onBatchStarted(batchStarted)
    onBatchCompleted(batchCompleted)
    onOutputOperationStarted(outputOperationStarted)
    onOutputOperationCompleted(outputOperationCompleted)
"""
BROADCAST = """
    __init__(sc=None, value=None, pickle_registry=None, path=None, sock_file=None)
    dump(value, f)
    load_from_path(path)
    load(file)
    value
    unpersist(blocking=False)
    destroy(blocking=False)
"""
STORAGE_LEVEL = """
    __init__(useDisk, useMemory, useOffHeap, deserialized, replication=1)
    NONE
    DISK_ONLY
    DISK_ONLY_2
    DISK_ONLY_3
    MEMORY_ONLY
    MEMORY_ONLY_2
    MEMORY_AND_DISK
    MEMORY_AND_DISK_2
    OFF_HEAP
    MEMORY_AND_DISK_DESER
"""
STAT_COUNTER = """
    __init__(values=None)
    merge(value)
    mergeStats(other)
    copy()
    count()
    mean()
    sum()
    min()
    max()
    variance()
    sampleVariance()
    stdev()
    sampleStdev()
    asDict(sample=False)
"""
TASK_CONTEXT = """
    __init__(**kwargs)
    get()
    from_json(json)
    stageId()
    partitionId()
    attemptNumber()
    taskAttemptId()
    getLocalProperty(key)
    cpus()
    cpuAmount()
    resources()
"""

CLASSES: dict[str, tuple[type[Any], str]] = {
    "StreamingContext": (lb.StreamingContext, STREAMING_CONTEXT),
    "SparkContext": (lb.StreamingContext, SPARK_CONTEXT),
    "DStream": (lb.DStream, DSTREAM),
    "TransformedDStream": (lb.DStream, "__init__(prev, func)"),
    "StreamingListener": (lb.StreamingListener, LISTENER),
    "Broadcast": (lb.Broadcast, BROADCAST),
    "Accumulator": (lb.Accumulator, "__init__(aid, value, accum_param)\nvalue\nadd(term)"),
    "AccumulatorParam": (lb.AccumulatorParam, "zero(value)\naddInPlace(value1, value2)"),
    "StorageLevel": (lb.StorageLevel, STORAGE_LEVEL),
    "StatCounter": (lb.StatCounter, STAT_COUNTER),
    "TaskContext": (lb.TaskContext, TASK_CONTEXT),
}

ELSEWHERE = {
    "DStream.context": "an attribute: stream.context",
    "SparkContext.union": "ssc.union(*rdds), the same method as for streams",
    "SparkContext.textFile": "text_file(path, min_partitions, encoding): text is always str",
    "SparkContext.parallelize": "parallelize(data, num_slices)",
    "SparkContext.setCheckpointDir": "set_checkpoint_dir(directory)",
    "StreamingContext.socketTextStream": "blocks lie where StorageLevel says, whatever the level",
    "StreamingContext.sparkContext": "the context itself makes batch RDDs",
    "StreamingContext.__init__": "StreamingContext(batch, …): it starts an engine of its own",
    "StreamingListener.__init__": "it takes nothing",
    "StreamingContext._activeContext": "StreamingContext.get_active()",
    "DStream.__init__": "streams come from a context, and from the operators of other streams",
    "TransformedDStream.__init__": "stream.transform(func)",
    "Broadcast.__init__": "ssc.broadcast(value)",
}
"""What is called otherwise, or made in another way."""

NOT_HERE = {
    "Broadcast.dump": "PySpark's own serialisation to files",
    "Broadcast.load_from_path": "PySpark's own serialisation to files",
    "Broadcast.load": "PySpark's own serialisation to files",
    "TaskContext.__init__": "a task has one already",
    "TaskContext.from_json": "for the JVM",
    "TaskContext.getLocalProperty": "for properties of a JVM's threads",
    "TaskContext.cpus": "a task has one thread, that of its worker",
    "TaskContext.cpuAmount": "a task has one thread, that of its worker",
    "TaskContext.resources": "for a cluster manager's devices",
}

OTHERWISE = {
    "StreamingContext.stop": "stop_gracefully, not stop_grace_fully",
    "DStream.partitionBy": "the number of partitions may be left out; the hash is livebatch's",
    "DStream.transformWith": "there are no serializers to keep",
    "DStream.updateStateByKey": "initial: pairs",
    "DStream.union": "takes several others",
    "SparkContext.runJob": "allowLocal has had no meaning for long",
}
"""Members whose parameters differ, and how."""

DOCUMENTED_THERE = {"livebatch.operators.window", "livebatch.operators.state"}
"""Modules whose operators are explained together."""


@dataclass(frozen=True)
class Member:
    """A member of a class of PySpark's, and the class here."""

    path: str
    kind: type[Any]
    parameters: tuple[tuple[str, str | None], ...] | None

    @property
    def here(self) -> str:
        """What it is called here."""
        name = self.path.partition(".")[2]
        return name if name.isupper() else snake(name)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def members() -> Iterator[Member]:
    for owner, (kind, text) in CLASSES.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            name, call, rest = line.partition("(")
            found = re.findall(r"(\**\w+)(?:=([\w.]+))?", rest) if call else None
            parameters = found and tuple((snake(n), default or None) for n, default in found)
            yield Member(f"{owner}.{name}", kind, parameters if call else None)


MEMBERS = {member.path: member for member in members()}
EXPECTED = [path for path in MEMBERS if path not in {*ELSEWHERE, *NOT_HERE}]


def test_no_line_is_about_what_is_not_there() -> None:
    assert {*ELSEWHERE, *NOT_HERE, *OTHERWISE} <= set(MEMBERS)
    assert not {*ELSEWHERE} & {*NOT_HERE}


@pytest.mark.parametrize("path", EXPECTED)
def test_a_member_is_here_under_its_name_with_its_parameters(path: str) -> None:
    member = MEMBERS[path]
    found = attribute(member)
    if member.parameters is None or not callable(found) or path in OTHERWISE:
        return
    ours = list(inspect.signature(found).parameters.values())
    if path.startswith(("DStream.", "StreamingListener.", "StatCounter.")) or ours[:1] == ["self"]:
        ours = ours[1:]
    ours = [parameter for parameter in ours if parameter.name not in ("self", "cls")]
    theirs = member.parameters or ()
    assert [p.name for p in ours[: len(theirs)]] == [name.lstrip("*") for name, _ in theirs]
    for parameter, (_, default) in zip(ours, theirs, strict=False):
        if default is not None:
            assert parameter.default == eval(default)
    more = [parameter for parameter in ours[len(theirs) :] if parameter.kind != VAR_KEYWORD]
    assert all(parameter.default is not parameter.empty for parameter in more)


@pytest.mark.parametrize("path", EXPECTED)
def test_a_member_is_documented_with_an_example(path: str) -> None:
    member = MEMBERS[path]
    found = inspect.getattr_static(member.kind, member.here, None) or attribute(member)
    doc = inspect.getdoc(found)
    assert doc
    runs = ">>>" in doc or ">>>" in (inspect.getdoc(member.kind) or "")
    assert runs or "Example" in doc or getattr(found, "__module__", "") in DOCUMENTED_THERE


def attribute(member: Member) -> Any:
    if member.kind is lb.StreamingContext:  # sources are found when they are asked for
        with ManualContext() as ssc:
            return getattr(ssc, member.here)
    if member.here == "__init__":
        return member.kind.__init__  # type: ignore[misc]
    return getattr(member.kind, member.here)
