"""SQL over the settled batches of named streams."""

from __future__ import annotations

from livebatch.sql.adhoc import columns, query
from livebatch.sql.result import Result

__all__ = ["Result", "columns", "query"]
