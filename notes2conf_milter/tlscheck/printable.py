"""What strangers wrote, made fit to be shown: printable characters only, bounded.

In:  octets or text of servers, certificates and DNS. Out: one line of printable characters.
Fails: never.
"""

LIMIT = 200  # characters of one value; a reply line of 512 octets (RFC 5321 §4.5.3.1.5) rarely needs more


def printable(value: bytes | str, limit: int = LIMIT) -> str:
    """Return `value` as one printable line of at most `limit` characters.

    Octets are read as UTF-8. Whatever steers a terminal or turns the direction of writing becomes an escape (`\\x1b`).
    """
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    cut = text[: limit + 1]  # before it grows: each character may become ten
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
