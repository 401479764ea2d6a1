"""One JupyterLab and one browser for all tests of this folder; pictures of those that fail."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.browser.lab import Lab

running = pytest.StashKey[Lab]()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Lab]:
    with Lab.start(tmp_path_factory.mktemp("lab")) as lab:
        pytestconfig.stash[running] = lab
        yield lab
        del pytestconfig.stash[running]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (lab := item.config.stash.get(running, None)):
        for i, notebook in enumerate(lab.notebooks):
            notebook.screenshot(f"failed-{item.name}-{i}")
    return report
