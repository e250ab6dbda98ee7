"""Templates as administrators might write them, good and bad."""

from hypothesis import strategies as st

from notes2conf_milter.core.template import TemplateError, wording_from
from notes2conf_milter.core.wording import FENCE, HTML_CLOSE, HTML_OPEN, Wording

ODD = st.sampled_from(
    [
        *(
            "ä",
            "ß",
            "Ł",
            "“",
            "—",
            "––",
            "-",
            "--",
            "～",
            "＠meet",
            "@meet",
            " @meet ",
            "表",
            "ソ",
            "；",
            "：",
            "＂",
            "，",
            "\\",
            "\\n",
        ),
        *(
            "\\;",
            ";",
            ",",
            ":",
            '"',
            "&",
            "&amp;",
            "&nbsp;",
            "<",
            ">",
            "%",
            "=",
            "=\n",
            "=3D",
            ".",
            "From ",
            "\ufdfa",
            "e\u0301",
        ),
        *(
            "\u00a0",
            "\u202f",
            "\u200d",
            "\ufeff",
            "\u037e",
            "{title}",
            "{",
            "}",
            FENCE,
            FENCE[:-1],
            HTML_OPEN,
            HTML_CLOSE,
        ),
        *("BEGIN:VEVENT", "END:VCALENDAR", "</body>", "zoom.us/j/1", "https://", "😀", "x" * 120),
    ]
)
LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
WORDS = st.one_of(st.just("wort"), st.just("Тест"), st.just("会議"), ODD, LETTERS)
LINES = st.lists(WORDS, max_size=6).map(lambda words: " ".join(words).strip()) | st.lists(WORDS, max_size=4).map(
    "".join
)
TITLES = st.lists(WORDS, min_size=1, max_size=3).map("".join)
TAGS = st.sampled_from(["p", "b", "div", "table", "TD", "span", "h2"])
ATTRIBUTES = st.sampled_from(
    ["", ' style="color: #fff"', ' title="ä; b, c\'"', '\n lang="de"', ' align="x=&quot;"', ' role="--"']
)
ANCHORS = st.builds('<a href="{{link}}"{}>{}</a>'.format, ATTRIBUTES, st.sampled_from(["x", "Hier ä", "{title}", "→"]))


@st.composite
def plains(draw: st.DrawFn) -> str:
    before, link, after = (draw(st.lists(LINES, max_size=3)), draw(LINES), draw(st.lists(LINES, max_size=3)))
    joined = draw(st.sampled_from(["{link}", f"{link} {{link}}", f"{{link}} {link}"]))
    return "\n".join([*before, joined.strip(), *after])


@st.composite
def htmls(draw: st.DrawFn) -> str:
    html = draw(ANCHORS)
    for _ in range(draw(st.integers(0, 4))):
        tag = draw(TAGS)
        lead, tail = draw(LINES), draw(st.sampled_from(["", "<br>\n", "<hr>", "\n", "ü"]))
        html = f"<{tag}{draw(ATTRIBUTES)}>{lead}{html}{tail}</{tag}>"
    return html


def _wording(title: str, plain: str, html: str) -> Wording | None:
    quoted = ("".join(f"\\U{ord(character):08x}" for character in text) for text in (title, plain, html))
    try:
        return wording_from('title = "{}"\nplain = "{}"\nhtml = "{}"\n'.format(*quoted))
    except TemplateError:
        return None


# Each by itself, so that one that is refused does not cost the others.
PLAINS = plains().filter(lambda plain: _wording("x", plain, '<a href="{link}">x</a>') is not None)
HTMLS = htmls().filter(lambda html: _wording("x", "{link}", html) is not None)
GOOD_TITLES = TITLES.filter(lambda title: _wording(title, "{link}", '<a href="{link}">x</a>') is not None)
WORDINGS = st.builds(_wording, GOOD_TITLES, PLAINS, HTMLS).filter(lambda wording: wording is not None)
