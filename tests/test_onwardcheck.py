"""onwardcheck.py: ways without TLS in real Postfix configurations, and none in the recipe as it is."""

from pathlib import Path

import pytest

from notes2conf_milter import postconf
from notes2conf_milter.onwardcheck import Seen, heeds_the_mark, look

RECIPE = Path(__file__).parents[1] / "config" / "postfix"
SERVICES = """\
smtp      inet  n       -       y       -       -       smtpd
{more}
10025     inet  n       -       y       -       -       smtpd
    -o content_filter=
cleanup   unix  n       -       y       -       0       cleanup
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
lmtp      unix  -       -       y       -       -       lmtp
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
error     unix  -       -       y       -       -       error
"""
ENCRYPT = "smtp_tls_security_level = encrypt\n"
MAY = "smtp_tls_security_level = may\n"


def _seen(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    main: str,
    *,
    recipe: bool = True,
    smtpd: str = "",
    swap: tuple[str, str] = ("", ""),
) -> Seen:
    """What is seen of a main.cf; smtpd: options of the listener on port 25; swap: a word of the recipe for another."""
    text = {
        name: (RECIPE / f"tls-onward-{name}").read_text("utf-8") if recipe else "" for name in ("main.cf", "master.cf")
    }
    assert swap[0] in text["master.cf"]
    master = text["master.cf"].replace(*swap) if swap[0] else text["master.cf"]
    (folder / "main.cf").write_text(
        "compatibility_level = 3.6\nmyhostname = gate.example.org\nmydestination = example.org\n"
        + text["main.cf"]
        + main
    )
    (folder / "master.cf").write_text(SERVICES.replace("{more}\n", smtpd and f"    -o {smtpd}\n") + master)
    monkeypatch.setenv("MAIL_CONFIG", str(folder))
    found = postconf.read()
    assert found is not None
    assert heeds_the_mark(found) is (recipe and "Notes2conf" not in swap[0])
    return look(found)


@pytest.mark.parametrize(
    "main",
    [
        MAY,
        MAY + "relayhost = [192.0.2.1]\nsender_dependent_relayhost_maps = inline:{ { a@example.org = [192.0.2.2] } }\n",
        MAY
        + "content_filter = smtp:[127.0.0.1]:10024\nrelay_domains = example.net\nrelay_transport = lmtp:unix:private/x\n",
        MAY + "virtual_mailbox_domains = example.net\nmailbox_transport = lmtp:inet:127.0.0.1:24\n",
        MAY
        + "smtpd_recipient_restrictions = check_client_access cidr:{{192.0.2.0/24 FILTER smtp:[127.0.0.1]:10025}}\n",
    ],
)
def test_the_recipe_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: str) -> None:
    """With filters and mailboxes on this machine, and a relayhost that has no effect."""
    assert _seen(tmp_path, monkeypatch, main) == Seen()


@pytest.mark.parametrize(
    "main",
    [
        ENCRYPT,
        "smtp_enforce_tls = yes\n",
        ENCRYPT
        + "transport_maps = inline:{ { example.net = smtp:[192.0.2.10] }, { example.com = relay:[192.0.2.11]:26 } }\n",
        MAY
        + "relayhost = [relay.example.org]:587\nsmtp_tls_policy_maps = inline:{ { [relay.example.org]:587 = verify } }\n",
        MAY + "relayhost = mx.example.org\nsmtp_tls_policy_maps = inline:{ { .example.org = encrypt ciphers=high } }\n",
        "default_transport = error:5.1.1 nobody\n",
    ],
)
def test_tls_for_all_mail_needs_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: str) -> None:
    assert _seen(tmp_path, monkeypatch, main, recipe=False) == Seen()


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("", "(default_transport = smtp; no security level)"),
        (MAY, "(default_transport = smtp; security level may)"),
        ("smtp_tls_security_level = dane\n", "(default_transport = smtp; security level dane)"),
        (MAY + "relayhost = [192.0.2.1]\n", "(default_transport = smtp, relayhost = [192.0.2.1]; security level may)"),
        (
            ENCRYPT + "smtp_tls_policy_maps = inline:{ { example.net = may } }\n",
            "(default_transport = smtp; security level may)",
        ),
    ],
)
def test_without_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: str, expected: str) -> None:
    """mark_links alone does nothing: it is said what leaves without TLS, and what to do."""
    (text,) = _seen(tmp_path, monkeypatch, main, recipe=False).bare
    assert "mail with a link may leave for the world without TLS " + expected in text
    assert "config/postfix/tls-onward-main.cf" in text


