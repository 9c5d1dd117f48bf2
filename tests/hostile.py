"""Names that data, study files, models and paths may hold, and that no page and no terminal may follow."""

from __future__ import annotations

HOSTILE: dict[str, str] = {
    "script": "<script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "single quotes": "'><svg onload='alert(1)'>",
    "end of style": "</style></title></svg><b>",
    "end of data": "]]><!-- --><![CDATA[",
    "entities": "& &lt; &#60; &amp;quot;",
    "address": "url(http://example.com/x) @import 'http://example.com/x' href=http://example.com",
    "identifier": 'id="x" aria-label="y" role="graphics-symbol" url(#z)',
    "bidi": "a\u202eb\u2066c\u200f",
    "controls": "\x1b]0;title\x07\x1b[2J\x9b31m\x08\x7f\x00",
    "lines": "one\ntwo\r\nthree\u2028four",
    "half a character": "name\udcff",
    "long": "x" * 10_000,
    "brackets": "[/red][link=http://example.com]x {task} %s",
    "backslash": 'x\\" + (7*7) + "\\u0041\\',
    "expression": "' + datum.x + '{{7*7}}${7*7}",
}
