"""Answers in Markdown with all that makes terminals stumble."""

from __future__ import annotations

from typing import Final

_FUNCTION: Final = 'def number_{0}(x: int) -> str:  # "{0}"\n    return f"{{x}}" * {0}\n\n'
CODE: Final = f"```python\n{''.join(_FUNCTION.format(n) for n in range(334))}```\nThe end.\n"
MIXED: Final = """\
# A title that is longer than a narrow terminal is wide, with `code`

Some **bold text** and `code x` and *it* [a link](http://example.org/a) 2 * 3 snake_case_word ~~gone~~.
A second line of the paragraph that is long enough to be wrapped at eighty columns, and *goes on*
in a third with a lone ** that closes nothing and an unclosed `tick.

- one
- two **b**
  - nested item which is long enough to wrap at forty columns, twice if need be
    continued
- [three](<http://example.org/three>)

1. first
2. second

   a paragraph in the second
10. tenth

| Name | Value | A longer heading |
|------|------:|:----------------:|
| a | 1 | some **text** here |
| b | 22 | `x | y` |
| c | 3 | 日本語テキスト |
| d | 4 | y |
| e | 5 | y that is much longer than all the other cells in this column, and wider than the screen |

> quoted, with a line that is long enough to be wrapped on a terminal of forty columns
> > deeper

---
日本語のテキストはスペースなしで折り返す必要があります。これは**長い**文です、そして続きます。
👨‍👩‍👧 family, ❤️ heart, 🇩🇪 flag, 👍🏽 thumb; שלום עולם and مرحبا بالعالم; e\u0301 combined
~~~c
/* a comment
   of two lines */ int x = 1;
a_line_without_blanks_that_is_much_longer_than_a_narrow_terminal_is_wide_so_that_it_is_cut_wherever_it_ends();
~~~
| not a table
The end &amp; more <b>html</b> and a\\
break, \x1b[2J escapes \u202e and &#x202e; too
"""
