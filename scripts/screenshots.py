"""Make the pictures of the README and of docs/views.md, from the real thing.

Runs the quickstart and a notebook with a view of each kind in JupyterLab in a headless browser,
in the light theme and in the dark one.
"""

from __future__ import annotations

import io

from demo_headless import ROOT, STOP, opened, run_all
from PIL import Image

from livebatch.widgets import kinds
from tests.browser.notebook import Notebook

IMAGES = ROOT / "docs" / "images"
BOX = """(({x, y, width, height}) => ({x, y, width, height}))(
    panel.content.widgets[arg].node.getBoundingClientRect())"""
FIND = "panel.content.widgets.findIndex(c => c.model.sharedModel.getSource().includes(arg))"
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
FRAMES, MILLIS = 24, 250
SETTLE = 20_000
"""Milliseconds until windows have filled."""


def clip(notebook: Notebook, first: int, last: int) -> dict[str, float]:
    """Return the part of the page that cells take, with a little room around."""
    boxes = [notebook.evaluate(BOX, i) for i in (first, last)]
    top, bottom = boxes[0]["y"] - 6, boxes[1]["y"] + boxes[1]["height"] + 6
    return {"x": boxes[0]["x"], "y": top, "width": boxes[0]["width"], "height": bottom - top}


def picture(notebook: Notebook, name: str, first: int, last: int) -> None:
    """Save a picture of some cells."""
    image = notebook.page.screenshot(clip=clip(notebook, first, last))
    Image.open(io.BytesIO(image)).quantize(128).save(IMAGES / f"{name}.png", optimize=True)


def animation(notebook: Notebook, name: str, first: int, last: int) -> None:
    """Save what some cells show for a few seconds."""
    part = clip(notebook, first, last)
    frames = []
    for _ in range(FRAMES):
        frames.append(Image.open(io.BytesIO(notebook.page.screenshot(clip=part))).quantize(64))
        notebook.page.wait_for_timeout(MILLIS)
    frames[0].save(
        IMAGES / f"{name}.gif",
        save_all=True,
        append_images=frames[1:],
        duration=MILLIS,
        loop=0,
        optimize=True,
    )


def theme(notebook: Notebook, name: str) -> None:
    """Change JupyterLab's theme."""
    notebook.promise("lab.commands.execute('apputils:change-theme', {theme: arg})", name)
    notebook.wait("document.body.dataset.jpThemeName === arg", name)


def cell_of(notebook: Notebook, text: str) -> int:
    """Return the number of the first cell that has a text in it."""
    return int(notebook.evaluate(FIND, text))


def of_the_quickstart() -> None:
    """Picture two cells, and animate one."""
    with opened("01_quickstart.ipynb") as notebook:
        run_all(notebook)
        load, words = cell_of(notebook, "load --show"), cell_of(notebook, "top_words --show")
        notebook.page.wait_for_timeout(SETTLE)
        picture(notebook, "quickstart", load, load + 2)
        animation(notebook, "live", words, words)
        notebook.ask(f"str(({STOP}))")


def of_the_views() -> None:
    """Picture a view of each kind, in both themes."""
    with opened("views.ipynb") as notebook:
        run_all(notebook)
        notebook.page.wait_for_timeout(SETTLE)
        for chosen, suffix in ((LIGHT, ""), (DARK, "-dark")):
            theme(notebook, chosen)
            notebook.page.wait_for_timeout(1_500)
            for kind in set(kinds()) - {"none"}:
                cell = cell_of(notebook, f"--show {kind}")
                picture(notebook, f"view-{kind}{suffix}", cell, cell)
        notebook.ask("str(ssc.stop())")


def main() -> None:
    """Make all pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    of_the_quickstart()
    of_the_views()


if __name__ == "__main__":
    main()
