"""What all are given: files of lines, of events and of numbers; and what is asked in SQL."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SCALE = float(os.environ.get("SCALE", "1"))
"""A smaller one than 1 makes all smaller, for a quick run."""

FILES, LINES, WORDS, VOCABULARY = 8, int(2_000_000 * SCALE), 16, 100_000
BATCHES, WINDOW = 40, 30
SLICE = LINES // BATCHES
EVENTS, EVENT_FILES = LINES // 2, 4
KEYS, NUMBER_FILES, P99_WINDOW = 2 * SLICE, 16, 10
NUMBERS = NUMBER_FILES * SLICE
WORD = "w99"
"""It is in 1.3 % of the lines."""

GREP = f"line LIKE '% {WORD} %'"
SPLIT = "SELECT unnest(string_split(line, ' ')) AS word FROM {}"
TOP = "SELECT word, count(*) AS n FROM {} GROUP BY word ORDER BY n DESC, word DESC LIMIT 10"
P99 = "SELECT key, approx_quantile(ms, 0.99) AS p99 FROM {} GROUP BY key"
EVENT = {"ad_id": "VARCHAR", "event_type": "VARCHAR", "event_time": "BIGINT"}

ADS = pa.table(
    {"ad_id": [f"ad{n}" for n in range(1000)], "campaign_id": [n // 10 for n in range(1000)]}
)
START_MS = 1_767_225_600_000


def line_files(folder: Path) -> list[Path]:
    """Write files of lines of words, of which the n-th is 1/n times as frequent as the first."""
    weights = 1 / np.arange(1, VOCABULARY + 1)
    words = pa.array([f"w{i}" for i in range(VOCABULARY)])
    chance, count = np.random.default_rng(1), LINES // FILES
    offsets = pa.array(np.arange(0, count * WORDS + 1, WORDS, dtype=np.int32))
    texts = []
    for _ in range(FILES):
        chosen = chance.choice(VOCABULARY, count * WORDS, p=weights / weights.sum())
        lists = pa.ListArray.from_arrays(offsets, words.take(pa.array(chosen)))
        texts.append("\n".join(pc.binary_join(lists, " ").to_pylist()) + "\n")
    return written(folder, texts)


def sliced(files: list[Path], folder: Path) -> list[Path]:
    """Write the lines of files into more files."""
    texts = []
    for file in files:
        lines = file.read_text().splitlines(keepends=True)
        texts += ["".join(lines[i : i + SLICE]) for i in range(0, len(lines), SLICE)]
    return written(folder, texts)


def event_files(folder: Path) -> list[Path]:
    """Write files of events, one each ten milliseconds, in order; each is an object of JSON."""
    chance, texts, count = np.random.default_rng(2), [], EVENTS // EVENT_FILES
    for part in range(EVENT_FILES):
        ads, kinds, users = chance.integers(0, [[1000], [3], [100_000]], (3, count))
        texts.append(
            "".join(map(event, ads, kinds, users, range(part * count, (part + 1) * count)))
        )
    return written(folder, texts)


def event(ad: int, kind: int, user: int, number: int) -> str:
    fields = {
        "user_id": f"u{user}",
        "page_id": f"p{user * 7 % 1000}",
        "ad_id": f"ad{ad}",
        "ad_type": "banner",
        "event_type": ("view", "click", "purchase")[kind],
        "event_time": START_MS + 10 * number,
        "ip_address": "10.1.2.3",
        "agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101",
    }
    return json.dumps(fields) + "\n"


def quantile_files(folder: Path) -> list[Path]:
    """Write files of keys and numbers."""
    folder.mkdir()
    chance, files = np.random.default_rng(3), []
    for i in range(NUMBER_FILES):
        files.append(folder / f"{i:03}.parquet")
        columns = {"key": chance.integers(0, KEYS, SLICE), "ms": chance.exponential(30, SLICE)}
        pq.write_table(pa.table(columns), files[-1])
    return files


def written(folder: Path, texts: list[str]) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{i:03}.txt" for i in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    return files
