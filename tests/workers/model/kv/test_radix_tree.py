"""The tree of segments against a plain list of texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.workers.model.kv.radix_tree import Prefixes, RadixNode
from agentgw_daemon.workers.protocol.kv_files import segment

# Two tokens and short texts: they start alike all the time.
TEXT = st.lists(st.integers(0, 1), min_size=1, max_size=9)


def common(one: list[int], other: list[int]) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return length


def add(tree: Prefixes, tokens: list[int], start: int = 0) -> RadixNode | None:
    parent = segment.ROOT
    if start:
        parent = tree.ends(segment.pack(tokens))[start].header.digest
    return tree.add("o", segment.describe(parent, start, segment.pack(tokens[start:]), 1))


def text(node: RadixNode) -> list[int]:
    packed = b"".join(one.header.tokens for one in node.chain())
    return list(memoryview(packed).cast("i"))


@given(st.lists(st.tuples(TEXT, st.booleans(), st.integers(0, 99))), TEXT)
def test_the_longest_is_what_a_search_through_all_texts_finds(
    history: list[tuple[list[int], bool, int]], prompt: list[int]
) -> None:
    tree = Prefixes()
    texts: dict[RadixNode, list[int]] = {}
    for tokens, dropping, choice in history:
        if dropping and texts:
            gone = tree.drop(list(texts)[choice % len(texts)])
            for node in gone:
                del texts[node]
            continue
        starts = sorted({0, *tree.ends(segment.pack(tokens))} - {len(tokens)})
        node = add(tree, tokens, starts[choice % len(starts)])
        if node is not None:
            texts[node] = tokens
    assert {node: text(node) for node in texts} == texts
    assert all(tree.get(node.header.digest) is node and not node.gone for node in texts)
    chain, length = tree.longest(segment.pack(prompt))
    assert length == max((common(one, prompt) for one in texts.values()), default=0)
    if chain:
        assert common(text(chain[-1]), prompt) == length
        assert chain[-1].header.start < length
    wanted = {len(one) for one in texts.values() if prompt[: len(one)] == one}
    assert set(tree.ends(segment.pack(prompt))) == wanted


def test_what_follows_a_dropped_segment_goes_with_it() -> None:
    tree = Prefixes()
    first = add(tree, [1])
    second = add(tree, [1, 2], 1)
    third = add(tree, [1, 2, 3], 2)
    aside = add(tree, [4])
    assert first is not None
    assert tree.drop(first) == [first, second, third]
    assert [node for node in (first, second, third, aside) if node and not node.gone] == [aside]
    assert tree.get(first.header.digest) is None
    assert tree.longest(segment.pack([1, 2])) == ([], 0)
    assert tree.drop(first) == []


def test_a_segment_without_its_parent_is_not_taken() -> None:
    tree = Prefixes()
    digest = segment.digest(segment.ROOT, segment.pack([1]))
    assert tree.add("o", segment.describe(digest, 1, segment.pack([2]), 1)) is None
    add(tree, [1])
    # Its parent ends elsewhere than it starts.
    assert tree.add("o", segment.describe(digest, 2, segment.pack([2]), 1)) is None
    assert tree.add("o", segment.describe(digest, 1, segment.pack([2]), 1)) is not None


def test_the_same_segment_is_there_once() -> None:
    tree = Prefixes()
    assert add(tree, [1, 2]) is not None
    assert add(tree, [1, 2]) is None
