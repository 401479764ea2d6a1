"""The engine: batches, jobs and tasks, and the processes that carry them out."""

from __future__ import annotations
