"""Aggregates, and how what streams give of them agrees with what one query gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

COLUMNS = {
    "k": "VARCHAR",
    "i": "BIGINT",
    "d": "DOUBLE",
    "b": "BOOLEAN",
    "m": "DECIMAL(10,2)",
    "t": "TIMESTAMP WITH TIME ZONE",
    "s": "VARCHAR",
}

Agrees = Callable[[Any, Any], bool]


def exact(found: Any, wanted: Any) -> bool:
    """The same value; NaN is NaN."""
    return bool(found == wanted) or repr(found) == repr(wanted)


def close(found: Any, wanted: Any) -> bool:
    """Within the rounding of floats, which depends on the order of additions."""
    if found is None or wanted is None:
        return found is wanted or _is_nothing(found, wanted)
    if math.isnan(found) or math.isnan(wanted):
        return math.isnan(found) and math.isnan(wanted)
    return math.isclose(found, wanted, rel_tol=1e-6, abs_tol=1e-6)


def _is_nothing(found: Any, wanted: Any) -> bool:
    return all(value is None or math.isnan(value) for value in (found, wanted))


def same_bag(found: Any, wanted: Any) -> bool:
    """The same items, in any order."""
    return sorted(map(repr, found or ())) == sorted(map(repr, wanted or ()))


def same_words(found: Any, wanted: Any) -> bool:
    """The same words of a text that has been put together, in any order."""
    return same_bag((found or "").split("|"), (wanted or "").split("|"))


INCREMENTAL: dict[str, Agrees] = {
    "count(*)": exact,
    "count(i)": exact,
    "count_if(b)": exact,
    "count(*) FILTER (i > 0)": exact,
    "sum(i)": exact,
    "sum(m)": exact,
    "sum(d)": close,
    "fsum(d)": close,
    "avg(i)": close,
    "avg(d)": close,
    "avg(m)": close,
    "min(i)": exact,
    "max(d)": exact,
    "min(s)": exact,
    "max(t)": exact,
    "bool_and(b)": exact,
    "bool_or(b)": exact,
    "bit_and(i)": exact,
    "bit_or(i)": exact,
    "bit_xor(i)": exact,
    "stddev(i)": close,
    "stddev_pop(i)": close,
    "var_samp(i)": close,
    "var_pop(i)": close,
    "sem(i)": close,
    "covar_pop(i, m)": close,
    "covar_samp(i, m)": close,
    "regr_count(i, m)": exact,
    "regr_avgx(i, m)": close,
    "regr_avgy(i, m)": close,
    "regr_sxx(i, m)": close,
    "product(b::INTEGER + 1)": close,
    "arg_max(i, i)": exact,
    "arg_min(s, s)": exact,
    "approx_count_distinct(s)": exact,
    "approx_quantile(i, 0.9)": close,
    "string_agg(s, '|')": same_words,
    "any_value(k)": exact,
    "first(k)": exact,
    "sum(i) / count(*) + max(i)": close,
}
"""Merged from states, and how they agree."""

FROM_ROWS: dict[str, Agrees] = {
    "count(DISTINCT i)": exact,
    "sum(DISTINCT i)": exact,
    "mode(k)": exact,
    "histogram(i)": exact,
    "entropy(i)": close,
    "max(i, 2)": exact,
    "list(i)": same_bag,
    "list(i ORDER BY i)": exact,
    "median(i)": close,
    "quantile_cont(i, 0.25)": close,
    "last(k)": exact,
}
"""Computed of all rows of a window, and how they agree."""
