"""Our nginx example in a real nginx: it serves the pages, and no token comes into a log, whatever goes wrong."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notes2conf_milter.address import InetAddress
from notes2conf_milter.web.forms import blank_form
from tests.web.house import MONDAY, House, page, press

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")  # not in a user's PATH
EXAMPLE = Path(__file__).parents[2] / "config" / "nginx" / "notes2conf.conf"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


class Nginx:
    """nginx with our example, only its addresses and file names changed."""

    def __init__(self, folder: Path, backend: InetAddress) -> None:
        self.folder = folder
        self.plain, self.tls = free_port(), free_port()
        certificate(folder)
        (folder / "site.conf").write_text(self._site(EXAMPLE.read_text(), backend))
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/main.log info; events {{}}\n"
            f"http {{ access_log {folder}/access.log; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
            f"fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;\n"
            f"include {folder}/site.conf; }}\n"
        )
        command = [str(NGINX), "-p", str(folder), "-e", f"{folder}/start.log", "-c", str(folder / "nginx.conf")]
        subprocess.run([*command, "-t"], check=True, capture_output=True)
        self.process = subprocess.Popen(command)
        try:
            wait_for_port(self.tls)
        except RuntimeError:
            self.close()
            raise

    def _site(self, text: str, backend: InetAddress) -> str:
        text = re.sub(r"listen \[::\].*", "", text)
        text = text.replace("listen 80;", f"listen 127.0.0.1:{self.plain};")
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{self.tls} ssl").replace(
            "127.0.0.1:8080", backend.netloc
        )
        text = text.replace("root /var/www/html;", f"root {self.folder}/html;")
        text = text.replace("/etc/letsencrypt/live/conf.example.org", str(self.folder))
        return text.replace("/var/log/nginx", str(self.folder))

    def connection(self) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        context.check_hostname = False
        return HTTPSConnection("127.0.0.1", self.tls, context=context, timeout=10)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, dict[str, str]]:
        connection = self.connection()
        try:
            connection.request(method, path, body, {"Host": "conf.example.org"})
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}
        finally:
            connection.close()

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def nginx(house: House, tmp_path: Path) -> Iterator[Nginx]:
    with house.serving() as address:
        server = Nginx(tmp_path, address)
        try:
            yield server
        finally:
            server.close()


def test_the_pages_through_nginx(house: House, nginx: Nginx) -> None:
    links = house.add(page())
    status, headers = nginx.ask(f"/j/{links.join}")
    assert status == 200 and headers["strict-transport-security"] == "max-age=63072000"
    assert headers["referrer-policy"] == "no-referrer" and headers["cache-control"] == "no-store"
    assert nginx.ask("/j/x")[0] == 404
    connection = HTTPConnection("127.0.0.1", nginx.plain, timeout=10)
    connection.request("GET", f"/j/{links.join}", headers={"Host": "conf.example.org"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["location"]) == (301, f"https://conf.example.org/j/{links.join}")
    connection.close()


def test_a_certificate_can_be_renewed_through_nginx(nginx: Nginx) -> None:
    """What certbot puts down for the authority is served on plain HTTP, and nothing else is."""
    folder = nginx.folder / "html" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    (folder / "challenge").write_text("answer")
    (nginx.folder / "html" / "index.html").write_text("not for anybody")
    for folder in (nginx.folder, *nginx.folder.parents[:2]):
        folder.chmod(0o755)  # nginx started by root reads as another user
    found = {}
    for path in ("/.well-known/acme-challenge/challenge", "/.well-known/acme-challenge/none", "/index.html"):
        connection = HTTPConnection("127.0.0.1", nginx.plain, timeout=10)
        connection.request("GET", path, headers={"Host": "conf.example.org"})
        answer = connection.getresponse()
        found[path.rpartition("/")[2]] = (answer.status, answer.read() if answer.status == 200 else b"")
        connection.close()
    assert found == {"challenge": (200, b"answer"), "none": (404, b""), "index.html": (301, b"")}


def test_news_are_not_collected(house: House, nginx: Nginx) -> None:
    """What happens is told through nginx at once, not when a buffer is full; for as long as somebody waits."""
    links = house.add(page())
    form = blank_form(links.join, MONDAY)
    body = urlencode({"occurrence": form.occurrence, "proof": form.proof, "do": "wait"}).encode()
    status, headers = nginx.ask(f"/j/{links.join}", "POST", body)
    assert status == 303
    connection = nginx.connection()
    connection.request("GET", f"/j/{headers['location']}/events", headers={"Host": "conf.example.org"})
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = b"".join(iter(answer.readline, b"\n"))
    assert b"You are waiting" in told
    press(house, links.start)
    told = b"".join(iter(answer.readline, b"\n"))
    assert b"data-go" in told
    connection.close()


def test_no_token_in_a_log(house: House, nginx: Nginx) -> None:
    links = house.add(page())
    for token in (links.join, links.start):
        for kind in ("j", "s", "x"):
            nginx.ask(f"/{kind}/{token}")
            nginx.ask(f"/{kind}/{token}", "POST", b"x" * 100)
        assert nginx.ask(f"/j/{token}", "POST", b"x" * 20000)[0] == 413
        assert nginx.ask(f"/j/{token}" + "x" * 9000)[0] == 414
        with socket.create_connection(("127.0.0.1", nginx.plain)) as connection:
            connection.sendall(f"GET /j/{token} nonsense\r\n\r\n".encode())
            connection.recv(1000)
    house.stop()
    assert nginx.ask(f"/j/{links.join}")[0] == 502
    assert nginx.ask(f"/s/{links.start}", "POST", b"x")[0] in (502, 504)
    nginx.close()
    assert links.join not in nginx.logs() and links.start not in nginx.logs()
    assert (nginx.folder / "notes2conf-error.log").exists()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for_port(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("nginx does not listen")


def certificate(folder: Path) -> None:
    """Write a key and a self-signed certificate where Let's Encrypt would."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "conf.example.org")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(key.private_bytes(*plain))
