"""The lines of the transcript, in German and English.

In:  what happened, its values, and when. Out: one line of text, `[000.253] MX (10) mail.example.org`.
Fails: never; values that strangers chose are printable by then, or become so here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from notes2conf_milter.tlscheck.chains import Problem
from notes2conf_milter.tlscheck.printable import printable

LANGUAGES = ("en", "de")


class Said(Enum):
    """What can stand in a transcript, as English and German."""

    BEGIN = ("TLS check of {domain}, port {port}, {at}", "TLS-Prüfung von {domain}, Port {port}, {at}")
    RESOLVER = ("DNS resolver {resolver}", "DNS-Resolver {resolver}")
    MX = ("MX ({preference}) {host} [DNSSEC: {secure}]", "MX ({preference}) {host} [DNSSEC: {secure}]")
    NULL_MX = ("MX ({preference}) . (null MX)", "MX ({preference}) . (Null-MX)")
    IMPLICIT = ("no MX: the domain is its own mail host", "kein MX: Die Domain ist ihr eigener Mail-Host")
    NOTHING = ("{kind} {name}: none", "{kind} {name}: keine")
    NO_NAME = ("{kind} {name}: no such name", "{kind} {name}: Name existiert nicht")
    NO_ANSWER = ("{kind} {name}: no answer ({detail})", "{kind} {name}: keine Antwort ({detail})")
    ADDRESS = ("{kind} {name} {value} [DNSSEC: {secure}]", "{kind} {name} {value} [DNSSEC: {secure}]")
    RECORD = ('{kind} {name} "{value}" [DNSSEC: {secure}]', '{kind} {name} "{value}" [DNSSEC: {secure}]')
    CONNECT = ("connecting to {host} [{address}]:{port}", "Verbindung zu {host} [{address}]:{port}")
    CONNECTED = ("connected", "verbunden")
    SENT = ("--> {text}", "--> {text}")
    RECEIVED = ("<-- {text}", "<-- {text}")
    MORE = ("<-- ({count} more lines)", "<-- ({count} weitere Zeilen)")
    FAILED = ("failed: {detail}", "gescheitert: {detail}")
    SILENCE = ("no answer within {seconds} s", "keine Antwort binnen {seconds} s")
    HUNG_UP = ("the host closed the connection", "Der Host hat die Verbindung geschlossen")
    PLAIN = ("plain text instead of TLS: {text}", "Klartext statt TLS: {text}")
    TLS = ("TLS: {version}, {cipher}, {bits} bits", "TLS: {version}, {cipher}, {bits} Bit")
    FORWARD = ("forward secrecy: {yes}", "Forward Secrecy: {yes}")
    CERTIFICATE = ("certificate {number} of {count}: {subject}", "Zertifikat {number} von {count}: {subject}")
    ISSUER = ("    issuer: {issuer}", "    Aussteller: {issuer}")
    DATES = ("    valid: {begins} to {ends}", "    gültig: {begins} bis {ends}")
    KEY = (
        "    key: {key}, {bits} bits; signature: {signature}",
        "    Schlüssel: {key}, {bits} Bit; Signatur: {signature}",
    )
    NAMES = ("    names: {names}", "    Namen: {names}")
    PRINT = ("    SHA-256: {fingerprint}", "    SHA-256: {fingerprint}")
    SELF_SIGNED = ("    self-signed: {yes}", "    selbstsigniert: {yes}")
    CHAIN_GOOD = (
        "chain: valid, up to an authority that is known here",
        "Kette: gültig, bis zu einer hier bekannten Zertifizierungsstelle",
    )
    CHAIN_BAD = ("chain: {problem} {where}", "Kette: {problem} {where}")
    NAME_GOOD = (
        "host name: {host} is one of the certificate's names",
        "Hostname: {host} ist einer der Namen des Zertifikats",
    )
    NAME_BAD = ("host name: {host}: {problem}", "Hostname: {host}: {problem}")
    DANE_MATCH = ("DANE: {record} matches", "DANE: {record} passt")
    DANE_MISMATCH = ("DANE: no TLSA record matches", "DANE: Kein TLSA-Eintrag passt")
    DANE_UNUSABLE = ("DANE: no TLSA record that SMTP can use", "DANE: kein TLSA-Eintrag, den SMTP verwenden kann")
    OLD = (
        "second connection: TLS 1.1 or older is taken: {yes}",
        "zweite Verbindung: TLS 1.1 oder älter wird angenommen: {yes}",
    )
    OLD_UNKNOWN = (
        "second connection: nothing learned about TLS 1.1",
        "zweite Verbindung: nichts über TLS 1.1 erfahren",
    )
    FETCH = (
        "GET https://{host}/.well-known/mta-sts.txt [{address}]",
        "GET https://{host}/.well-known/mta-sts.txt [{address}]",
    )
    POLICY = (
        "MTA-STS policy: mode {mode}, max_age {age}, mx {mx}",
        "MTA-STS-Richtlinie: mode {mode}, max_age {age}, mx {mx}",
    )
    TIME_UP = ("time is up", "Die Zeit ist um")
    END = ("done", "fertig")


YES_NO = {True: ("yes", "ja"), False: ("no", "nein")}
PHRASES = {
    Problem.UNREADABLE: ("the certificate cannot be read", "das Zertifikat ist nicht lesbar"),
    Problem.EXPIRED: ("the certificate has expired", "das Zertifikat ist abgelaufen"),
    Problem.NOT_YET_VALID: ("the certificate is not valid yet", "das Zertifikat gilt noch nicht"),
    Problem.SELF_SIGNED: ("the certificate is self-signed", "das Zertifikat ist selbstsigniert"),
    Problem.UNKNOWN_ROOT: ("the chain ends in an unknown root", "die Kette endet bei einer unbekannten Wurzel"),
    Problem.INCOMPLETE: (
        "the chain is incomplete, or its authority is not known: it lacks the certificate of",
        "die Kette ist unvollständig oder ihre Zertifizierungsstelle unbekannt: Es fehlt das Zertifikat von",
    ),
    Problem.PATH_EXPIRED: (
        "a certificate of the chain is out of date:",
        "ein Zertifikat der Kette gilt nicht (mehr):",
    ),
    Problem.INVALID: ("the chain does not hold:", "die Kette hält nicht:"),
    Problem.WRONG_NAME: (
        "the certificate is for another name",
        "das Zertifikat gilt für einen anderen Namen",
    ),
    Problem.NO_NAME: (
        "the certificate has no DNS name (a common name does not count)",
        "das Zertifikat hat keinen DNS-Namen (ein Common Name zählt nicht)",
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line; at: seconds since the beginning."""

    at: float
    said: Said
    values: Mapping[str, object]


def text(line: Line, language: str) -> str:
    """Return a line as it is printed."""
    column = LANGUAGES.index(language)
    values = {name: shown(value, column) for name, value in line.values.items()}
    return f"[{line.at:07.3f}] {line.said.value[column].format(**values)}".rstrip()


def shown(value: object, column: int) -> str:
    """Return a value as it stands in a sentence of a language."""
    if isinstance(value, bool):
        return YES_NO[value][column]
    if isinstance(value, Problem):
        return PHRASES[value][column]
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S UTC")
    return printable(str(value), 1000)
