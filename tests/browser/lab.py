"""JupyterLab in a real browser, for tests: one server, one browser, many notebooks."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import IO

import nbformat
from playwright.sync_api import Browser, sync_playwright

from tests.browser.notebook import Notebook

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/lab\?token=")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}

# Otherwise kernels may overlook the first request of a page, before livebatch is loaded.
AWAKE = """
from livebatch.kernel_ext.awake import keep_awake

keep_awake(get_ipython())
del keep_awake
"""


class Lab:
    """A JupyterLab server and a browser; use `Lab.start`."""

    def __init__(self, url: str, token: str, folder: Path, browser: Browser) -> None:
        self.url, self.token, self.folder, self.browser = url, token, folder, browser
        self._names = count()
        self._notebooks: list[Notebook] = []

    @classmethod
    @contextmanager
    def start(cls, folder: Path) -> Iterator[Lab]:
        """Run a server on notebooks in ``folder``, with settings of its own, and a browser."""
        token = secrets.token_hex(16)
        with _server(folder, token) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
            yield cls(url, token, folder, browser)
            browser.close()

    @property
    def notebooks(self) -> list[Notebook]:
        """The notebooks that are open."""
        return [notebook for notebook in self._notebooks if not notebook.page.is_closed()]

    def open(self, cells: Sequence[str], *, kernel: str = "python3") -> Notebook:
        """Write a notebook of code cells and open it; returns when its kernel is idle."""
        name = f"notebook{next(self._names)}"
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": kernel}},
        )
        nbformat.write(notebook, self.folder / f"{name}.ipynb")
        return self.visit(f"{name}.ipynb")

    def visit(self, path: str) -> Notebook:
        """Open a notebook that is in the server's folder."""
        page = self.browser.new_page(viewport={"width": 1280, "height": 900})
        workspace = Path(path).stem
        url = f"{self.url}/lab/workspaces/{workspace}/tree/{path}?reset&token={self.token}"
        notebook = Notebook(page, url)
        self._notebooks.append(notebook)
        return notebook


@contextmanager
def _server(folder: Path, token: str) -> Iterator[str]:
    home = folder / ".jupyter"
    (home / "labconfig").mkdir(parents=True)
    (home / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    startup = home / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "awake.py").write_text(AWAKE)
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={folder}"),
        *(f"--IdentityProvider.token={token}", "--LabApp.expose_app_in_browser=True"),
    ]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield _address(process.stdout, home / "server.log")
    finally:
        _stop(process)


def _address(output: IO[str], log: Path) -> str:
    """Where the server listens, once it says so; the rest of what it says goes to a file."""
    said = []
    for line in output:
        said.append(line)
        if found := ADDRESS.search(line):
            rest = log.open("w")
            Thread(target=_drain, args=(output, rest), daemon=True).start()
            return found[1]
    raise RuntimeError("JupyterLab did not start:\n" + "".join(said))


def _drain(output: IO[str], log: IO[str]) -> None:
    with output, log:
        shutil.copyfileobj(output, log)


def _stop(process: subprocess.Popen[str]) -> None:
    # Kernels end with their server; those that do not hear it are in its session.
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _chromium() -> str:
    wanted = os.environ.get("CHROMIUM", "chromium")
    for name in (wanted, "chromium-browser", "google-chrome", "google-chrome-stable"):
        if path := shutil.which(name):
            return path
    raise FileNotFoundError("browser tests need chromium or google-chrome on the PATH")
