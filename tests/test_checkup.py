"""`config check`: what it finds, each in a sentence that says what to do."""

import pwd
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

from notes2conf_milter import checkup, postconf
from notes2conf_milter.checkup import Finding, Weight
from notes2conf_milter.config import Settings, load
from notes2conf_milter.core.signing import Algorithm
from notes2conf_milter.store import new_keys
from tests.signatures import key, pem
from tests.tlscheck.authority import issue

SHIPPED = Path(__file__).parent.parent / "config" / "templates"
ASKED = postconf.read
MEET = "meet@conf.example.org"
DOOR = {"smtp__listen": "127.0.0.1:10025", "smtp__next_hop": "127.0.0.1:10026"}
PINNED = "192.0.2.10/32 require client-certificate=sha256:" + "ab" * 32
FAR = {**DOOR, "smtp__next_hop": "smtp.example.net:25"}
FILTER = {"smtp__protocol": "lmtp", "smtp__xforward_peers": ["127.0.0.1/32"], "tls__filters_enforce": True}
# one thing that is to be said about the next hop, each
NEXT_HOPS: list[tuple[dict[str, Any], str]] = [
    (FAR, 'smtp.next_hop smtp.example.net:25: not on this machine, and smtp.next_hop_tls is "may"'),
    ({**FAR, "smtp__next_hop_tls": "none"}, 'smtp.next_hop_tls is "none": links may travel there in clear'),
    ({"start_mail__relay": "192.0.2.7:25"}, "start_mail.relay 192.0.2.7:25: not on this machine"),
    ({**DOOR, "start_mail__relay": "192.0.2.7:25"}, "start_mail.relay 192.0.2.7:25: not on this machine"),
    ({**DOOR, "smtp__next_hop": "192.0.2.7:25", "smtp__next_hop_tls": "verify"}, "set smtp.next_hop_name"),
    (
        {**FAR, "start_mail__relay": "192.0.2.7:25", "smtp__next_hop_tls": "verify"},
        "seldom for addresses; write the name of the host",
    ),
    (
        {**FAR, "smtp__next_hop_tls": "dane", "smtp__next_hop_resolver": "192.0.2.53:53"},
        "the resolver 192.0.2.53 is not on this machine",
    ),
    (
        {**FAR, "smtp__next_hop_tls": "encrypt", "smtp__next_hop_resolver": "127.0.0.1:53"},
        'smtp.next_hop_resolver has no effect with smtp.next_hop_tls = "encrypt"',
    ),
    (
        {**FAR, "smtp__next_hop_tls": "encrypt", "smtp__next_hop_ca": "/none-such/ca.pem"},
        'smtp.next_hop_ca has no effect with smtp.next_hop_tls = "encrypt"',
    ),
    ({"smtp__protocol": "lmtp"}, 'smtp.protocol is "lmtp", but there is no SMTP door'),
    ({**DOOR, "smtp__protocol": "lmtp"}, "without smtp.xforward_peers"),
    ({**DOOR, **FILTER, "smtp__listen": "127.0.0.1:25"}, 'smtp.protocol is "lmtp" at port 25'),
]
GOOD: dict[str, Any] = {
    "base_url": "https://conf.example.org",
    "policy.organizer_domains": ["example.org"],
    "policy.allowed_networks": ["192.0.2.0/24"],
    "services.jitsi_url": "https://meet.example.org",
    "dkim.later_signer": True,
}


@pytest.fixture(autouse=True)
def no_postfix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings about this machine's own Postfix are a matter of their own test."""
    monkeypatch.setattr(checkup, "_postfix", list)
    monkeypatch.setattr(postconf, "read", lambda: None)


def settings(folder: Path, **changed: Any) -> Settings:
    options = {**GOOD, "state_dir": str(folder), "milter.listen": [f"unix:{folder}/milter.sock"]}
    options |= {key.replace("__", "."): value for key, value in changed.items()}
    return load(Path("/dev/null"), options)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    tmp_path.chmod(0o770)
    new_keys(tmp_path, 1_700_000_000)
    return tmp_path


