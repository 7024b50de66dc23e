"""JSON Schema to a grammar: whatever the grammar makes parses as JSON and meets the schema. Pure.

What is written is compact: properties in the order of the schema, one blank at most after `:` and `,`, none elsewhere,
so that a small model cannot lose itself in white space. An object with `properties` has no others; where the type is
left open, the keywords say which is meant. Keywords that would have to be checked and that no grammar can keep are
refused by their path; annotations and unknown keywords say nothing about the text. A `format` that is not kept is
refused in a schema that a user gave, by `check_formats`; what a tool declares is only a hint for its arguments.

llama.cpp follows all ways to read a text at once. How many there can be is counted here and bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.inference.structured_output import formats, numerals, pattern
from agentgw_daemon.inference.structured_output.gbnf import (
    EMPTY,
    Chars,
    Expr,
    Ref,
    Repeat,
    Rules,
    Seq,
    Terminal,
    TooLarge,
    alt,
    optional,
    seq,
)
from agentgw_daemon.inference.structured_output.keywords import counts, escaped, format_fault, members, number
from agentgw_daemon.inference.structured_output.schema_reader import (
    ALL_KINDS,
    KINDS,
    SchemaError,
    SchemaReader,
    Types,
    types_of,
)

MAX_DEPTH: Final = 64
MAX_PROPERTIES: Final = 256
# Ways to read a text at one place. Each costs llama.cpp about a millisecond when it looks at its whole vocabulary.
MAX_WAYS: Final = 4096
_GAP: Final = Repeat(Terminal(" "), 0, 1)
_COMMA: Final = seq(Terminal(","), _GAP)
_COLON: Final = seq(Terminal(":"), _GAP)
# No control characters, quotes, backslashes, DEL; no surrogates, nothing beyond Unicode.
_PLAIN: Final = Chars(
    ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF), (0x110000, 0x1FFFFF)), negated=True
)
_ESCAPE: Final = seq(Terminal("\\"), Chars(tuple((ord(c), ord(c)) for c in '"\\/bfnrt')))
_REFUSED: Final = (
    "not", "if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies", "patternProperties",
    "propertyNames", "contains", "unevaluatedItems", "$dynamicRef", "$recursiveRef",
)  # fmt: skip
_ASSERTIONS: Final = frozenset(
    {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}.union(*(words for words in KINDS.values()))
)


@record
class _Value:
    """A schema compiled: `kinds` are the possible first characters, `ways` how many readings it may need at once.

    `loops` are the definitions being compiled that it contains again.
    """

    expr: Expr
    kinds: frozenset[str]
    ways: int = 1
    loops: frozenset[str] = frozenset()


def grammar_of(schema: Any) -> str:
    """The grammar of a JSON Schema (2020-12); the last few are remembered. Raises SchemaError."""
    return _compiled(schema)[0]


def check_formats(schema: Any) -> str:
    """The grammar as `grammar_of` gives it. Raises SchemaError also for a `format` that the grammar does not
    keep.
    """
    grammar, fault = _compiled(schema)
    if fault is not None:
        raise fault
    return grammar


def _compiled(schema: Any) -> tuple[str, SchemaError | None]:
    try:
        return _compile(json.dumps(schema, ensure_ascii=False, allow_nan=False))
    except RecursionError:
        raise SchemaError("#", "nests too deeply") from None
    except ValueError as error:
        raise SchemaError("#", f"is no JSON: {error}") from None


# A session asks for the same form again and again, a `map` for the same a thousand times.
@lru_cache(maxsize=8)
def _compile(text: str) -> tuple[str, SchemaError | None]:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SchemaError("#", "holds half a surrogate pair") from None
    try:
        compiler = _Compiler(json.loads(text))
        return compiler.grammar(), compiler.format_fault
    except TooLarge as error:
        raise SchemaError("#", str(error)) from None


class _Compiler:
    def __init__(self, schema: Any) -> None:
        self._reader = SchemaReader(schema)
        self._rules = Rules()
        self._done: dict[str, _Value] = {}
        self._open: dict[str, Ref] = {}
        self._paths: dict[str, str] = {}
        self._any: Ref | None = None
        # The first `format` that the grammar does not keep.
        self.format_fault: SchemaError | None = None
        self._string = self._rules.name(alt((_PLAIN, _ESCAPE)))

    def grammar(self) -> str:
        root = self._target("#", "#", 0).expr
        if endless := self._rules.endless():
            path = next((self._paths[name] for name in self._paths if name in endless), "#")
            raise SchemaError(path, "has no finite value: it always contains itself again")
        return self._rules.text(root)

    def _value(self, schema: Any, path: str, depth: int) -> _Value:
        if depth > MAX_DEPTH:
            raise SchemaError(path, f"nests more than {MAX_DEPTH} deep")
        if schema is False:
            raise SchemaError(path, "allows nothing")
        if schema is True:
            schema = {}
        if not isinstance(schema, dict):
            raise SchemaError(path, "must be an object, true or false")
        for keyword in _REFUSED:
            if keyword in schema:
                raise SchemaError(f"{path}/{keyword}", "is not supported")
        if self.format_fault is None:
            self.format_fault = format_fault(schema, path)
        for keyword in ("$ref", "allOf", "anyOf", "oneOf"):
            if keyword in schema:
                self._check_alone(schema, keyword, path)
                return self._combined(schema, keyword, path, depth)
        if "const" in schema or "enum" in schema:
            return self._enum(schema, path)
        types = types_of(schema, path)
        if types is None:
            return self._anything()
        return self._either([self._typed(schema, name, path, depth) for name in types], [{}] * len(types), path)

    def _check_alone(self, schema: Mapping[str, Any], keyword: str, path: str) -> None:
        for other in schema:
            if other in _ASSERTIONS and other != keyword:
                raise SchemaError(f"{path}/{other}", f"cannot be combined with {keyword}")

    def _combined(self, schema: Mapping[str, Any], keyword: str, path: str, depth: int) -> _Value:
        if keyword == "$ref":
            pointer, _ = self._reader.deref(schema["$ref"], f"{path}/$ref")
            return self._target(pointer, path, depth)
        branches = schema[keyword]
        here = f"{path}/{keyword}"
        if not isinstance(branches, list) or not branches:
            raise SchemaError(here, "must be an array that is not empty")
        if keyword == "allOf" and len(branches) > 1:
            raise SchemaError(here, "is supported with one schema only")
        if keyword == "oneOf":
            for at, one in enumerate(branches):
                for before in range(at):
                    if self._reader.may_both_match(branches[before], one, here):
                        raise SchemaError(here, f"{before} and {at} may both match: use anyOf")
        values = [self._value(branch, f"{here}/{at}", depth + 1) for at, branch in enumerate(branches)]
        return self._either(values, branches, here)

    def _target(self, pointer: str, path: str, depth: int) -> _Value:
        """The value that a reference names; a reference to what is being compiled is a rule that will be defined."""
        if pointer in self._done:
            return self._done[pointer]
        pointer, schema = self._reader.deref(pointer, path)
        if pointer in self._open:
            return _Value(
                expr=self._open[pointer],
                kinds=self._reader.kinds(schema, pointer),
                loops=frozenset((pointer,)),
            )
        self._reader.kinds(schema, pointer)  # refuses one that is nothing but itself
        ref = self._open[pointer] = self._rules.reserve()
        self._paths[ref.name] = pointer
        value = self._value(schema, pointer, depth + 1)
        self._rules.define(ref, value.expr)
        del self._open[pointer]
        made = _Value(expr=ref, kinds=value.kinds, ways=value.ways, loops=value.loops - {pointer})
        self._done[pointer] = made
        return made

    def _either(self, values: list[_Value], branches: list[Any], path: str) -> _Value:
        """A rule for one of several values. Those that begin alike have to be read side by side until they differ."""
        if len(values) == 1:
            return values[0]
        ways = 1
        for kind in frozenset().union(*(value.kinds for value in values)):
            same = [at for at, value in enumerate(values) if kind in value.kinds]
            each = [values[at].ways for at in same]
            if self._reader.are_parted([branches[at] for at in same], path):
                ways = max(ways, max(each) + len(each) - 1)
                continue
            ways = max(ways, sum(each))
            if len(same) > 1 and any(values[at].loops & self._open.keys() for at in same):
                raise SchemaError(path, "alternatives that begin alike may not contain themselves again")
        self._check_ways(ways, path)
        return _Value(
            expr=self._rules.name(alt(value.expr for value in values)),
            kinds=frozenset().union(*(value.kinds for value in values)),
            ways=ways,
            loops=frozenset().union(*(value.loops for value in values)),
        )

    def _check_ways(self, ways: int, path: str) -> None:
        if ways > MAX_WAYS:
            raise SchemaError(path, f"begins alike in more than {MAX_WAYS} ways")

    def _enum(self, schema: Mapping[str, Any], path: str) -> _Value:
        keyword = "const" if "const" in schema else "enum"
        values = [schema["const"]] if "const" in schema else schema["enum"]
        if not isinstance(values, list) or not values:
            raise SchemaError(f"{path}/enum", "must be an array that is not empty")
        for other in schema:
            if other in _ASSERTIONS and other not in (keyword, "type"):
                raise SchemaError(f"{path}/{other}", f"cannot be combined with {keyword}")
        types = types_of(schema, path) if "type" in schema else None
        kept = [value for value in values if types is None or any(Types.holds(name, value) for name in types)]
        if isinstance(form := schema.get("format"), str):
            kept = [value for value in kept if formats.holds(form, value)]
        if not kept:
            raise SchemaError(f"{path}/{keyword}", "has no value of its type")
        texts = [json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in kept]
        expr, ways = self._rules.one_of(texts)
        self._check_ways(ways, f"{path}/{keyword}")
        return _Value(expr=expr, kinds=self._reader.kinds({"enum": kept}, path), ways=ways)

    def _anything(self) -> _Value:
        if self._any is None:
            self._any = ref = self._rules.reserve()
            text = self._rules.name(seq(Terminal('"'), Repeat(self._string, 0, None), Terminal('"')))
            pair = seq(text, _COLON, ref)
            numbers = self._rules.name(numerals.number(None, None))
            options = (self._listed("{", pair, 0, None, "}"), self._listed("[", ref, 0, None, "]"), text, numbers)
            self._rules.define(ref, alt((*options, Terminal("true"), Terminal("false"), Terminal("null"))))
        return _Value(expr=self._any, kinds=ALL_KINDS)

    def _typed(self, schema: Mapping[str, Any], name: str, path: str, depth: int) -> _Value:
        kinds = Types.kinds[name]
        match name:
            case "object":
                return self._object(schema, path, depth)
            case "array":
                return self._array(schema, path, depth)
            case "string":
                return _Value(expr=self._rules.name(self._text(schema, path)), kinds=kinds)
            case "integer" | "number":
                return _Value(expr=self._rules.name(number(schema, name, path)), kinds=kinds)
            case "boolean":
                return _Value(expr=alt((Terminal("true"), Terminal("false"))), kinds=kinds)
            case _:
                return _Value(expr=Terminal("null"), kinds=kinds)

    def _text(self, schema: Mapping[str, Any], path: str) -> Expr:
        least, most = counts(schema, "minLength", "maxLength", path)
        if "pattern" not in schema and (wanted := formats.PATTERNS.get(str(schema.get("format")))) is not None:
            whole = pattern.parse(wanted)
            # Lengths beside it are the format's own affair: `format_fault` refuses them where somebody relies on them.
            return seq(Terminal('"'), pattern.expression(whole, self._rules), Terminal('"'))
        if "pattern" not in schema:
            return seq(Terminal('"'), self._rules.repeat(self._string, least, most), Terminal('"'))
        here = f"{path}/pattern"
        if not isinstance(schema["pattern"], str):
            raise SchemaError(here, "must be a string")
        try:
            node = pattern.bounded(pattern.parse(schema["pattern"]), least, most)
            if node is None:
                raise SchemaError(here, "may match strings that are shorter or longer than minLength and maxLength say")
            return seq(Terminal('"'), pattern.expression(node, self._rules), Terminal('"'))
        except pattern.PatternError as error:
            raise SchemaError(here, str(error)) from None

    def _array(self, schema: Mapping[str, Any], path: str, depth: int) -> _Value:
        least, most = counts(schema, "minItems", "maxItems", path)
        if schema.get("uniqueItems") and (most is None or most > 1):
            raise SchemaError(f"{path}/uniqueItems", "is not supported")
        if "prefixItems" in schema or isinstance(schema.get("items"), list):
            raise SchemaError(f"{path}/{'prefixItems' if 'prefixItems' in schema else 'items'}", "is not supported")
        items = schema.get("items", True)
        if most == 0 or (items is False and least == 0):
            return _Value(expr=Terminal("[]"), kinds=Types.kinds["array"])
        item = self._value(items, f"{path}/items", depth + 1)
        expr = self._listed("[", item.expr, least, most, "]")
        return _Value(expr=self._rules.name(expr), kinds=Types.kinds["array"], ways=item.ways + 1, loops=item.loops)

    def _listed(self, opening: str, item: Expr, least: int, most: int | None, closing: str) -> Expr:
        item = self._rules.name(item)
        more = self._rules.repeat(seq(_COMMA, item), max(least - 1, 0), None if most is None else most - 1)
        listed = seq(item, more)
        return seq(Terminal(opening), listed if least else optional(listed), Terminal(closing))

    def _object(self, schema: Mapping[str, Any], path: str, depth: int) -> _Value:
        properties, required = members(schema, path)
        least, most = counts(schema, "minProperties", "maxProperties", path)
        additional = schema.get("additionalProperties", True)
        if "unevaluatedProperties" in schema and not isinstance(schema["unevaluatedProperties"], bool):
            raise SchemaError(f"{path}/unevaluatedProperties", "is not supported")
        if not properties and not required:
            return self._map(additional, least, most, path, depth)
        if len(properties) > MAX_PROPERTIES:
            raise SchemaError(f"{path}/properties", f"has more than {MAX_PROPERTIES}")
        if least > len(required):
            raise SchemaError(f"{path}/minProperties", "is more than there are required properties")
        values: dict[str, _Value] = {}
        for name, member in properties.items():
            if member is not False or name in required:
                values[name] = self._value(member, f"{path}/properties/{escaped(name)}", depth + 1)
        if isinstance(additional, dict):
            # Not written unless required, but it has to be sound.
            self._value(additional, f"{path}/additionalProperties", depth + 1)
        for name in sorted(required):
            if name not in values:
                if additional is False:
                    reason = f"{json.dumps(name)[:80]} is required, and additionalProperties is false"
                    raise SchemaError(f"{path}/required", reason)
                values[name] = self._value(additional, f"{path}/additionalProperties", depth + 1)
        if most is not None and most < len(values):
            raise SchemaError(f"{path}/maxProperties", "is less than there are properties")
        optionals = len(values) - len(required)
        ways = max((value.ways for value in values.values()), default=1) + optionals
        self._check_ways(ways, path)
        return _Value(
            expr=self._rules.name(self._members_expr(values, required)),
            kinds=Types.kinds["object"],
            ways=ways,
            loops=frozenset().union(*(value.loops for value in values.values())),
        )

    def _members_expr(self, values: dict[str, _Value], required: frozenset[str]) -> Expr:
        """The properties in order; `pick` is the one at hand or, if it may be left out, a later one."""
        if not values:
            return Terminal("{}")
        pick: Expr | None = None
        must = False  # whether something required follows
        for name in reversed(values):
            pair = seq(Terminal(json.dumps(name, ensure_ascii=False)), _COLON, values[name].expr)
            later = EMPTY if pick is None else seq(_COMMA, pick) if must else optional(seq(_COMMA, pick))
            this = seq(pair, later)
            pick = self._rules.name(this if pick is None or name in required else alt((this, pick)))
            must = must or name in required
        assert pick is not None
        return seq(Terminal("{"), pick if must else optional(pick), Terminal("}"))

    def _map(self, additional: Any, least: int, most: int | None, path: str, depth: int) -> _Value:
        """An object with any names. The same name twice would be one property, so no more than one can be promised."""
        if least > 1:
            raise SchemaError(f"{path}/minProperties", "is supported up to 1 where the names are open")
        if (most == 0 or additional is False) and least == 0:
            return _Value(expr=Terminal("{}"), kinds=Types.kinds["object"])
        value = self._value(additional, f"{path}/additionalProperties", depth + 1)
        text = self._rules.name(seq(Terminal('"'), Repeat(self._string, 0, None), Terminal('"')))
        pair = self._rules.name(Seq((text, _COLON, value.expr)))
        expr = self._listed("{", pair, least, most, "}")
        return _Value(expr=self._rules.name(expr), kinds=Types.kinds["object"], ways=value.ways + 1, loops=value.loops)
