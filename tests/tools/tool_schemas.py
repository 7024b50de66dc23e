"""JSON Schemas of tools' arguments, as servers write them."""

from __future__ import annotations

from hypothesis import strategies as st

_KEYWORDS = [
    "type", "properties", "required", "items", "additionalItems", "$ref", "anyOf", "allOf", "enum", "const", "$defs",
    "additionalProperties", "minimum", "exclusiveMinimum", "multipleOf", "minLength", "maxItems", "nullable", "not",
    "prefixItems", "contains", "if", "then", "title", "default", "pattern", "uniqueItems", "$anchor", "x",
]  # fmt: skip


_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["object", "string", "", "\ud800é", "INT", "#", "#/$defs/x", "#x", "#/properties/x", "http://x"])
)  # fmt: skip


_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYWORDS), inner, max_size=5),
    max_leaves=25,
)


SCHEMAS = st.dictionaries(st.sampled_from(_KEYWORDS), _JSON)