def test_nothing_is_said_about_a_good_house(state: Path) -> None:
    """Complete settings, keys in place, closed folder: no finding at all."""
    assert checkup.check(settings(state)) == []


@pytest.mark.parametrize(
    ("changed", "weight", "words"),
    [
        *((changed, Weight.WARNING, words) for changed, words in NEXT_HOPS),
        ({"base_url": ""}, Weight.ERROR, "base_url"),
        ({"policy__organizer_domains": []}, Weight.ERROR, "policy.organizer_domains"),
        ({"milter__listen": []}, Weight.ERROR, "milter.listen, smtp.listen or conference.listen"),
        ({"services__link_hosts": [], "services__jitsi_url": ""}, Weight.ERROR, "services.jitsi_url"),
        ({"services__jitsi_app_id": "x"}, Weight.ERROR, "services.jitsi_secret"),
        ({"web__logo": "/none-such/logo.png"}, Weight.ERROR, "/none-such/logo.png"),
        ({"policy__allowed_networks": ["127.0.0.0/8"]}, Weight.WARNING, "127.0.0.0/8"),
        ({"policy__allowed_networks": ["64.0.0.0/2"]}, Weight.WARNING, "64.0.0.0/2: what this machine re-injects"),
        ({"policy__allowed_networks": ["0.0.0.0/0"]}, Weight.WARNING, "0.0.0.0/0: whoever reaches this Postfix"),
        ({"policy__allowed_networks": ["::/0"]}, Weight.WARNING, "::/0: whoever reaches this Postfix"),
        ({"policy__house_networks": ["::/0"]}, Weight.WARNING, "policy.house_networks has everybody"),
        ({"policy__sender": "from"}, Weight.WARNING, "policy.sender"),
        ({"base_url": "http://127.0.0.1:8080"}, Weight.WARNING, "http://"),
        ({"milter__listen": ["inet:192.0.2.1:8891"]}, Weight.WARNING, "not loopback"),
        ({"milter__listen": ["unix:/none-such/m.sock"]}, Weight.ERROR, "/none-such"),
        ({"links": "attendee"}, Weight.WARNING, "no SMTP door"),
        (
            {"smtp__xforward_peers": ["192.0.2.7/32"], "tls__filters_enforce": True},
            Weight.WARNING,
            "smtp.peers does not serve",
        ),
        ({"smtp__xforward_peers": ["127.0.0.1/32"]}, Weight.WARNING, "set tls.filters_enforce"),
        ({"tls__rules": ["192.0.2.10/32 require", "* require"]}, Weight.WARNING, "RFC 3207"),
        (
            {**DOOR, "tls__rules": ["192.0.2.10/32 require client-certificate"]},
            Weight.WARNING,
            "without smtp.client_ca",
        ),
        ({"tls__rules": [PINNED]}, Weight.WARNING, "the milter door refuses"),
        ({"conference__addresses": [MEET]}, Weight.NOTE, "without conference.listen"),
        (
            {
                "conference__addresses": [MEET],
                "conference__listen": "unix:/none-such/l.sock",
                "tls__filters_enforce": True,
            },
            Weight.ERROR,
            "conference.listen unix:/none-such/l.sock",
        ),
        (
            {
                "conference__addresses": [MEET],
                "conference__listen": "inet:192.0.2.1:24",
                "tls__exempt_networks": ["192.0.0.0/16"],
            },
            Weight.WARNING,
            "can speak LMTP",
        ),
        ({"smtp__proxy_peers": ["192.0.2.20/32"]}, Weight.WARNING, "smtp.proxy_peers without smtp.listen"),
        ({**DOOR, "smtp__proxy_peers": ["0.0.0.0/0"]}, Weight.WARNING, "can say who he is"),
        (
            {
                **DOOR,
                "smtp__proxy_peers": ["127.0.0.0/8"],
                "smtp__xforward_peers": ["127.0.0.1/32"],
                "tls__filters_enforce": True,
            },
            Weight.WARNING,
            "sends no PROXY header",
        ),
        (
            {"smtp__listen": "192.0.2.1:25", "smtp__next_hop": "127.0.0.1:10025"},
            Weight.WARNING,
            "refused there for good (554)",
        ),
        (
            {
                "smtp__listen": "192.0.2.1:25",
                "smtp__next_hop": "127.0.0.1:10025",
                "smtp__peers": ["127.0.0.0/8", "192.0.2.10/32"],
            },
            Weight.NOTE,
            "only smtp.peers are served",
        ),
        (
            {**DOOR, "tls__rules": ["127.0.0.1/32 require"]},
            Weight.WARNING,
            "without smtp.tls_certificate the SMTP door",
        ),
        ({**DOOR, "tls__rules": [".example.org require"]}, Weight.WARNING, "requires TLS of .example.org"),
        ({**DOOR, "smtp__peers": ["0.0.0.0/0"]}, Weight.WARNING, "an open relay"),
        (
            {**FAR, "smtp__next_hop_ca": "/none-such/ca.pem", "smtp__next_hop_tls": "verify"},
            Weight.ERROR,
            "cannot be read",
        ),
    ],
)
def test_each_finding_names_the_setting(state: Path, changed: dict[str, Any], weight: Weight, words: str) -> None:
    """One thing changed, one finding, of the right weight."""
    findings = checkup.check(settings(state, **changed))
    assert [finding.weight for finding in findings] == [weight]
    assert words in findings[0].text


