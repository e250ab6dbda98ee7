"""The rules of Mozilla's HTTP Observatory (its scoring table of 2024), on what a visitor gets by our own TLS, nginx and Caddy.

What is judged are whole visits, and each of their answers. Where the table gives points beyond "passed" (no default-src but
'none', frame-ancestors, a private Referrer-Policy, a Cross-Origin-Resource-Policy), those are asked for.
"""

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from notes2conf_milter.certificate import Certificate
from notes2conf_milter.web.forms import blank_form
from notes2conf_milter.web.server import WebSettings
from tests.web.house import MONDAY, Answer, House, page
from tests.web.test_caddy import CADDY, Caddy
from tests.web.test_nginx import NGINX, Nginx, certificate

HALF_A_YEAR = 15_768_000  # seconds
HOST = "conf.example.org"
Front = Callable[[str, str, bytes | None], Answer]


def asked(connection: HTTPConnection, path: str, method: str, body: bytes | None, host: str = HOST) -> Answer:
    with closing(connection):
        connection.request(method, path, body, {"Host": host, "Origin": "https://evil.example"})
        answer = connection.getresponse()
        names = [name.lower() for name in answer.headers]
        assert len(names) == len(set(names)), "a header that stands twice is judged by its first"
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())


@contextmanager
def ours(house: House, folder: Path) -> Iterator[Front]:
    certificate(folder)
    settings = WebSettings(f"https://{HOST}", strict_transport=True)
    made = Certificate(folder / "fullchain.pem", folder / "privkey.pem")
    with house.serving(settings, certificate=made) as address:
        context = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
        context.check_hostname = False
        yield lambda path, method, body: asked(
            HTTPSConnection(address.host, address.port, context=context, timeout=10), path, method, body
        )


@contextmanager
def nginx(house: House, folder: Path) -> Iterator[Front]:
    with house.serving() as address, closing(Nginx(folder, address)) as front:
        yield lambda path, method, body: asked(front.connection(), path, method, body)


@contextmanager
def caddy(house: House, folder: Path) -> Iterator[Front]:
    with house.serving() as address, closing(Caddy(folder, address)) as front:
        yield lambda path, method, body: asked(front.connection(), path, method, body, f"localhost:{front.port}")


FRONTS = [
    pytest.param(ours, id="our-own-tls"),
    pytest.param(nginx, id="nginx", marks=pytest.mark.skipif(NGINX is None, reason="nginx is not installed")),
    pytest.param(caddy, id="caddy", marks=pytest.mark.skipif(CADDY is None, reason="caddy is not installed")),
]


@pytest.mark.parametrize("front", FRONTS)
def test_the_observatorys_rules(house: House, tmp_path: Path, front: object) -> None:
    with front(house, tmp_path) as ask:  # type: ignore[operator]
        visited = visit(house, ask)
        assert {answer.status for answer in visited.values()} == {200, 303, 404}
        for path, answer in visited.items():
            judge(path, answer)
        for path in ("/crossdomain.xml", "/clientaccesspolicy.xml"):
            assert ask(path, "GET", None).status == 404, "nobody is let in from elsewhere"


def visit(house: House, ask: Front) -> dict[str, Answer]:
    """A guest and an organizer, from the links to the conference; and what leads nowhere."""
    links = house.add(page())
    form = blank_form(links.join, MONDAY)
    found = {
        path: ask(path, "GET", None) for path in (f"/j/{links.join}", f"/s/{links.start}", "/privacy", "/", "/j/x")
    }
    body = urlencode({"occurrence": form.occurrence, "proof": form.proof, "do": "wait"}).encode()
    found["wait"] = ask(f"/j/{links.join}", "POST", body)
    form = blank_form(links.start, MONDAY)
    fields = {"occurrence": form.occurrence, "proof": form.proof, "do": "open", "service": "jitsi"}
    found["open"] = ask(f"/s/{links.start}", "POST", urlencode(fields).encode())
    waiting = "/j/" + found["wait"].headers["location"]
    found[waiting] = ask(waiting, "GET", None)
    assert "https://meet.example.org/" in found[waiting].text
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', found[waiting].text):
        found[path] = ask(path, "GET", None)
    assert any(path.endswith(".js") for path in found) and any(path.endswith(".css") for path in found)
    return found


