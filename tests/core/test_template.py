"""What an administrator's own wording may hold."""

import json

import pytest

from notes2conf_milter.core.template import TemplateError, wording_from
from notes2conf_milter.core.wording import FENCE, HTML_CLOSE, HTML_OPEN, Wording

TITLE, PLAIN, HTML = "Konferenz", "Hier: {link}", '<p>{title}<br><a href="{link}">Hier</a></p>'


UNSEEN = "\u200b\u200d\u00ad\u202e\u2066\ufeff"  # they change what is read, or how, and nobody sees them


def toml(title: object = TITLE, plain: object = PLAIN, html: object = HTML, more: str = "") -> str:
    """A template as TOML; JSON's strings are TOML's."""
    values = {"title": title, "plain": plain, "html": html}
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items() if value is not None) + more


def refused(text: str, key: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        wording_from(text)
    assert caught.value.key == key
    assert words in caught.value.problem
    assert "allowed" in caught.value.problem or "is not TOML" in caught.value.problem


def test_what_is_read() -> None:
    """The lines as they stand; those around the text are the file's."""
    text = 'title = "K"\nplain = """\r\nA {link}\r\n\r\n{title} ü\r\n"""\nhtml = """\n<p><a href="{link}">K</a>\n</p>\n"""\n'
    assert wording_from(text) == Wording("K", "A {link}\n\n{title} ü", '<p><a href="{link}">K</a>\n</p>')


def test_a_file_as_a_whole() -> None:
    """TOML, these keys and no other, each a text."""
    refused("title", "", "is not TOML")
    refused(toml(more="heading = 1\n"), "heading", "no such key; allowed are title, plain, html")
    for key in ("title", "plain", "html"):
        for value in (None, 1, [], "", " \n"):
            refused(toml(**{key: value}), key, "is missing")


@pytest.mark.parametrize("sign", [*':;,"{}^\\<>', "\n", "\t", "\x7f", "\u2028", "；", "：", "＂", "\ue000", *UNSEEN])
def test_a_title_can_be_a_label(sign: str) -> None:
    """It stands in a parameter (RFC 5545 §3.2), also when it is spelled in ASCII."""
    refused(toml(title=f"a{sign}b"), "title", "allowed is one line without")


def test_more_of_titles() -> None:
    """Length, blanks, and what is an ordinary name."""
    refused(toml(title="\u3164"), "title", "can be seen")
    refused(toml(title="x" * 61), "title", "too long; allowed are 60")
    refused(toml(title=" x"), "title", "allowed is one line")
    for title in ("x" * 60, "Visioconférence (l'équipe)", "Видео & Ко", "ビデオ会議", "Bob's"):
        assert wording_from(toml(title=title)).title == title


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ("Hier", "{link} stands in it 0 times; allowed is exactly one"),
        ("{link}\n{link}", "{link} stands in it 2 times"),
        ("{link} {name}", "no other braces"),
        ("{link} {", "no other braces"),
        ("{link} {{title}}", "no other braces"),
        ("{link}.", "a blank or the end of the line"),
        ("<{link}>", "a blank or the end of the line"),
        ("\u00a0{link}", "a blank or the end of the line"),
        ("{link}{title}", "a blank or the end of the line"),
        ("{link}\n" + FENCE, "no fence"),
        ("{link}\n" + FENCE.replace("-", "–"), "no fence"),
        ("{link}\n-- \nx", "begins with --"),
        ("{link}\n--b", "begins with --"),
        ("{link}\n––b", "begins with --"),
        ("{link} \nx", "ends with a blank"),
        ("{link}\nx\u00a0", "ends with a blank"),
        ("{link}\tx", "no control characters"),
        ("{link}\rx", "no control characters"),
        ("{link}\n\0", "no control characters"),
        *((f"{{link}}\na{sign}b", "no control characters") for sign in UNSEEN),
        ("{link} https://example.org/", "no link but {link}"),
        ("{link} www.example.org", "no link but {link}"),
        ("{link} https：//example.org/", "no link but {link}"),
        ("{link}\n" + "x" * 2_000, "too long; allowed are 2000"),
        ("{link}\n" + "x" * 900, "a line is too long"),
        ("{link}\n" + "ñ" * 250, "a line is too long"),
        ("{link}\n" + "\ufdfa" * 60, "a line is too long"),
    ],
)
def test_plain_text_that_is_refused(plain: str, words: str) -> None:
    """Each with what is allowed."""
    refused(toml(plain=plain), "plain", words)


def test_a_title_makes_no_line_that_is_refused() -> None:
    """What is looked at is the text as it will stand."""
    refused(toml(title="-x", plain="-{title}\n{link}"), "plain", "begins with --")


