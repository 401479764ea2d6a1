"""The same notebook outside JupyterLab: in Notebook 7, as a Voila app, and as plain HTML."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Page

from tests.browser.lab import Lab
from tests.browser.notebook import SHOTS
from tests.helpers import free_port

pytestmark = [pytest.mark.browser, pytest.mark.process, pytest.mark.timeout(180)]

CELLS = [
    "%load_ext livebatch\n%engine start --batch 200ms --workers 1 --linger 2s",
    "%%stream numbers --show line\nssc.rate_stream(20).map(lambda row: float(row['value'] % 7))",
    "%%stream names --show bar\nnumbers.map(lambda n: (f'name {n:.0f}', 1))",
]
MOVES = "({name, more}) => (window.__livebatch?.views[name]?.frames ?? 0) > more"
SECONDS = 30_000


@pytest.fixture
def notebook(lab: Lab) -> Iterator[Path]:
    """A notebook that has not been run."""
    path = lab.folder / "elsewhere.ipynb"
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    yield path
    path.unlink()


@pytest.fixture
def page(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page, of which a picture is taken at the end."""
    page = lab.browser.new_page(viewport={"width": 1280, "height": 900})
    yield page
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{request.node.name}.png")
    page.close()


def assert_alive(page: Page) -> None:
    """Check that both views are there and go on moving."""
    for name in ("numbers", "names"):
        page.wait_for_function(MOVES, arg={"name": name, "more": 0}, timeout=SECONDS)
        seen = page.evaluate("(name) => window.__livebatch.views[name].frames", name)
        page.wait_for_function(MOVES, arg={"name": name, "more": seen + 3}, timeout=SECONDS)
        assert page.evaluate("(name) => window.__livebatch.views[name].gaps", name) == 0


def test_in_notebook_7(lab: Lab, notebook: Path, page: Page) -> None:
    page.goto(f"{lab.url}/notebooks/{notebook.name}?token={lab.token}")
    page.get_by_text("Python 3 (ipykernel)").wait_for(timeout=SECONDS)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    assert_alive(page)


def test_as_a_voila_app(lab: Lab, notebook: Path, page: Page) -> None:
    page.goto(f"{lab.url}/voila/render/{notebook.name}?token={lab.token}")
    assert_alive(page)
    assert page.get_by_text("ssc.rate_stream").count() == 0, "an app shows no code"


def test_the_command_that_serves_an_app(lab: Lab, notebook: Path, page: Page) -> None:
    port = free_port()
    command = [sys.executable, "-c", "from livebatch.cli import main; main()", "dashboard"]
    with subprocess.Popen(
        [*command, str(notebook), "--no-browser", f"--port={port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(lab.folder / ".jupyter")},
        start_new_session=True,
    ) as server:
        try:
            assert server.stdout is not None
            address = f"http://localhost:{port}/"
            assert any(address in line for line in server.stdout), "it says where it is"
            page.goto(address)
            assert_alive(page)
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def test_the_file_keeps_the_last_batch_of_streams_that_were_stopped(lab: Lab) -> None:
    notebook = lab.open([*CELLS, "%stream stop names", "%engine stop"])
    for i in range(3):
        notebook.run(i)
    notebook.wait_for_frames("names", 5)
    for i in (3, 4):
        notebook.run(i)
    for i, text in ((2, "name "), (1, "data:image/svg+xml")):
        [output] = [out for out in notebook.outputs(i) if "text/html" in out.get("data", {})]
        assert text in "".join(output["data"]["text/html"])
        assert "application/vnd.jupyter.widget-view+json" in output["data"]
    notebook.wait("window.__livebatch.views.names.source?.get_length() > 0")
    notebook.save()
    path = lab.folder / notebook.evaluate("panel.context.path")
    html, _ = HTMLExporter(template_name="basic").from_filename(str(path))
    assert re.search(r"<td>name \d</td>", html)
    assert html.count("data:image/svg+xml") == 2
    notebook.close()
