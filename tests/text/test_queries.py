from __future__ import annotations

import pytest

from agentgw.protocol.errors import InvalidParams
from agentgw_daemon.text.queries import check_query


@pytest.mark.parametrize("query", ["rent", "7", "C++", "报销？", "«é»", "😀", "ไทย", "a\u0301", "--x", '"7"'])
def test_a_query_with_a_letter_a_digit_or_a_picture_is_not_refused(query: str) -> None:
    check_query(query)


@pytest.mark.parametrize(
    "query", ["", " ", "\n\t", "?", "...", "¿?", "？。", "--", '""', "*", "\u00a0", "\u200b", "\u0301", "$+="]
)
def test_a_query_that_nothing_could_be_found_by_is_refused(query: str) -> None:
    with pytest.raises(InvalidParams, match="has no letter and no digit") as caught:
        check_query(query)
    assert caught.value.data["path"] == "query"
