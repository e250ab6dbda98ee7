"""BigBlueButton, against a stand-in that checks what a server would check."""

import asyncio
import errno
import gzip
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notes2conf_milter.services import bigbluebutton
from notes2conf_milter.services.bigbluebutton import BigBlueButton, checksum, fields, server_url
from notes2conf_milter.services.service import Conference, ServiceError, Visitor
from tests.services.bigbluebutton_server import SECRET, SUCCESS, BigBlueButtonServer
from tests.web.test_nginx import certificate

ROOM = "abcdefghijklmnopqrstuvwxyz234567"
EXAMPLE = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444"
EXAMPLES_CHECKSUM = "1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17"
PIECES = [
    b"<response>",
    b"</response>",
    b"<a>",
    b"</a>",
    b"<!DOCTYPE a>",
    b"<![CDATA[",
    b"]]>",
    b"&a;",
    b"&#0;",
    b"x",
    b"<a/>",
]
PIECES += [
    b'<?xml version="1.0" encoding="',
    b'utf-7"?>',
    b'utf-16"?>',
    b'gb18030"?>',
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x00",
]


@pytest.fixture
def server() -> Iterator[BigBlueButtonServer]:
    with BigBlueButtonServer().serving() as found:
        yield found


def test_the_documentations_own_example() -> None:
    """BigBlueButton's documentation, "API security model"."""
    assert checksum("create", EXAMPLE, SECRET, "sha1") == EXAMPLES_CHECKSUM


def test_the_stand_in_takes_the_documentations_own_call() -> None:
    server = BigBlueButtonServer()
    assert (
        SUCCESS.partition(b"%s")[0]
        in server.respond(f"/bigbluebutton/api/create?{EXAMPLE}&checksum={EXAMPLES_CHECKSUM}")[1]
    )
    assert server.meetings == {"abc123": 0}


@pytest.mark.parametrize(
    "call",
    [
        f"create?{EXAMPLE}",
        f"create?{EXAMPLE}&checksum=",
        f"create?{EXAMPLE}&checksum={EXAMPLES_CHECKSUM[:-1]}8",
        f"create?{EXAMPLE.replace('abc123', 'abc124')}&checksum={EXAMPLES_CHECKSUM}",
        f"end?{EXAMPLE}&checksum={EXAMPLES_CHECKSUM}",
        f"join?{EXAMPLE}&checksum={'0' * 64}",
    ],
    ids=["none", "empty", "checksum", "query", "call", "sha-256"],
)
def test_the_stand_in_refuses_whatever_else(call: str) -> None:
    """One character makes the difference."""
    server = BigBlueButtonServer()
    assert b"<messageKey>checksumError</messageKey>" in server.respond(f"/bigbluebutton/api/{call}")[1]
    assert (server.meetings, server.calls) == ({}, [])


def test_from_its_opening_to_its_end(server: BigBlueButtonServer) -> None:
    """The organizer moderates, guests do not; nothing of the meeting is told."""
    service = BigBlueButton(server.url, SECRET)
    conference = asyncio.run(service.open(ROOM, "anna@example.org", "", "de"))
    assert conference == Conference("bigbluebutton", ROOM, "")
    empty = {"meetingExpireIfNoUserJoinedInMinutes": "180", "meetingExpireWhenLastUserLeftInMinutes": "60"}
    assert server.calls == [("create", {"meetingID": ROOM, "name": "Videokonferenz"} | empty)]
    assert asyncio.run(service.over(conference)) is False
    for visitor, role, name in (
        (Visitor(True, "en"), "MODERATOR", "Organizer"),
        (Visitor(False, "de"), "VIEWER", "Gast"),
        (Visitor(False, "en", "Bert & Co"), "VIEWER", "Bert & Co"),
    ):
        assert (
            server.respond(service.way_in(conference, visitor, 0).removeprefix(server.url.partition("/big")[0]))[0]
            == 302
        )
        assert server.calls[-1] == ("join", {"fullName": name, "meetingID": ROOM, "redirect": "true", "role": role})
    assert asyncio.run(service.over(conference)) is False
    asyncio.run(service.end(conference))
    asyncio.run(service.end(conference))  # over already
    assert server.meetings == {}
    assert asyncio.run(service.over(conference)) is True


