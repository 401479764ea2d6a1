"""Modules of the user's own, which travel with the functions that use them."""

from __future__ import annotations

import functools
import site
import sys
import sysconfig
from pathlib import Path

import cloudpickle


@functools.cache
def _installed_paths() -> tuple[str, ...]:
    named = sysconfig.get_paths()
    paths = [named[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages(), str(Path(__file__).parent)]
    return tuple({str(Path(path).resolve()) for path in paths})


_seen_modules: set[str] = set()


def pickle_user_modules_by_value() -> None:
    """Have cloudpickle send modules that are not installed (``helpers.py``) with the functions.

    So workers need not find them, and editing one, reloading it and running the cell again
    takes effect.
    """
    for name, module in sys.modules.copy().items():
        if name in _seen_modules:
            continue
        _seen_modules.add(name)
        file = getattr(module, "__file__", None)
        if not file or name == "__main__" or "<" in file:
            continue
        known = sys.modules.get(module.__name__) is module
        if known and not str(Path(file).resolve()).startswith(_installed_paths()):
            cloudpickle.register_pickle_by_value(module)
