"""Every notebook runs from top to bottom, as with "Run All Cells", and finds what it says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_S = 90
PATH = re.compile(r"/(?:home|root|Users|work|tmp|var)/\S*|[A-Z]:\\\S*")

# What holds in a notebook's kernel after its last cell.
FOUND = {
    "01_quickstart": """
        top_words.await_batch(lambda rdd: rdd.count() == 15)
        words.last("5s").count() > 0
        {"cpu %", "memory %"} == set(load.await_batch().first())
    """,
    "02_hashtags": """
        overtaken.first()[0] in ("#eclipse", "#cupfinal", "#firstsnow")
        overtaken.values().collect() == sorted(overtaken.values().collect(), reverse=True)
        set(overtaken.keys().collect()) <= set(hashtags.last("5m").collect())
        different_people.await_batch().first()["people"] > 10
        dict(highest.collect())[overtaken.first()[0]] > 0
    """,
    "03_spam_join": """
        broken.await_batch().first().startswith("JSONDecodeError in ")
        set(caught.map(lambda row: row["reason"]).collect()) == {"prizes", "pills", "money", None}
        judged.last("5m").filter(lambda row: row["sender"] == "ada1" and row["reason"]).is_empty()
        0 < spam_rate.await_batch().first()["spam %"] < 100
    """,
    "04_sessions": """
        again.batches and sum(map(len, live)) > 100
        [sorted(map(str, batch)) for batch in again.batches] == [sorted(map(str, b)) for b in live]
        both["change"].idxmax()[:1] + both["change"].idxmax()[2:] == ("Lisbon", "west")
    """,
    "05_traffic": """
        now < before / 2
        len(known) == len(TRUTH)
    """,
    "06_faults": """
        right and is_right(total.latest().first())
        ssc.status().pid != before and ssc.status().checkpoints.recovery is not None
        other.returncode == -signal.SIGKILL
        len(found) > 1000 and found.is_unique and found.max() - found.min() + 1 == len(found)
        len(times) > 4 and {b - a for a, b in zip(times, times[1:])} == {500}
    """,
    "07_sql": """
        latency.await_batch().first()["p99"] > 2 * latency.latest().first()["p50"]
        slowest.latest().first()["page"] == "/pay"
        {row["team"] for row in by_team.await_batch().collect()} == {"web", "search", "shop"}
        per_window.await_batch().first()["requests"] > 0
        "timeout" in misfits.last("5m").first()
        late.last("5m").filter(lambda row: row["ms"] is None).is_empty()
    """,
    "views": """
        set(visitors.await_batch().first()) == {"visitors", "orders"}
        orders.await_batch().count() > 0
    """,
}
STOP = """
import psutil

get_ipython().run_line_magic("engine", "stop")
left = psutil.Process().children(recursive=True)
for process in left:
    process.terminate()
psutil.wait_procs(left, timeout=10)
"""


def checks(name: str) -> NotebookNode:
    lines = (line.strip() for line in FOUND.get(name, "").splitlines())
    return new_code_cell("\n".join(f"assert {line}" for line in lines if line))


@pytest.mark.process
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_finds_what_it_says(path: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "notebooks")
    notebook = nbformat.read(folder / path.name, as_version=4)
    notebook.cells += [checks(path.stem), new_code_cell(STOP)]
    *cells, stop = notebook.cells
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=CELL_S, kernel_name="python3", resources=resources)
    with client.setup_kernel():
        try:
            for number, cell in enumerate(cells):
                client.execute_cell(cell, number)  # raises what a cell raises
        finally:
            client.execute_cell(stop, len(cells))
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert outputs
    assert [output for output in outputs if output.output_type == "error"] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_it_was_written(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code if cell.outputs] == []
    assert {cell.execution_count for cell in code} == {None}
    assert PATH.findall(path.read_text()) == []
