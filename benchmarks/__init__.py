"""How fast it is, measured beside how fast it could be: ``python -m benchmarks [NAME …]``."""

from __future__ import annotations