@pytest.mark.parametrize(
    "plain", ["{link}", "{link}\n\nTél : ü", "{title}\n > {link} <", "{title} {title} {link}", "a\n{link}"]
)
def test_plain_text_that_is_taken(plain: str) -> None:
    """Blanks inside, empty lines, a title as often as one likes."""
    assert wording_from(toml(plain=plain)).plain == plain


LINKED = '<a href="{link}">x</a>'


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<p>x</p>", "{link} stands in it 0 times"),
        (LINKED * 2, "{link} stands in it 2 times"),
        ("{link}", 'in <a href="{link}"> around a text'),
        ('<a title="{link}">x</a>', "no {link}"),
        ('<a href="{link}"> &nbsp;<b> </b></a>', "around a text"),
        *(
            (f'<a href="{{link}}">{text}</a>', "around a text")
            for text in ("&#32;", "&emsp;", "\u3164", "\u2800", "\u034f", "<b title='x'></b>".replace("'", '"'))
        ),
        *((LINKED + sign, "no control characters") for sign in (*UNSEEN, "&shy;", "&zwnj;", "&#8238;", "&#x202E;")),
        ('<a href="{link}?x">x</a>', "no link but"),
        ('<p href="{link}">x</p>', "no link but"),
        (LINKED + '<a href="https://example.org/">y</a>', "no link but"),
        (LINKED + '<a href="tel:1">y</a>', "no link but"),
        ('<a href="{link}">x<a>y</a></a>', "no anchor in another"),
        ("<a href='{link}'>x</a>", 'name="value"'),
        ("<a href={link}>x</a>", 'name="value"'),
        (LINKED + "{name}", "no other braces"),
        *(
            (LINKED + f"<{tag}>x</{tag}>", f"no <{tag}>")
            for tag in ("script", "style", "iframe", "form", "body", "svg")
        ),
        (LINKED + '<img src="x">', "no <img>"),
        (LINKED + '<SCRIPT src="x"></SCRIPT>', "no <script>"),
        (LINKED + '<p onclick="x()">y</p>', "no attribute onclick"),
        (LINKED + '<p OnClick="x()">y</p>', "no attribute onclick"),
        (LINKED + '<td background="x">y</td>', "no attribute background"),
        (LINKED + '<p style="background: URL(x)">y</p>', "no url()"),
        (LINKED + '<p style="background: u\\72l(x)">y</p>', "no url()"),
        (LINKED + '<p style="background: &#117;rl(x)">y</p>', "no url()"),
        (LINKED + '<p title="{title}">y</p>', "no {title}"),
        ("<p>" + LINKED, "<p> is not closed"),
        (LINKED + "</p>", "does not close"),
        ("<p><b>" + LINKED + "</p></b>", "does not close"),
        (LINKED + "<p/>", "is not closed"),
        (LINKED + "</br>", "does not close"),
        (LINKED + "a < b", "no < or >"),
        (LINKED + "<p", "no < or >"),
        (LINKED + "<!-- x -->", "no comments"),
        (LINKED + HTML_OPEN, "no fence"),
        (LINKED + HTML_CLOSE, "no fence"),
        (LINKED + FENCE, "no fence"),
        (LINKED + "<!DOCTYPE html>", "no < or >"),
        (LINKED + "<?x?>", "no < or >"),
        (LINKED + '<p title="a>b">y</p>', "no < or >"),
        (LINKED + " mailto:a@example.org", "no link but {link}"),
        (LINKED + "\n--b", "begins with --"),
        (LINKED + "\t", "no control characters"),
        (LINKED + "x\n" * 2_000, "too long; allowed are 4000"),
        (LINKED + "ü" * 200, "a line is too long"),
    ],
)
def test_html_that_is_refused(html: str, words: str) -> None:
    """Each with what is allowed."""
    refused(toml(html=html), "html", words)


@pytest.mark.parametrize(
    "html",
    [
        LINKED,
        '<A  HREF="{link}"\n target="_blank" style="color: #fff; padding: .6em" >Los &amp; rein</A >',
        '<table role="presentation" width="100%"><tr><td bgcolor="#1f5f8b">' + LINKED + "</td></tr></table>",
        "{title}<br/>\n<hr />" + LINKED + "R&D é",
        '<a href="{link}">&#9654;</a>',
        '<a href="{link}">{title}</a>',
    ],
)
def test_html_that_is_taken(html: str) -> None:
    """Tags that show text, in any case of letters."""
    assert wording_from(toml(html=html)).html == html
