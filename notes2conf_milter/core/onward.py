"""The mark on what carries a link: by it the Postfix behind us knows which mail may go on by TLS alone.

In:  a message as it goes on. Out: the edit that marks it, or none where it has the mark; a mail of our own, marked.
config/postfix/tls-onward-master.cf looks for the field; docs/decisions/0012-tls-onward.md says why it is done so.
Fails: `MessageTooComplex` as core.message does.

The field names nobody, and nobody signs it: no h= of ours has it. Forged, it asks for TLS and for nothing else.
"""

from notes2conf_milter.core.edits import InsertHeader, apply
from notes2conf_milter.core.message import header_fields

MARK = InsertHeader(b"X-Notes2conf-TLS", b" required")


def mark(message: bytes) -> tuple[InsertHeader, ...]:
    """Return the edit that marks `message`; none where it has the field: Postfix looks at the name alone."""
    names = (one.name.lower() for one in header_fields(message).fields)
    return () if MARK.name.lower() in names else (MARK,)


def marked(message: bytes) -> bytes:
    """Return `message` with the mark."""
    return apply(message, mark(message))
