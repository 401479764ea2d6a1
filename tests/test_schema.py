"""Schemas as they travel in a source's options."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from livebatch.schema import arrow_schema, written

TYPES = st.sampled_from(
    [
        "BOOLEAN", "TINYINT", "UBIGINT", "DOUBLE", "FLOAT", "VARCHAR", "BLOB", "DATE", "TIME",
        "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "DECIMAL(18,3)",
    ]
)  # fmt: skip
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5)


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def struct(fields: list[tuple[str, str]]) -> str:
        quoted = (f'"{name.replace(chr(34), chr(34) * 2)}" {kind}' for name, kind in fields)
        return f"STRUCT({', '.join(quoted)})"

    fields = st.lists(
        st.tuples(NAMES, inner), min_size=1, max_size=3, unique_by=lambda field: field[0].lower()
    )
    return inner.map(lambda kind: f"{kind}[]") | fields.map(struct)


@given(st.dictionaries(NAMES, st.recursive(TYPES, _nested, max_leaves=4), min_size=1, max_size=4))
def test_a_schema_travels_unchanged(schema: dict[str, str]) -> None:
    columns = written(schema)
    assert [name for name, _ in columns] == list(schema)
    assert written(arrow_schema(columns)) == columns
    assert written(list(map(list, columns))) == columns
