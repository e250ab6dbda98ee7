"""The messages that benchmarks send: mail as it travels, with the header of four hops, and invitations with attachments."""

import base64
import random

from tests.live.gateway import Meeting, invitation

_LINE = b"The quick brown fox jumps over the lazy dog and then writes some mail text.\r\n"
_WEIGHT = random.Random(7)


def _header(content_type: bytes) -> bytes:
    hops = [
        b"Received: from mx%d.example.net (mx%d.example.net [192.0.2.%d])\r\n\tby relay%d.example.org (Postfix) with ESMTPS id "
        b"4XyZ%dabcd\r\n\tfor <user@example.net>; Sat, 22 Nov 2025 08:0%d:00 +0000 (UTC)" % ((n,) * 6)
        for n in range(1, 5)
    ]
    signature = base64.b64encode(_WEIGHT.randbytes(192))
    fields = [
        *hops,
        b"Authentication-Results: relay.example.org; dkim=pass header.d=example.net;\r\n\tspf=pass smtp.mailfrom=a@example.net",
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\r\n\th=from:to:subject:date;\r\n\tb="
        + b"\r\n\t".join(signature[n : n + 72] for n in range(0, len(signature), 72)),
        b"From: Alice Example <alice@example.net>",
        b"To: Bob Example <bob@example.net>",
        b"Subject: Quarterly figures and the usual follow-up questions",
        b"Date: Sat, 22 Nov 2025 08:00:00 +0000",
        b"Message-ID: <20251122080000.4711@example.net>",
        b"In-Reply-To: <20251121080000.4711@example.net>",
        b"MIME-Version: 1.0",
        content_type,
        b"X-Mailer: ExampleMail 7.1",
        b"X-Spam-Status: No, score=-1.1",
        b"List-Unsubscribe: <https://example.net/u/123>",
        b"Reply-To: alice@example.net",
        b"Content-Language: en-US",
        b"Accept-Language: en-US",
        b"X-Originating-IP: [192.0.2.77]",
        b"Auto-Submitted: no",
        b"X-Priority: 3",
    ]
    return b"\r\n".join(fields) + b"\r\n\r\n"


def plain(octets: int) -> bytes:
    """Text of about so many octets."""
    head = _header(b"Content-Type: text/plain; charset=utf-8")
    return head + _LINE * max(0, (octets - len(head)) // len(_LINE))


def multipart(octets: int) -> bytes:
    """A text and an attachment."""
    head = (
        _header(b'Content-Type: multipart/mixed; boundary="=_b"')
        + b"--=_b\r\nContent-Type: text/plain\r\n\r\n"
        + _LINE * 10
    )
    head += b"\r\n--=_b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + _attached(octets - len(head)) + b"--=_b--\r\n"


def meeting(octets: int = 0) -> bytes:
    """A Notes invitation to a new meeting; with an attachment, of about so many octets."""
    message = invitation(Meeting.new())
    if octets <= len(message):
        return message
    content_type = next(line for line in message.split(b"\r\n") if b"boundary=" in line)
    boundary = b"--" + content_type.partition(b'boundary="')[2].partition(b'"')[0]
    end = message.rindex(boundary + b"--")
    part = boundary + b"\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return message[:end] + part + _attached(octets - len(message)) + message[end:]


def _attached(octets: int) -> bytes:
    return base64.encodebytes(_WEIGHT.randbytes(octets * 57 // 78)).replace(b"\n", b"\r\n")