def judge(path: str, answer: Answer) -> None:
    """Judge one answer by the table's rows."""
    headers = answer.headers
    rules = dict(rule.strip().partition(" ")[::2] for rule in headers["content-security-policy"].split(";"))
    # Content Security Policy: "no unsafe, default-src 'none'"
    assert rules["default-src"] == "'none'", path
    for name in ("base-uri", "form-action", "frame-ancestors", "script-src", "style-src"):
        assert name in rules, f"{path}: {name}"
    assert all(source in ("'self'", "'none'") for sources in rules.values() for source in sources.split()), path
    assert 'http-equiv="content-security-policy"' not in answer.text.lower()
    # Cookies: none
    assert "set-cookie" not in headers, path
    # Cross-origin resource sharing: none
    assert not [name for name in headers if name.startswith("access-control-")], path
    # Referrer Policy: private
    assert headers["referrer-policy"] == "no-referrer", path
    # Strict Transport Security: six months or more
    seconds = re.fullmatch(r"max-age=(\d+)(; includeSubDomains)?(; preload)?", headers["strict-transport-security"])
    assert seconds is not None and int(seconds[1]) >= HALF_A_YEAR, path
    # Subresource Integrity: all scripts are of the same origin
    for source in re.findall(r"<(?:script|link|img)[^>]*?(?:src|href)=\"([^\"]*)\"", answer.text):
        assert urlsplit(urljoin(f"https://{HOST}/j/x", source)).netloc == HOST, f"{path}: {source}"
    assert not re.search(r"<script(?![^>]*\ssrc=)[^>]*>|\son[a-z]+=\"|<style", answer.text), f"{path}: inline"
    # X-Content-Type-Options
    assert headers["x-content-type-options"] == "nosniff", path
    # X-Frame-Options, by frame-ancestors
    assert rules["frame-ancestors"] == "'none'", path
    # Cross-Origin Resource Policy
    assert headers["cross-origin-resource-policy"] == "same-origin", path


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_redirection(house: House, tmp_path: Path) -> None:
    """From HTTP to HTTPS in the first step, on the same host. By our own TLS there is no HTTP; Caddy does it by itself."""
    with house.serving() as address, closing(Nginx(tmp_path, address)) as front:
        answer = asked(HTTPConnection("127.0.0.1", front.plain, timeout=10), "/j/x", "GET", None)
    assert (answer.status, answer.headers["location"]) == (301, f"https://{HOST}/j/x")


def test_a_page_that_breaks_a_rule_is_seen() -> None:
    """The judge judges: each rule, broken, is found."""
    good = {
        "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "script-src 'self'; style-src 'self'",
        "referrer-policy": "no-referrer",
        "strict-transport-security": "max-age=63072000",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
    }
    text = b'<script src="/static/room.js"></script>'
    judge("good", Answer(200, good, text))
    policy = good["content-security-policy"]
    worse: list[dict[str, str]] = [
        {"content-security-policy": policy.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")},
        {"content-security-policy": policy.replace("default-src 'none'", "default-src 'self'")},
        {"content-security-policy": policy.replace("base-uri 'none'; ", "")},
        {"content-security-policy": policy.replace("style-src 'self'", "style-src https://cdn.example")},
        {"content-security-policy": policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")},
        {"set-cookie": "a=b"},
        {"access-control-allow-origin": "*"},
        {"referrer-policy": "unsafe-url"},
        {"strict-transport-security": "max-age=3600"},
        {"x-content-type-options": ""},
        {"cross-origin-resource-policy": "cross-origin"},
    ]
    for change in worse:
        with pytest.raises(AssertionError):
            judge("worse", Answer(200, good | change, text))
    for bad in (
        b'<script src="https://cdn.example/x.js"></script>',
        b"<script>alert(1)</script>",
        b'<a onclick="x()">',
        b"<style>a{}</style>",
        b'<link rel="stylesheet" href="//cdn.example/x.css">',
    ):
        with pytest.raises(AssertionError):
            judge("worse", Answer(200, good, bad))