@pytest.mark.parametrize(
    ("told", "over"),
    [
        (b"<endTime>0</endTime><hasBeenForciblyEnded>false</hasBeenForciblyEnded>", False),
        (b"<endTime>1777881600000</endTime><hasBeenForciblyEnded>false</hasBeenForciblyEnded>", True),
        (b"<endTime>0</endTime><hasBeenForciblyEnded>true</hasBeenForciblyEnded>", True),
        (b"<running>true</running><endTime>0</endTime>", False),
        (b"", False),
    ],
)
def test_what_a_server_says_of_a_meeting(server: BigBlueButtonServer, told: bytes, over: bool) -> None:
    """One that nobody is in has not ended for that: it waits for its first guest, or has a break."""
    server.answer = (200, SUCCESS % told)
    assert asyncio.run(BigBlueButton(server.url, SECRET).over(Conference("bigbluebutton", ROOM, ""))) is over


def test_a_server_that_is_away_has_not_said_that_it_is_over(server: BigBlueButtonServer) -> None:
    server.answer = (500, b"")
    with pytest.raises(ServiceError):
        asyncio.run(BigBlueButton(server.url, SECRET).over(Conference("bigbluebutton", ROOM, "")))


def test_who_may_be_called_at_the_end_is_told_at_the_creation(server: BigBlueButtonServer) -> None:
    asyncio.run(BigBlueButton(server.url, SECRET).open(ROOM, "", "", "en", "https://conf.example.org/c/x"))
    assert server.callbacks == {ROOM: "https://conf.example.org/c/x"}


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<response><returncode>FAILED</returncode></response>"),
        (200, b"not xml"),
        (200, b'<!DOCTYPE x [<!ENTITY a "b">]><response><returncode>SUCCESS</returncode></response>'),
        (200, '<!DOCTYPE x [<!ENTITY a "SUCCESS">]><response><returncode>&a;</returncode></response>'.encode("utf-16")),
        (200, b'<?xml version="1.0" encoding="none-such"?><response><returncode>SUCCESS</returncode></response>'),
        (200, b"<response><data><returncode>SUCCESS</returncode></data></response>"),
        (200, b"<response>" + b" " * 70_000 + b"</response>"),
        (302, b""),
        (500, SUCCESS % b""),
        (200, b""),
    ],
    ids=[
        "refused",
        "text",
        "entities",
        "entities-in-utf-16",
        "encoding",
        "deeper",
        "long",
        "elsewhere",
        "error",
        "empty",
    ],
)
def test_what_is_no_success(server: BigBlueButtonServer, answer: tuple[int, bytes]) -> None:
    """A failure that can be tried again; its text holds no address, no secret, no checksum."""
    server.answer = answer
    service = BigBlueButton(server.url, SECRET)
    with pytest.raises(ServiceError) as error:
        asyncio.run(service.open(ROOM, "anna@example.org", "", "en"))
    assert len(server.asked) == 1  # it did not go where it was sent
    said = str(error.value)
    assert not any(word in said for word in ("127.0.0.1", SECRET, ROOM, "checksum=", "anna"))


def test_a_few_octets_do_not_unfold(server: BigBlueButtonServer) -> None:
    """Compression is not asked for, and not undone."""
    server.answer = (200, gzip.compress(SUCCESS % b""))
    server.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(ServiceError):
        asyncio.run(BigBlueButton(server.url, SECRET).open(ROOM, "", "", "en"))


def test_what_a_log_says(server: BigBlueButtonServer, caplog: pytest.LogCaptureFixture) -> None:
    """At no level is there a meeting's id, a checksum or a URL; a failure is there with the server's reason."""
    caplog.set_level(logging.DEBUG)
    asyncio.run(BigBlueButton(server.url, SECRET).open(ROOM, "anna@example.org", "", "en"))
    assert not [record for record in caplog.records if record.name.startswith("http")]
    with pytest.raises(ServiceError):
        asyncio.run(BigBlueButton(server.url, "wrong").open(ROOM, "anna@example.org", "", "en"))
    server.answer = (200, f"<response><messageKey>a\n{ROOM}</messageKey></response>".encode())
    with pytest.raises(ServiceError):
        asyncio.run(BigBlueButton(server.url, SECRET).open(ROOM, "anna@example.org", "", "en"))
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [
        "BigBlueButton, create: the server refuses (checksumError)",
        "BigBlueButton, create: the server refuses (no reason)",
    ]
    assert not any(word in caplog.text for word in (ROOM, "checksum=", "anna", SECRET, "/api/"))


