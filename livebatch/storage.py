"""Where rows that are kept may lie: Spark's storage levels, and what they mean here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class StorageLevel:
    """Where the rows of an RDD or of a stream's batches are kept.

    Blocks are written to shared memory, once for all workers of a machine, and move to disk when
    their budget is used up. So every level but ``NONE`` means the same here, that of
    ``MEMORY_AND_DISK``; they differ in name, so that programs written for Spark run.

    Attributes:
        use_disk: rows may lie on disk.
        use_memory: rows may lie in memory.
        use_off_heap: outside of a JVM's heap, as all blocks do here.
        deserialized: as objects of a JVM, which there are none of here.
        replication: on how many machines; blocks are computed again from lineage instead.

    Example:
        >>> print(StorageLevel.MEMORY_AND_DISK_2)
        Disk Memory Serialized 2x Replicated
    """

    use_disk: bool
    use_memory: bool
    use_off_heap: bool
    deserialized: bool
    replication: int = 1

    NONE: ClassVar[StorageLevel]
    DISK_ONLY: ClassVar[StorageLevel]
    DISK_ONLY_2: ClassVar[StorageLevel]
    DISK_ONLY_3: ClassVar[StorageLevel]
    MEMORY_ONLY: ClassVar[StorageLevel]
    MEMORY_ONLY_2: ClassVar[StorageLevel]
    MEMORY_AND_DISK: ClassVar[StorageLevel]
    MEMORY_AND_DISK_2: ClassVar[StorageLevel]
    OFF_HEAP: ClassVar[StorageLevel]
    MEMORY_AND_DISK_DESER: ClassVar[StorageLevel]

    @property
    def keeps(self) -> bool:
        """Whether rows are kept at all.

        >>> StorageLevel.DISK_ONLY.keeps, StorageLevel.NONE.keeps
        (True, False)
        """
        return self.use_disk or self.use_memory

    def __str__(self) -> str:
        places = [
            *(["Disk"] if self.use_disk else []),
            *(["Memory"] if self.use_memory else []),
            *(["OffHeap"] if self.use_off_heap else []),
            "Deserialized" if self.deserialized else "Serialized",
        ]
        return f"{' '.join(places)} {self.replication}x Replicated"


StorageLevel.NONE = StorageLevel(False, False, False, False)
StorageLevel.DISK_ONLY = StorageLevel(True, False, False, False)
StorageLevel.DISK_ONLY_2 = StorageLevel(True, False, False, False, 2)
StorageLevel.DISK_ONLY_3 = StorageLevel(True, False, False, False, 3)
StorageLevel.MEMORY_ONLY = StorageLevel(False, True, False, False)
StorageLevel.MEMORY_ONLY_2 = StorageLevel(False, True, False, False, 2)
StorageLevel.MEMORY_AND_DISK = StorageLevel(True, True, False, False)
StorageLevel.MEMORY_AND_DISK_2 = StorageLevel(True, True, False, False, 2)
StorageLevel.OFF_HEAP = StorageLevel(True, True, True, False)
StorageLevel.MEMORY_AND_DISK_DESER = StorageLevel(True, True, False, True)