WEAK = "mail with a link may go by {} without TLS (security level may)"
CLASS = "smtpd_restriction_classes = strangers\nstrangers = check_sender_access "
CLASS += "inline:{ { x@y.example = FILTER smtp:[192.0.2.20] } }\n"
ROUTES = "inline:{ { a@example.net = smtp:[192.0.2.20] }, { b@example.net = smtp:[192.0.2.20] }, { c = error:no }, { d = : } }"


@pytest.mark.parametrize(
    ("main", "where", "way"),
    [
        (f"transport_maps = {ROUTES}\n", "transport_maps (2 entries)", "smtp:[192.0.2.20]"),
        (f"sender_dependent_default_transport_maps = {ROUTES}\n", "transport_maps (2 entries)", "smtp:[192.0.2.20]"),
        ("transport_maps = regexp:{{/net/ relay:[192.0.2.20]:26}}\n", "transport_maps", "relay:[192.0.2.20]:26"),
        ("transport_maps = static:relay:\n", "transport_maps", "relay:"),
        (
            "relay_domains = example.net\nrelay_transport = relay:[192.0.2.20]\n",
            "relay_transport",
            "relay:[192.0.2.20]",
        ),
        ("mailbox_transport = smtp:[192.0.2.20]\n", "mailbox_transport", "smtp:[192.0.2.20]"),
        ("local_transport = smtp:[192.0.2.20]\n", "local_transport", "smtp:[192.0.2.20]"),
        ("transport_maps = inline:{ { a = smtp:localhost.example } }\n", "transport_maps", "smtp:localhost.example"),
        ("content_filter = smtp:[192.0.2.20]:10025\n", "content_filter", "smtp:[192.0.2.20]:10025"),
        (
            "header_checks = regexp:{{/^X-A:/ FILTER smtp:[192.0.2.20]}}\n",
            "FILTER in header_checks",
            "smtp:[192.0.2.20]",
        ),
        (CLASS, "FILTER in strangers", "smtp:[192.0.2.20]"),
    ],
)
def test_ways_past_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: str, where: str, way: str) -> None:
    """Each is named with its next hop and its level; nobody's address is."""
    seen = _seen(tmp_path, monkeypatch, MAY + main)
    assert [where + ": " + WEAK.format(way) in text for text in seen.bare] == [True]
    assert seen.unseen == []
    assert "@" not in seen.bare[0]


def test_what_a_listener_has_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for option, where, way in (
        ("content_filter=smtp:[192.0.2.20]", "content_filter of smtp/inet", "smtp:[192.0.2.20]"),
        (
            "{ smtpd_client_restrictions = check_client_access cidr:{{192.0.2.0/24 FILTER relay:}}, permit }",
            "FILTER in smtpd_client_restrictions of smtp/inet",
            "relay:",
        ),
    ):
        (text,) = _seen(tmp_path, monkeypatch, MAY, smtpd=option).bare
        assert f"{where}: {WEAK.format(way)}" in text


@pytest.mark.parametrize(
    ("old", "new", "ways"),
    [
        ("security_level=encrypt", "security_level=may", 2),
        (
            "smtp_tls_policy_maps=\n    -o smtp_tls_per_site=",
            "smtp_tls_policy_maps=inline:{x=may}\n    -o smtp_tls_per_site=",
            1,
        ),
        ("/^X-Notes2conf-TLS:/", "/^X-Other:/", 2),
        ("cleanup_service_name=notes2conf-domino", "cleanup_service_name=cleanup", 1),
    ],
)
def test_a_recipe_that_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, ways: int
) -> None:
    """A listener that does not choose, or chooses a transport that is content with less."""
    seen = _seen(tmp_path, monkeypatch, MAY, swap=(old, new))
    assert len(seen.bare) == ways
    assert all("that listener, its cleanup and the transport" in text for text in seen.bare)
    assert any("notes2conf-onward:[127.0.0.1]:1003" in text for text in seen.bare)


def test_what_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _seen(tmp_path, monkeypatch, MAY + "transport_maps = proxy:ldap:/etc/postfix/routes.cf\n")
    assert seen.bare == []
    assert [text.split(" of type ")[0] for text in seen.unseen] == ["Postfix: transport_maps has a table"]
    assert "ldap" in seen.unseen[0]
