"""Run the benchmarks that are named, or all: ``python -m benchmarks overhead latency``."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path

from benchmarks.measure import show

NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem != "measure"
)


def main() -> None:
    """Run them one after the other and print a table for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    chosen = parser.parse_args().names
    for name in chosen:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name}; there are {', '.join(NAMES)}")
    print(f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}")
    for name in chosen or NAMES:
        module = import_module(f"benchmarks.{name}")
        print(f"\n{(module.__doc__ or name).splitlines()[0]}", flush=True)
        found = module.run()
        for table in [found] if isinstance(found, list) else found:  # those that come one by one
            show(table)


if __name__ == "__main__":
    main()
