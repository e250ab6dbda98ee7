"""Which octets may be inserted into a part: those of its charset that its transfer encoding carries.

In:  the declared charset, the decoded octets, the transfer encoding. Out: a `Charset` that encodes the text we insert,
     in plain ASCII where nothing else fits; None when the part cannot be edited octet by octet.
Fails: never.

Only charsets in which every ASCII octet means itself are edited: a colon, a line end or a tag is then what it seems. UTF-16
and UTF-7 are not among them. ISO-2022-JP is taken as far as its lines end in ASCII, and gets ASCII.
"""

import codecs
import re
import unicodedata
from dataclasses import dataclass
from encodings.aliases import aliases
from functools import lru_cache

from notes2conf_milter.core.transfer import IDENTITY

_TRANSPARENT = frozenset(
    {"ascii", "utf-8", "koi8-r", "koi8-u", "tis-620", "mac-roman", "latin_1", "gb2312", "gbk", "gb18030"}
    | {"euc_jp", "euc_kr", "cp949", "big5", "big5hkscs", "shift_jis", "cp932"}
    | {f"iso8859-{number}" for number in range(1, 17)}
    | {f"cp125{number}" for number in range(9)}
    | {f"cp{number}" for number in (437, 850, 852, 855, 857, 858, 866, 874)}
)
# Every name that Python has for a charset. Asking `codecs` for others would keep each of them in memory for good.
_NAMES = (
    frozenset(aliases)
    | frozenset(aliases.values())
    | {re.sub(r"[^a-z0-9]+", "_", name) for name in _TRANSPARENT}
    | {"utf_8_sig", "idna", "punycode", "raw_unicode_escape", "unicode_escape", "cp65001"}
)
_ESCAPE = re.compile(rb"\x1b([$(][@-J])")
# What NFKD does not spell: letters and signs of the texts we insert.
_SPELLED = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
        "ß": "ss",
        "æ": "ae",
        "Æ": "Ae",
        "œ": "oe",
        "Œ": "Oe",
    }
    | {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "ı": "i", "€": "EUR", "•": "*"}
    | {"–": "-", "—": "-"}
    | dict.fromkeys("‘’‚“”„«»‹›", "'")  # never a double quote: the text may stand in a parameter
)


@dataclass(frozen=True, slots=True)
class Charset:
    """How inserted text is written. codec: Python's name of the charset to read with; ascii_only: write ASCII alone."""

    codec: str
    ascii_only: bool

    def encode(self, text: str) -> bytes:
        """Return `text` in this charset; as ASCII where a character does not fit."""
        return self.fitting(text).encode("ascii" if self.ascii_only else self.codec)

    def fitting(self, text: str) -> str:
        """Return `text` as it can be written: as it is, or spelled in ASCII where a character does not fit."""
        if not self.ascii_only:
            try:
                text.encode(self.codec)
            except UnicodeEncodeError:
                pass
            else:
                return text
        return to_ascii(text)

    def decode(self, octets: bytes) -> str:
        """Return the text of `octets`; what is no character of the charset becomes U+FFFD."""
        return octets.decode(self.codec, "replace")


@lru_cache(64)  # a few sentences, over and over
def to_ascii(text: str) -> str:
    """Return `text` in ASCII: umlauts spelled out, accents dropped, the rest as `?`."""
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    return kept.encode("ascii", "replace").decode("ascii")


def charset_of(declared: bytes, octets: bytes, encoding: bytes, default: str) -> Charset | None:
    """Return the Charset of a part, or None when it is none that can be edited octet by octet.

    declared: the charset parameter, b"" when there is none. octets: decoded from the transfer encoding `encoding`.
    default: what an absent parameter means: "utf-8" for calendars (RFC 5545 §3.1.4), "ascii" for text (RFC 2046 §4.1.2).
    """
    if octets.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)) or b"\0" in octets[:1024]:
        return None
    ascii_octets = octets.isascii()
    codec = _codec(declared) if declared else default
    if _known(declared) == "iso2022_jp" and _returns_to_ascii(octets):
        return Charset("iso2022_jp", True)
    if codec is None:
        # An unknown name over plain ASCII is read as ASCII; ISO-2022 has its escapes.
        unknown = _known(declared) is None
        return Charset("ascii", True) if ascii_octets and unknown and b"\x1b" not in octets else None
    if not ascii_octets and (codec == "ascii" or not _decodes(octets, codec)):
        return Charset("latin_1", True)  # undeclared 8-bit octets: they stay, what we add is ASCII
    seven_bit = encoding in IDENTITY - {b"8bit", b"binary"} and ascii_octets  # RFC 2045 §6.2: no encoding means 7bit
    return Charset(codec, seven_bit or codec == "ascii")


def _returns_to_ascii(octets: bytes) -> bool:
    """Say whether every line of ISO-2022-JP ends in ASCII (RFC 1468), so that ASCII can be put at the end of any."""
    return not any(
        escapes and escapes[-1] not in (b"(B", b"(J") for escapes in map(_ESCAPE.findall, octets.split(b"\n"))
    )


def _codec(name: bytes) -> str | None:
    known = _known(name)
    return known if known in _TRANSPARENT else None


def _known(name: bytes) -> str | None:
    """Return Python's name of a charset, None for one it does not have."""
    plain = re.sub(rb"[^a-z0-9]+", b"_", name.lower()).strip(b"_").decode("ascii")
    try:
        return codecs.lookup(plain).name if plain in _NAMES else None
    except LookupError:
        return None


def _decodes(octets: bytes, codec: str) -> bool:
    try:
        octets.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
