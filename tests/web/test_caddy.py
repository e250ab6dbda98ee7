"""Our Caddy example in a real Caddy: it serves the pages, hands news on, and no token comes into its log."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlencode

import pytest

from notes2conf_milter.address import InetAddress
from notes2conf_milter.web.forms import blank_form
from notes2conf_milter.web.limits import MOST_MISSES
from notes2conf_milter.web.server import WebSettings
from tests.web.house import MONDAY, House, page, press
from tests.web.test_nginx import certificate, free_port, wait_for_port

CADDY = shutil.which("caddy")
EXAMPLE = Path(__file__).parents[2] / "config" / "caddy" / "Caddyfile"

pytestmark = pytest.mark.skipif(CADDY is None, reason="caddy is not installed")


class Caddy:
    """Caddy with our example, only its addresses and its certificate changed."""

    def __init__(self, folder: Path, backend: InetAddress) -> None:
        self.folder, self.port = folder, free_port()
        certificate(folder)
        tls = f"tls {folder}/fullchain.pem {folder}/privkey.pem"
        text = EXAMPLE.read_text().replace("\nconf.example.org {", f"\nhttps://localhost:{self.port} {{\n\t{tls}")
        text = text.replace("127.0.0.1:8080", backend.netloc)
        text = text.replace("\n{\n", "\n{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n", 1)
        (folder / "Caddyfile").write_text(text)
        self.log = (folder / "caddy.log").open("wb")
        command = [str(CADDY), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
        env = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        self.process = subprocess.Popen(command, env=env, stdout=self.log, stderr=self.log)
        try:
            wait_for_port(self.port)
        except RuntimeError:
            self.close()
            raise

    def connection(self) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        context.check_hostname = False
        return HTTPSConnection("localhost", self.port, context=context, timeout=10, source_address=("127.0.0.2", 0))

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str]]:
        with closing(self.connection()) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


@pytest.fixture
def caddy(house: House, tmp_path: Path) -> Iterator[Caddy]:
    settings = WebSettings("https://conf.example.org", trusted_proxies=(ip_network("127.0.0.1/32"),))
    with house.serving(settings) as address:
        server = Caddy(tmp_path, address)
        try:
            yield server
        finally:
            server.close()


def test_the_pages_through_caddy(house: House, caddy: Caddy) -> None:
    links = house.add(page())
    status, headers = caddy.ask(f"/j/{links.join}")
    assert (status, headers["strict-transport-security"]) == (200, "max-age=63072000")
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
    assert caddy.ask("/j/x")[0] == 404


def test_news_are_not_collected(house: House, caddy: Caddy) -> None:
    links = house.add(page())
    form = blank_form(links.join, MONDAY)
    body = urlencode({"occurrence": form.occurrence, "proof": form.proof, "do": "wait"}).encode()
    status, headers = caddy.ask(f"/j/{links.join}", "POST", body)
    assert status == 303
    with closing(caddy.connection()) as connection:
        connection.request("GET", f"/j/{headers['location']}/events")
        answer = connection.getresponse()
        assert b"You are waiting" in b"".join(iter(answer.readline, b"\n"))
        press(house, links.start)
        assert b"data-go" in b"".join(iter(answer.readline, b"\n"))


def test_a_visitor_cannot_say_to_be_another(house: House, caddy: Caddy) -> None:
    """What the visitor sends as X-Forwarded-For is replaced: another one each time does not help who guesses."""
    seen = [
        caddy.ask(f"/j/{number:032}", headers={"X-Forwarded-For": f"203.0.113.{number}, 127.0.0.1"})[0]
        for number in range(MOST_MISSES + 3)
    ]
    assert seen == [404] * MOST_MISSES + [429] * 3


def test_no_token_in_the_log(house: House, caddy: Caddy) -> None:
    """Whatever goes wrong: too large a body, a web service that is gone."""
    links = house.add(page())
    for token in (links.join, links.start):
        for kind in ("j", "s", "x"):
            caddy.ask(f"/{kind}/{token}")
            caddy.ask(f"/{kind}/{token}", "POST", b"x" * 100)
        assert caddy.ask(f"/j/{token}", "POST", b"x" * 40_000)[0] in (413, 502)
    house.stop()
    assert caddy.ask(f"/j/{links.join}")[0] == 502
    assert caddy.ask(f"/s/{links.start}", "POST", b"x")[0] == 502
    caddy.close()
    text = (caddy.folder / "caddy.log").read_text()
    assert text
    assert links.join not in text and links.start not in text
