"""A notebook in a browser, for tests to drive.

Everything waits for a condition, with a deadline; nothing sleeps.
"""

from __future__ import annotations

import ast
import json
from itertools import count
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SHOTS = Path(__file__).parents[2] / "build" / "shots"
SECONDS = 60.0
LONG_SECONDS = 120.0

# `lab` is the application, `panel` the notebook in front.
PRELUDE = "const lab = window.jupyterapp, panel = lab?.shell.currentWidget;"
KERNEL = "panel?.sessionContext?.session?.kernel"


CLOSED_EARLY = "[anywidget] Failed to initialize model."
"""What anywidget says of a view that is closed before its script has loaded, as by quick re-runs of
its cell; one that fails otherwise draws nothing, which tests notice."""


class Notebook:
    """A notebook open in a page of its own, with its kernel.

    In the JavaScript of `evaluate` and `wait`, ``lab`` is the application, ``panel`` the notebook
    panel and ``arg`` the argument.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self._marks = count()
        page.on("pageerror", self._note)
        page.goto(url, wait_until="domcontentloaded")
        self._ready()

    def _note(self, error: object) -> None:
        if CLOSED_EARLY not in str(error):
            self.errors.append(str(error))

    def evaluate(self, js: str, arg: Any = None) -> Any:
        """The value of a JavaScript expression, at once."""
        return self.page.evaluate(f"(arg) => {{ {PRELUDE} return {js} }}", arg)

    def wait(self, js: str, arg: Any = None, *, seconds: float = SECONDS) -> Any:
        """Wait until a JavaScript expression is true, and return its value.

        Raises:
            playwright.sync_api.TimeoutError: if it is not in time.
        """
        predicate = f"(arg) => {{ {PRELUDE} return {js} }}"
        return self.page.wait_for_function(predicate, arg=arg, timeout=seconds * 1e3).json_value()

    def promise(self, js: str, arg: Any = None, *, seconds: float = SECONDS) -> Any:
        """What a JavaScript expression promises.

        Raises:
            RuntimeError: if the promise is broken.
            playwright.sync_api.TimeoutError: if it is not kept in time.
        """
        return self._result(self._begin(js, arg), seconds)

    def run(self, i: int, *, wait: bool = True, seconds: float = LONG_SECONDS) -> None:
        """Run cell ``i``; with ``wait``, to its end."""
        run = self._begin(
            "(panel.content.deselectAll(), panel.content.activeCellIndex = arg,"
            " lab.commands.execute('notebook:run-cell').then(() => true))",
            i,
        )
        if wait:
            self._result(run, seconds)

    def running(self, i: int) -> bool:
        """Whether cell ``i`` has begun and has not ended."""
        return bool(self.evaluate("panel.content.widgets[arg].model.executionState !== 'idle'", i))

    def wait_for_end(self, i: int, *, seconds: float = SECONDS) -> None:
        """Wait until cell ``i`` has run."""
        self.wait("panel.content.widgets[arg].model.executionState === 'idle'", i, seconds=seconds)

    def edit(self, i: int, source: str) -> None:
        """Replace the text of cell ``i``."""
        self.evaluate(
            "panel.content.widgets[arg[0]].model.sharedModel.setSource(arg[1])", [i, source]
        )

    def output(self, i: int) -> str:
        """What stands under cell ``i``, as text (without what figures draw)."""
        return str(self.evaluate("panel.content.widgets[arg].outputArea.node.innerText", i))

    def outputs(self, i: int) -> list[dict[str, Any]]:
        """The outputs of cell ``i`` as the notebook's file would hold them."""
        outputs = self.evaluate("panel.content.widgets[arg].model.sharedModel.getOutputs()", i)
        assert isinstance(outputs, list)
        return outputs

    def wait_for_output(self, i: int, text: str, *, seconds: float = SECONDS) -> None:
        """Wait until ``text`` stands under cell ``i``."""
        js = "panel.content.widgets[arg[0]].outputArea.node.innerText.includes(arg[1])"
        self.wait(js, [i, text], seconds=seconds)

    def ask(self, expression: str) -> Any:
        """The value of a Python expression in the kernel, by way of JSON; queues behind cells."""
        code = f"__import__('json').dumps({expression})"
        reply = self.promise(
            f"{KERNEL}.requestExecute({{code: '', silent: true, store_history: false,"
            " user_expressions: {answer: arg}}).done.then(r => r.content.user_expressions.answer)",
            code,
        )
        if reply["status"] != "ok":
            raise RuntimeError("\n".join(reply["traceback"]))
        # The reply is the repr of a string: a Python literal of JSON.
        return json.loads(ast.literal_eval(reply["data"]["text/plain"]))

    def view(self, name: str) -> dict[str, Any]:
        """Counters of a live view in this page: seq, gaps, frames, keyframes."""
        view = self.evaluate(
            "(({seq, gaps, frames, keyframes}) => ({seq, gaps, frames, keyframes}))"
            "(window.__livebatch.views[arg])",
            name,
        )
        assert isinstance(view, dict)
        return view

    def data(self, name: str) -> dict[str, Any]:
        """The columns that a live view shows, as lists."""
        plain = "JSON.parse(JSON.stringify(arg, (_, v) => ArrayBuffer.isView(v) ? [...v] : v))"
        source = "window.__livebatch.views[arg].source.data"
        data = self.evaluate(f"(arg => {plain})({source})", name)
        assert isinstance(data, dict)
        return data

    def wait_for_frames(self, name: str, more: int = 1, *, seconds: float = SECONDS) -> int:
        """Wait until a live view has taken ``more`` frames than now; returns how many it has.

        Nothing is sent to a view out of sight, so it is brought into sight.
        """
        # Counted for each view by itself: the one of a cell run again starts at none.
        js = (
            "((view, seen) => { if (!view) return false;"
            " if (!view.presence.sees) panel.content.scrollToItem("
            "panel.content.widgets.findIndex(cell => cell.outputArea?.node.contains(view.el)));"
            " if (!seen.has(view)) seen.set(view, view.frames);"
            " return view.frames >= seen.get(view) + arg.more && view.frames })"
            "(window.__livebatch?.views[arg.name],"
            " (window.__seen ??= {})[arg.mark] ??= new WeakMap())"
        )
        arg = {"name": name, "more": more, "mark": next(self._marks)}
        return int(self.wait(js, arg, seconds=seconds))

    def interrupt(self) -> None:
        """Interrupt the kernel, as Ctrl-C would."""
        self.promise(f"{KERNEL}.interrupt().then(() => true)")

    def delete(self, i: int) -> None:
        """Delete cell ``i``."""
        self.promise(
            "(panel.content.deselectAll(), panel.content.activeCellIndex = arg,"
            " lab.commands.execute('notebook:delete-cell').then(() => true))",
            i,
        )

    def save(self) -> None:
        """Save the notebook."""
        self.promise("panel.context.save().then(() => true)")

    def reload(self) -> None:
        """Load the page again; the kernel stays. What was not saved is lost."""
        self.page.reload(wait_until="domcontentloaded")
        self._ready()

    def restart_kernel(self) -> None:
        """Restart the kernel."""
        self.promise("panel.sessionContext.session.kernel.restart().then(() => true)")
        self._ready()

    def scroll_to(self, i: int) -> None:
        """Bring cell ``i`` to the top of the page."""
        self.evaluate("(panel.content.widgets[arg].node.scrollIntoView(), true)", i)

    def theme(self, name: str) -> None:
        """Change the theme: ``JupyterLab Light`` or ``JupyterLab Dark``."""
        self.promise(
            "lab.commands.execute('apputils:change-theme', {theme: arg}).then(() => true)", name
        )
        self.wait("document.body.dataset.jpThemeName === arg", name)

    def screenshot(self, name: str) -> Path:
        """Take a picture of the page into ``build/shots/<name>.png``."""
        path = SHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def close(self) -> None:
        """Shut the kernel down and close the page."""
        self.promise("panel.sessionContext.shutdown().then(() => true)")
        self.page.close()

    def _begin(self, js: str, arg: Any) -> int:
        mark = next(self._marks)
        self.evaluate(
            f"(window.__kept ??= {{}}, {js}.then("
            f"value => {{ __kept[{mark}] = {{value}} }},"
            f" error => {{ __kept[{mark}] = {{error: String(error)}} }}), true)",
            arg,
        )
        return mark

    def _result(self, mark: int, seconds: float) -> Any:
        kept = self.wait(f"window.__kept[{mark}]", seconds=seconds)
        if "error" in kept:
            raise RuntimeError(kept["error"])
        return kept["value"]

    def _ready(self) -> None:
        self.wait("panel?.content?.widgets?.length > 0")
        self.wait(
            f"panel.sessionContext.isReady && {KERNEL}?.connectionStatus === 'connected'"
            f" && {KERNEL}.status === 'idle'",
            seconds=LONG_SECONDS,
        )