def test_what_an_answer_says() -> None:
    """CDATA and comments are plain XML, and servers send them; texts deeper than the first level are others'."""
    body = b"""<?xml version="1.0"?><!-- x --><response><returncode> SUCCESS </returncode><name><![CDATA[A & <B>]]></name>
        <metadata><returncode>FAILED</returncode></metadata><empty/></response>"""
    assert fields(body) == {"returncode": "SUCCESS", "name": "A & <B>", "metadata": "", "empty": ""}
    assert fields(b"<r>" + b"<a>" * 20_000 + b"</a>" * 20_000 + b"</r>") == {"a": ""}


@given(st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_whatever_a_server_answers(body: bytes) -> None:
    """It is read, or refused as a service's error."""
    try:
        found = fields(body)
    except ServiceError as error:
        assert str(error) in ("no XML", "XML with a document type")
        return
    assert all(isinstance(text, str) for text in found.values())


def test_an_end_that_came_before(server: BigBlueButtonServer) -> None:
    server.answer = (
        200,
        b"<response><returncode>FAILED</returncode><messageKey>meetingForciblyEnded</messageKey></response>",
    )
    asyncio.run(BigBlueButton(server.url, SECRET).end(Conference("bigbluebutton", ROOM, server.url)))


def test_another_secret_and_a_server_that_is_not_there(
    server: BigBlueButtonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ServiceError):
        asyncio.run(BigBlueButton(server.url, "wrong").open(ROOM, "", "", "en"))
    with pytest.raises(ServiceError):
        asyncio.run(BigBlueButton("http://127.0.0.1:1/bigbluebutton", SECRET).open(ROOM, "", "", "en"))
    monkeypatch.setattr(bigbluebutton, "SECONDS", 0.05)
    server.pause = 0.5
    with pytest.raises(ServiceError):
        asyncio.run(BigBlueButton(server.url, SECRET).open(ROOM, "", "", "en"))


def reasons(url: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log says when a meeting cannot be created on a server."""
    caplog.clear()
    with pytest.raises(ServiceError):
        asyncio.run(BigBlueButton(url, SECRET).open(ROOM, "", "", "en"))
    assert not any(word in caplog.text for word in (ROOM, "checksum=", SECRET, "/api/"))
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_log_says_why_a_server_cannot_be_reached(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody there, an unknown name, what the unit forbids, a certificate that nobody vouches for."""
    assert reasons("http://127.0.0.1:1/bigbluebutton", caplog) == [
        "BigBlueButton, create: ConnectError: Connection refused"
    ]
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", mock.Mock(side_effect=unknown))
        assert reasons("http://bbb.invalid/bigbluebutton", caplog) == [
            "BigBlueButton, create: ConnectError: Name or service not known"
        ]
    with monkeypatch.context() as patch:
        patch.setattr(
            asyncio.BaseEventLoop, "create_connection", mock.AsyncMock(side_effect=PermissionError(errno.EPERM, "x"))
        )
        assert reasons("http://127.0.0.1:1/bigbluebutton", caplog) == [
            "BigBlueButton, create: ConnectError: Operation not permitted"
        ]
    certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    secured = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    # The handshake is the handler's matter: its failure is no failure of the test's own thread.
    secured.socket = context.wrap_socket(secured.socket, server_side=True, do_handshake_on_connect=False)
    monkeypatch.setattr(secured, "handle_error", lambda *_: None)
    thread = threading.Thread(target=secured.serve_forever, daemon=True)
    thread.start()
    try:
        said = reasons(f"https://127.0.0.1:{secured.server_address[1]}/bigbluebutton", caplog)
    finally:
        secured.shutdown()
        secured.server_close()
        thread.join()
    assert said == ["BigBlueButton, create: ConnectError: self-signed certificate"]


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(BigBlueButton("https://bbb.example.org/bigbluebutton", SECRET))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://bbb.example.org/bigbluebutton/", "https://bbb.example.org/bigbluebutton"),
        ("https://bbb.example.org/bigbluebutton/api", "https://bbb.example.org/bigbluebutton"),
        ("http://127.0.0.1:8090/bigbluebutton", "http://127.0.0.1:8090/bigbluebutton"),
    ],
)
def test_a_servers_url(text: str, url: str) -> None:
    assert server_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bbb.example.org",
        "http://bbb.example.org/x",
        "https://a:b@x.org/",
        "https://x.org/?a=1",
        "https://x.org:99999/",
        "https://x y/",
    ],
)
def test_what_is_no_servers_url(text: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        server_url(text)
