"""What each process loads, and how little `import livebatch` does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import livebatch
from tests.helpers import REPO

NOTEBOOK = {"IPython", "anywidget", "bokeh", "comm", "ipykernel", "ipywidgets", "traitlets"}
HEAVY = {"deltalake", "duckdb", "matplotlib", "pandas", "psycopg", "requests", "sqlalchemy"}
IMPORT_S = 0.05


def fresh(code: str) -> str:
    """Run code in a new interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(module: str) -> set[str]:
    """The modules that importing one loads, beyond those that Python has loaded anyway."""
    code = f"""
import json, sys
before = set(sys.modules)
import {module}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    return set(json.loads(fresh(code)))


@pytest.mark.process
@pytest.mark.parametrize(
    "module",
    ["livebatch.engine.__main__", "livebatch.engine.worker", "livebatch.driver",
     "livebatch.engine.receiver", "livebatch.session"],
)  # fmt: skip
def test_no_process_of_the_engines_loads_a_notebook_or_a_data_frame(module: str) -> None:
    loaded = loaded_by(module)
    assert not {name.partition(".")[0] for name in loaded} & (NOTEBOOK | HEAVY)
    assert not [
        name for name in loaded if name.startswith(("livebatch.widgets", "livebatch.kernel"))
    ]


@pytest.mark.process
def test_importing_livebatch_loads_nothing_else() -> None:
    loaded = loaded_by("livebatch")
    assert {name for name in loaded if name.startswith("livebatch")} == {
        "livebatch",
        "livebatch._version",
    }
    assert {name.partition(".")[0] for name in loaded} - {"livebatch"} <= sys.stdlib_module_names


@pytest.mark.process
def test_importing_livebatch_is_fast() -> None:
    code = """
from time import perf_counter
begun = perf_counter()
import livebatch
print(perf_counter() - begun)
"""
    assert min(float(fresh(code)) for _ in range(3)) < IMPORT_S


@pytest.mark.parametrize("name", livebatch.__all__)
def test_every_public_name_is_there_when_it_is_asked_for(name: str) -> None:
    assert getattr(livebatch, name) is getattr(livebatch, name)


def test_other_names_are_missed() -> None:
    with pytest.raises(AttributeError, match="'livebatch' has no attribute 'nothing'"):
        livebatch.nothing  # noqa: B018


def test_every_public_name_is_offered_for_completion() -> None:
    assert set(livebatch.__all__) <= set(dir(livebatch))
