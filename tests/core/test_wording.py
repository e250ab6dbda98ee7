"""The sentences we insert."""

import pytest

from notes2conf_milter.core.wording import (
    FENCE,
    HTML_CLOSE,
    HTML_OPEN,
    WORDINGS,
    Wording,
    html_block,
    html_lines,
    plain_block,
)

languages = pytest.mark.parametrize("language", sorted(WORDINGS))


@languages
def test_a_plain_block_stands_between_fences(language: str) -> None:
    """So that a later message finds it again."""
    lines = plain_block(WORDINGS[language], "https://x.example/j/t").split("\n")
    assert lines[0] == lines[-1] == FENCE
    assert not any(FENCE in line for line in lines[1:-1])
    assert any(line.endswith(" https://x.example/j/t") for line in lines)


@languages
def test_an_html_block_is_one_line_of_ascii(language: str) -> None:
    """It fits every charset; its anchor has human text and an escaped address."""
    block = html_block(WORDINGS[language], 'https://x.example/j/t?a&"b')
    assert block.isascii()
    assert "\n" not in block
    assert block.startswith(HTML_OPEN)
    assert block.endswith(HTML_CLOSE)
    assert 'href="https://x.example/j/t?a&amp;&quot;b">' in block


@languages
def test_a_title_needs_no_quotes_as_a_parameter(language: str) -> None:
    """It is the LABEL of CONFERENCE (RFC 5545 §3.1)."""
    assert not set(WORDINGS[language].title) & set(':;,"\r\n')


def test_a_block_in_a_calendar_is_on_one_line() -> None:
    """What breaks a line in a body is nothing behind <br>, and a blank elsewhere."""
    wording = Wording("T <&>", "{title}\n{link}", '<p>{title}<br>\n<a href="{link}">x\ny</a><BR />\nü</p>')
    lines = html_lines(wording, "https://x.example/j/t")
    assert lines == (
        HTML_OPEN + '<p>T &lt;&amp;&gt;<br>\n<a href="https://x.example/j/t">x\ny</a><BR />\n&#252;</p>' + HTML_CLOSE
    )
    assert html_block(wording, "https://x.example/j/t") == (
        HTML_OPEN + '<p>T &lt;&amp;&gt;<br><a href="https://x.example/j/t">x y</a><BR />&#252;</p>' + HTML_CLOSE
    )


def test_a_title_is_never_a_placeholder() -> None:
    """What is filled in is not looked at again."""
    assert plain_block(Wording("{link}", "{title} {link}", ""), "u") == f"{FENCE}\n{{link}} u\n{FENCE}"
