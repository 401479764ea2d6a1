"""Run the quickstart notebook in JupyterLab in a headless browser, and check that it lives.

Prints the table of the last window, saves ``build/demo.png``, and fails if a cell raised, if no
batch settled, or if what the charts show did not change.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.lab import Lab  # noqa: E402
from tests.browser.notebook import Notebook  # noqa: E402

NOTEBOOK = "01_quickstart.ipynb"
CHARTS = ["load", "top_words"]
CELLS = "panel.content.widgets.map(cell => cell.model.type)"
STOP = "ssc.stop(), server.terminate(), server.wait()"


@contextmanager
def opened(name: str) -> Iterator[Notebook]:
    """Open a copy of a notebook, with what lies beside it."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "notebooks", folder, dirs_exist_ok=True)
        with Lab.start(Path(folder)) as lab:
            notebook = lab.visit(name)
            notebook.page.set_viewport_size({"width": 900, "height": 7200})
            notebook.evaluate("lab.shell.collapseLeft()")
            yield notebook
            notebook.close()


def run_all(notebook: Notebook) -> None:
    """Run every code cell, from top to bottom.

    Raises:
        SystemExit: one of them raised.
    """
    for i, kind in enumerate(notebook.evaluate(CELLS)):
        if kind != "code":
            continue
        notebook.run(i)
        for output in notebook.outputs(i):
            if output["output_type"] == "error":
                raise SystemExit(f"cell {i} raised {output['ename']}: {output['evalue']}")
        if "top_words --show bar" in notebook.evaluate(
            "panel.content.widgets[arg].model.sharedModel.getSource()", i
        ):
            wait_for_charts(notebook)


def wait_for_charts(notebook: Notebook) -> None:
    """Wait until every chart has shown something, and then something else.

    Raises:
        SystemExit: one of them did not change.
    """
    for name in CHARTS:
        notebook.wait(f"window.__livebatch?.views[{name!r}]?.source.get_length() > 0")
        before = notebook.data(name)
        notebook.wait_for_frames(name, 3)
        if notebook.data(name) == before:
            raise SystemExit(f"the chart of {name} did not change")


def main() -> None:
    """Run the demonstration."""
    with opened(NOTEBOOK) as notebook:
        run_all(notebook)
        settled = notebook.ask("{s.name: s.batches for s in ssc.status().streams}")
        workers = notebook.ask("len(ssc.status().workers)")
        window = notebook.ask("top_words.latest().to_pandas().to_string(index=False)")
        notebook.scroll_to(0)
        notebook.wait_for_frames("load", 3)
        picture = ROOT / "build" / "demo.png"
        picture.parent.mkdir(exist_ok=True)
        notebook.page.screenshot(path=picture)
        notebook.ask(f"str(({STOP}))")
    print(window)
    print(f"{workers} workers; batches settled: {settled}; picture: {picture.relative_to(ROOT)}")
    if workers < 2 or not all(settled.values()):
        raise SystemExit("a stream settled no batch")


if __name__ == "__main__":
    main()