def test_where_the_text_of_each_language_comes_from(state: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file under a wrong name is seen here before a guest sees it."""
    folder = tmp_path_factory.mktemp("templates")
    (folder / "fr.toml").write_text((SHIPPED / "de.toml").read_text("utf-8"), "utf-8")
    assert checkup.check(settings(state, text__templates=str(folder))) == [
        Finding(Weight.NOTE, f"text of invitations: fr from {folder}; built in: de, en")
    ]
    assert [finding.text for finding in checkup.check(settings(state, text__templates=str(SHIPPED)))] == [
        f"text of invitations: de, en from {SHIPPED}; built in: none"
    ]


def test_missing_keys_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    """Two errors, one for each file."""
    tmp_path.chmod(0o770)
    findings = checkup.check(settings(tmp_path))
    assert [finding.weight for finding in findings] == [Weight.ERROR, Weight.ERROR]
    assert all("key new" in finding.text for finding in findings)


def test_a_key_that_is_there_but_cannot_be_used_is_not_to_be_made_anew(state: Path) -> None:
    """`key new` would refuse: what is said is what is wrong with the file."""
    (state / "mail-key").chmod(0o644)
    findings = checkup.check(settings(state))
    assert [finding.weight for finding in findings] == [Weight.ERROR]
    assert "0600" in findings[0].text and "key new" not in findings[0].text


def test_what_the_services_cannot_read_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root reads everything: that the service would stop at the file shows before it is started."""
    logo, rooms = state / "logo.svg", state / "rooms.toml"
    for path in (logo, rooms):
        path.write_text("")
        path.chmod(0o640)
    chosen = settings(state, web__logo=str(logo), services__personal_rooms=str(rooms))
    assert checkup.check(chosen) == []  # no such users here, or not root
    monkeypatch.setattr(checkup.os, "geteuid", lambda: 0)
    monkeypatch.setattr(checkup.os, "getgrouplist", lambda user, group: [group])
    stranger = pwd.struct_passwd(("notes2conf-web", "x", 60_000, 60_000, "", "/", ""))
    monkeypatch.setattr(checkup.pwd, "getpwnam", {"notes2conf-web": stranger}.__getitem__)
    findings = checkup.check(chosen)
    assert {finding.weight for finding in findings} == {Weight.WARNING}
    assert [finding.text for finding in findings] == [
        f"keys.epoch {state}/epoch: cannot be read by notes2conf-web",
        f"web.logo {logo}: cannot be read by notes2conf-web",
        f"services.personal_rooms {rooms}: cannot be read by notes2conf-web",
    ]


def test_what_the_mail_service_cannot_read(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authorities of the next hop: root could verify it, the service would not start."""
    path = state / "authorities.pem"
    path.write_bytes(issue("good.example", authority=True).pem)
    path.chmod(0o600)
    chosen = settings(state, **FAR, smtp__next_hop_tls="verify", smtp__next_hop_ca=str(path))
    monkeypatch.setattr(checkup.os, "geteuid", lambda: 0)
    monkeypatch.setattr(checkup.os, "getgrouplist", lambda user, group: [group])
    stranger = pwd.struct_passwd(("notes2conf-mail", "x", 60_000, 60_000, "", "/", ""))
    monkeypatch.setattr(checkup.pwd, "getpwnam", {"notes2conf-mail": stranger}.__getitem__)
    assert f"smtp.next_hop_ca {path}: cannot be read by notes2conf-mail" in [one.text for one in checkup.check(chosen)]


def test_who_may_read_a_file() -> None:
    """Owner, group, others: the first that fits decides, and every folder on the way must let through."""
    with tempfile.TemporaryDirectory() as inner, tempfile.TemporaryDirectory() as outer:
        folder, path, link = Path(inner), Path(inner) / "secret", Path(outer) / "link"
        path.write_text("x")
        link.symlink_to(path)
        for one in (inner, outer):
            Path(one).chmod(0o711)
        own, group = path.stat().st_uid, path.stat().st_gid
        stranger = own + 1
        path.chmod(0o400)
        assert checkup.may_read(path, own, [])
        assert not checkup.may_read(path, stranger, [group])
        path.chmod(0o040)
        assert not checkup.may_read(path, own, [group])
        assert checkup.may_read(path, stranger, [group])
        assert not checkup.may_read(path, stranger, [group + 1])
        path.chmod(0o004)
        assert checkup.may_read(path, stranger, []) and checkup.may_read(link, stranger, [])
        assert not checkup.may_read(folder, stranger, [])  # 0711: gone through, not listed
        folder.chmod(0o700)
        assert not checkup.may_read(path, stranger, []) and not checkup.may_read(link, stranger, [])


def test_an_open_state_folder_is_a_warning(state: Path) -> None:
    """Names and sizes of the files are nobody's business."""
    state.chmod(0o755)
    assert [finding.weight for finding in checkup.check(settings(state))] == [Weight.WARNING]


def test_what_signs(state: Path) -> None:
    """No key at all, one that cannot be read, a domain without, one with a kind of key that few know: each is said."""
    sole = key(selector="e", algorithm=Algorithm.ED25519)
    for name, octets in (("r.pem", pem(key())), ("e.pem", pem(sole))):
        (state / name).write_bytes(octets)
        (state / name).chmod(0o600)

    def said(*keys: str, **changed: Any) -> list[tuple[Weight, str]]:
        changed = {"dkim__later_signer": False, "dkim__keys": list(keys)} | changed
        return [(one.weight, one.text) for one in checkup.check(settings(state, **changed))]

    both = f"example.org:r:{state}/r.pem", f"example.org:e:{state}/e.pem"
    assert said(*both) == said(both[0]) == []
    ((weight, text),) = said()
    assert (weight, "dkim.keys is empty" in text, "dkim new" in text) == (Weight.NOTE, True, True)
    ((weight, text),) = said(both[1])
    assert (weight, "no RSA key for example.org" in text) == (Weight.WARNING, True)
    ((weight, text),) = said(both[0], policy__organizer_domains=["example.org", "example.net", ".example.org"])
    assert (weight, "has none for example.net: " in text) == (Weight.WARNING, True)
    assert said(both[0], policy__organizer_domains=["example.net"], dkim__hosted="example.org") == []
    ((weight, text),) = said(both[1], dkim__hosted="example.org")
    assert (weight, "dkim.hosted: has no RSA key in dkim.keys" in text) == (Weight.ERROR, True)
    (state / "r.pem").chmod(0o644)
    ((weight, text),) = said(both[0])
    assert (weight, "mode 0644 is too open" in text, "dkim.keys" in text) == (Weight.ERROR, True, True)


@pytest.mark.parametrize(("said", "warned"), [("tempfail", False), ("accept", True), ("", True)])
def test_postfix_is_asked_for_its_default_action(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, warned: bool
) -> None:
    """milter_default_action other than tempfail can leave half-edited mail (law 1)."""
    monkeypatch.undo()
    postconf = tmp_path / "postconf"
    postconf.write_text(f"#!/bin/sh\necho {said}\necho\n")
    postconf.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    findings = checkup._postfix()
    assert [finding.weight for finding in findings] == ([Weight.WARNING] if warned else [])
    assert all("tempfail" in finding.text for finding in findings)


def test_no_postfix_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a machine without Postfix the administrator is reminded of the setting."""
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [finding.weight for finding in checkup._postfix()] == [Weight.NOTE]


def test_a_pinned_certificate_that_no_client_can_use(state: Path) -> None:
    """Over, or for servers alone: said before the client is refused."""
    server_alone = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    past = datetime.now(UTC) - timedelta(days=1)
    good, over = issue("a.example"), issue("b.example", ends=past)
    odd = issue("c.example", extensions=[(server_alone, False)])
    files = issue("door.example").write(state / "door")
    (state / "clients.pem").write_bytes(good.pem + over.pem + odd.pem)
    rules = [
        f"192.0.2.{number}/32 require client-certificate=sha256:{one.certificate.fingerprint(SHA256()).hex()}"
        for number, one in enumerate((good, over, odd), 1)
    ]
    changed = {**DOOR, "milter__listen": [], "smtp__client_ca": str(state / "clients.pem"), "tls__rules": rules}
    changed |= {"smtp__tls_certificate": str(files[0]), "smtp__tls_key": str(files[1])}
    found = checkup.check(settings(state, **changed))
    assert [finding.weight for finding in found] == [Weight.WARNING] * 2
    assert "192.0.2.2/32 for is not valid now" in found[0].text
    assert "192.0.2.3/32 for is for servers alone" in found[1].text


@pytest.mark.parametrize(
    ("mark_links", "recipe", "weight", "words"),
    [
        (True, False, Weight.WARNING, "default_transport = smtp; no security level"),
        (True, True, None, ""),
        (False, True, Weight.WARNING, "tls.mark_links is false"),
        (False, False, None, ""),
        (True, None, Weight.NOTE, "no postconf here"),
    ],
)
def test_marked_links_need_a_postfix_that_heeds_them(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    mark_links: bool,
    recipe: bool | None,
    weight: Weight | None,
    words: str,
) -> None:
    """tls.mark_links and the recipe go together; what Postfix says itself is read."""
    folder = state / "postfix"
    folder.mkdir()
    for name in ("main.cf", "master.cf"):
        own = (
            "compatibility_level = 3.6\nmyhostname = gate.example.org\n"
            if name == "main.cf"
            else "smtp unix - - y - - smtp\n"
        )
        (folder / name).write_text(
            own + ((SHIPPED.parent / "postfix" / f"tls-onward-{name}").read_text() if recipe else "")
        )
    if recipe is not None:
        monkeypatch.setattr(postconf, "read", ASKED)
        monkeypatch.setenv("MAIL_CONFIG", str(folder))
    findings = checkup.check(settings(state, tls__mark_links=mark_links))
    assert [finding.weight for finding in findings] == ([] if weight is None else [weight])
    assert all(words in finding.text for finding in findings)


def test_a_table_that_cannot_be_looked_into_is_a_note(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = state / "postfix"
    folder.mkdir()
    (folder / "main.cf").write_text(
        "myhostname = gate.example.org\nsmtp_tls_security_level = encrypt\ntransport_maps = ldap:/none/such\n"
    )
    (folder / "master.cf").write_text("smtp unix - - y - - smtp\n")
    monkeypatch.setattr(postconf, "read", ASKED)
    monkeypatch.setenv("MAIL_CONFIG", str(folder))
    ((weight, text),) = [(one.weight, one.text) for one in checkup.check(settings(state, tls__mark_links=True))]
    assert (weight, "transport_maps has a table of type ldap" in text) == (Weight.NOTE, True)


@pytest.mark.parametrize(
    "changed",
    [
        DOOR,
        {**FAR, "smtp__next_hop_tls": "encrypt"},
        {**FAR, "smtp__next_hop_tls": "verify"},
        {**FAR, "smtp__next_hop_tls": "dane", "smtp__next_hop_resolver": "127.0.0.1:53"},
        {**FAR, "smtp__next_hop_tls": "encrypt", "start_mail__relay": "127.0.0.1:25"},
        {**DOOR, "smtp__next_hop": "192.0.2.7:25", "smtp__next_hop_tls": "verify", "smtp__next_hop_name": "a.example"},
        {**DOOR, **FILTER},
        {
            **DOOR,
            **FILTER,
            "smtp__next_hop": "127.0.0.1:24",
            "smtp__next_hop_protocol": "lmtp",
            "start_mail__relay": "127.0.0.1:25",
        },
    ],
)
def test_a_next_hop_of_which_nothing_is_to_be_said(state: Path, changed: dict[str, Any]) -> None:
    assert checkup.check(settings(state, **changed)) == []


def test_authorities_that_vouch_for_nobody(state: Path) -> None:
    """A file that is not there, that is none, or that is over: no mail would go on."""
    path = state / "authorities.pem"
    good = issue("good.example", authority=True)
    over = issue("over.example", authority=True, ends=datetime.now(UTC) - timedelta(days=1))
    verified = {**FAR, "smtp__next_hop_tls": "verify", "smtp__next_hop_ca": str(path)}

    def said() -> list[tuple[Weight, str]]:
        return [(one.weight, one.text) for one in checkup.check(settings(state, **verified))]

    ((weight, text),) = said()
    assert (weight, "smtp.next_hop_ca" in text, "cannot be read" in text) == (Weight.ERROR, True, True)
    path.write_bytes(b"nothing\n")
    ((weight, text),) = said()
    assert (weight, "holds no certificate" in text) == (Weight.ERROR, True)
    path.write_bytes(over.pem)
    assert said() == [(Weight.ERROR, f"smtp.next_hop_ca {path}: every certificate in it is over")]
    path.write_bytes(over.pem + good.pem)
    assert said() == []


LISTENER = "192.0.2.5:26 inet n - y - - smtpd\n"
STRICT = " -o smtpd_forbid_bare_newline=normalize\n -o smtpd_forbid_bare_newline_exclusions=\n"


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (" -o smtpd_milters=unix:notes2conf/milter.sock\n", True),
        (" -o { smtpd_milters = inet:127.0.0.1:8891, unix:notes2conf/milter.sock }\n", True),
        (
            " -o smtpd_milters=unix:notes2conf/milter.sock\n -o smtpd_forbid_bare_newline=normalize\n",
            True,
        ),  # but not for mynetworks
        (" -o smtpd_milters=unix:notes2conf/milter.sock\n" + STRICT, False),
        (" -o smtpd_milters=inet:127.0.0.1:8891\n", False),  # not ours
        (" -o smtpd_proxy_filter=127.0.0.1:10025\n", True),
        (" -o content_filter=smtp:[127.0.0.1]:10025\n", True),
        (" -o content_filter=smtp:[127.0.0.1]:10025\n" + STRICT, False),
    ],
)
def test_a_listener_before_us_that_takes_a_bare_newline_for_a_line_end(
    state: Path, monkeypatch: pytest.MonkeyPatch, options: str, warned: bool
) -> None:
    """SMTP smuggling by way of an own server: Postfix 3.7 does so by default, newer ones for mynetworks."""
    folder = state / "postfix"
    folder.mkdir()
    (folder / "main.cf").write_text(
        "compatibility_level = 3.6\nmyhostname = gate.example.org\nmynetworks = 192.0.2.0/24\n"
    )
    (folder / "master.cf").write_text(LISTENER + options)
    monkeypatch.setattr(postconf, "read", ASKED)
    monkeypatch.setenv("MAIL_CONFIG", str(folder))
    socket = state / "spool" / "notes2conf"
    socket.mkdir(parents=True)
    found = checkup.check(settings(state, **DOOR, milter__listen=[f"unix:{socket}/milter.sock"]))
    assert [finding.weight for finding in found] == ([Weight.WARNING] if warned else [])
    assert all("192.0.2.5:26/inet may take a bare LF" in finding.text for finding in found)
