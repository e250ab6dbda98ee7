"""The sentences of the verdict, in German and English.

In:  findings, a language. Out: one sentence or two for each, plain enough for who is not a mail engineer.
Fails: never; values that strangers chose are made printable.
"""

from notes2conf_milter.tlscheck.findings import Code, Finding, Guideline, Level, Status
from notes2conf_milter.tlscheck.transcript import LANGUAGES, shown

SENTENCES: dict[Code, tuple[str, str]] = {
    Code.NO_DOMAIN: (
        "The domain {domain} does not exist. Nobody can send it mail.",
        "Die Domain {domain} existiert nicht. Niemand kann ihr Mail schicken.",
    ),
    Code.NO_HOST: (
        "{domain} has neither an MX record nor an address. Nobody takes its mail.",
        "{domain} hat weder einen MX-Eintrag noch eine Adresse. Niemand nimmt ihre Mail an.",
    ),
    Code.NULL_MX: (
        "{domain} says that it takes no mail (null MX). There is nothing to check.",
        "{domain} erklärt, keine Mail anzunehmen (Null-MX). Es gibt nichts zu prüfen.",
    ),
    Code.NULL_MX_AND_OTHERS: (
        "{domain} says that it takes no mail (null MX), and names mail hosts beside. RFC 7505 forbids both at once.",
        "{domain} erklärt, keine Mail anzunehmen (Null-MX), und nennt zugleich Mail-Hosts. RFC 7505 verbietet "
        "beides zusammen.",
    ),
    Code.IMPLICIT_MX: (
        "{domain} has no MX record, so mail goes to the address of the domain itself.",
        "{domain} hat keinen MX-Eintrag, also geht Mail an die Adresse der Domain selbst.",
    ),
    Code.MX_UNKNOWN: (
        "Which hosts take mail for {domain} could not be found out: the DNS resolver does not answer ({detail}).",
        "Welche Hosts Mail für {domain} annehmen, war nicht zu erfahren: Der DNS-Resolver antwortet nicht ({detail}).",
    ),
    Code.MX_IS_ADDRESS: (
        "{where}: this MX record names an IP address. It has to name a host; most senders ignore it as it is.",
        "{where}: Dieser MX-Eintrag nennt eine IP-Adresse. Er muss einen Host nennen; die meisten Absender "
        "beachten ihn so nicht.",
    ),
    Code.MX_WITHOUT_ADDRESS: (
        "{where}: this mail host has no address and cannot be reached.",
        "{where}: Dieser Mail-Host hat keine Adresse und ist nicht erreichbar.",
    ),
    Code.MX_ALIAS: (
        "{where}: this MX record names an alias (CNAME). It should name the host itself.",
        "{where}: Dieser MX-Eintrag nennt einen Alias (CNAME). Er soll den Host selbst nennen.",
    ),
    Code.HOST_UNKNOWN: (
        "{where}: the addresses could not be found out, the DNS resolver does not answer ({detail}).",
        "{where}: Die Adressen waren nicht zu erfahren, der DNS-Resolver antwortet nicht ({detail}).",
    ),
    Code.LEFT_OUT: (
        "{count} hosts or addresses were not checked, because there are too many.",
        "{count} Hosts oder Adressen wurden nicht geprüft, weil es zu viele sind.",
    ),
    Code.TIME_UP: (
        "The time was up before everything had been checked.",
        "Die Zeit war um, bevor alles geprüft war.",
    ),
    Code.NOTHING_CHECKED: (
        "Nothing could be checked: this machine reaches none of the addresses.",
        "Nichts konnte geprüft werden: Dieser Rechner erreicht keine der Adressen.",
    ),
    Code.RESOLVER_FAR: (
        "What is said about DNSSEC is what the resolver {resolver} says. It is on another machine; the way to it "
        "has to be trusted.",
        "Was hier über DNSSEC steht, sagt der Resolver {resolver}. Er läuft auf einem anderen Rechner; dem Weg "
        "dorthin muss man trauen.",
    ),
    Code.NO_ROUTE: (
        "{where}: not checked, this machine has no way to such addresses ({detail}).",
        "{where}: nicht geprüft, dieser Rechner hat keinen Weg zu solchen Adressen ({detail}).",
    ),
    Code.UNREACHABLE: (
        "{where}: not reached ({detail}). Either nobody answers there, or something on the way from here closes "
        "the port.",
        "{where}: nicht erreicht ({detail}). Entweder antwortet dort niemand, oder etwas auf dem Weg von hier "
        "sperrt den Port.",
    ),
    Code.SILENT: (
        "{where}: the connection is taken, but no answer comes in time.",
        "{where}: Die Verbindung wird angenommen, aber es kommt rechtzeitig keine Antwort.",
    ),
    Code.LOST: (
        "{where}: the connection was closed in the middle of the conversation.",
        "{where}: Die Verbindung wurde mitten im Gespräch geschlossen.",
    ),
    Code.TURNED_AWAY: (
        "{where}: this machine was turned away with the greeting, so nothing can be said about encryption. The "
        "answer: {detail}",
        "{where}: Dieser Rechner wurde schon mit der Begrüßung abgewiesen; über die Verschlüsselung lässt sich "
        "nichts sagen. Die Antwort: {detail}",
    ),
    Code.NOT_SMTP: (
        "{where}: what answers there does not speak SMTP. The answer: {detail}",
        "{where}: Was dort antwortet, spricht kein SMTP. Die Antwort: {detail}",
    ),
    Code.EHLO_REFUSED: (
        "{where}: EHLO is refused, so no encryption can be offered. Mail comes in the clear. The answer: {detail}",
        "{where}: EHLO wird abgelehnt, also kann keine Verschlüsselung angeboten werden. Mail kommt im Klartext. "
        "Die Antwort: {detail}",
    ),
    Code.NO_STARTTLS: (
        "{where}: STARTTLS is not offered. Mail comes in the clear, for everybody on the way to read. Where the host does "
        "offer it, something on the way from here takes it out.",
        "{where}: STARTTLS wird nicht angeboten. Mail kommt im Klartext und ist unterwegs für alle lesbar. Falls der Host es "
        "anbietet, entfernt es etwas auf dem Weg von hier.",
    ),
    Code.STRIPPED: (
        "{where}: on the way something overwrites STARTTLS with X's (a firewall, or an attacker). Mail comes in "
        "the clear.",
        "{where}: Unterwegs überschreibt etwas STARTTLS mit X (eine Firewall oder ein Angreifer). Mail kommt im "
        "Klartext.",
    ),
    Code.STARTTLS_REFUSED: (
        "{where}: STARTTLS is offered, and refused when asked for. Mail comes in the clear, or not at all. The "
        "answer: {detail}",
        "{where}: STARTTLS wird angeboten und dann abgelehnt. Mail kommt im Klartext oder gar nicht. Die Antwort: "
        "{detail}",
    ),
    Code.INJECTED: (
        "{where}: plain text comes after the answer to STARTTLS. Somebody on the way can put answers in (an "
        "injection), or the host is broken. What came: {detail}",
        "{where}: Nach der Antwort auf STARTTLS kommt noch Klartext. Jemand auf dem Weg kann Antworten "
        "einschleusen, oder der Host ist defekt. Was kam: {detail}",
    ),
    Code.HANDSHAKE_FAILED: (
        "{where}: STARTTLS is offered, but the TLS handshake fails ({detail}). Mail comes in the clear, or not at all.",
        "{where}: STARTTLS wird angeboten, aber der TLS-Handshake scheitert ({detail}). Mail kommt im Klartext "
        "oder gar nicht.",
    ),
    Code.BROKEN_INSIDE: (
        "{where}: TLS begins, and then no SMTP is spoken any more. {detail}",
        "{where}: TLS beginnt, und danach wird kein SMTP mehr gesprochen. {detail}",
    ),
    Code.MAIL_REFUSED: (
        "{where}: the empty sender is refused (reply {code}). That says nothing about encryption, but delivery "
        "reports do not get in.",
        "{where}: Der leere Absender wird abgelehnt (Antwort {code}). Über die Verschlüsselung sagt das nichts, "
        "aber Zustellberichte kommen so nicht an.",
    ),
    Code.GOOD_TLS: (
        "{where}: encrypted with {version} and {cipher}, with forward secrecy.",
        "{where}: verschlüsselt mit {version} und {cipher}, mit Forward Secrecy.",
    ),
    Code.OLD_TLS: (
        "{where}: {version} is the best that is offered. It is outdated, current mail servers refuse it; TLS 1.2 "
        "is the least.",
        "{where}: {version} ist das Beste, was angeboten wird. Das ist veraltet, und aktuelle Mailserver lehnen "
        "es ab; TLS 1.2 ist das Mindeste.",
    ),
    Code.OLD_TLS_TOO: (
        "{where}: TLS 1.1 or 1.0 is taken, too. Neither is recommended any more.",
        "{where}: TLS 1.1 oder 1.0 wird auch angenommen. Beide werden nicht mehr empfohlen.",
    ),
    Code.WEAK_CIPHER: (
        "{where}: encrypted with {cipher}, which can be broken.",
        "{where}: verschlüsselt mit {cipher}, und das lässt sich brechen.",
    ),
    Code.NO_FORWARD_SECRECY: (
        "{where}: encrypted with {version} and {cipher}, without forward secrecy. Who records the mail and gets "
        "the host's key later can read it.",
        "{where}: verschlüsselt mit {version} und {cipher}, ohne Forward Secrecy. Wer Mail aufzeichnet und später "
        "den Schlüssel des Hosts bekommt, kann sie lesen.",
    ),
    Code.CIPHER_NOT_LISTED: (
        "{where}: encrypted with {version} and {cipher}, which is not among the suites of TR-02102-2.",
        "{where}: verschlüsselt mit {version} und {cipher}, und das steht nicht in den Listen der TR-02102-2.",
    ),
    Code.CIPHER_UNUSUAL: (
        "{where}: encrypted with {version} and {cipher}, with forward secrecy. The suite is sound, but not in the "
        "lists of TR-02102-2.",
        "{where}: verschlüsselt mit {version} und {cipher}, mit Forward Secrecy. Das Verfahren ist gut, steht "
        "aber nicht in den Listen der TR-02102-2.",
    ),
    Code.GOOD_CERTIFICATE: (
        "{where}: identity proved. The chain is valid, the host name is in the certificate, which is valid until "
        "{ends}.",
        "{where}: Identität nachgewiesen. Die Kette ist gültig, der Hostname steht im Zertifikat, und es gilt bis "
        "{ends}.",
    ),
    Code.BAD_CERTIFICATE: (
        "{where}: no proof of identity: {problem}{at} (valid from {begins} to {ends}). An attacker in between "
        "could pose as this host.",
        "{where}: kein Nachweis der Identität: {problem}{at} (gültig von {begins} bis {ends}). Ein Angreifer "
        "dazwischen könnte sich als dieser Host ausgeben.",
    ),
    Code.PROVED_BY_DANE: (
        "{where}: {problem}, but DANE vouches for it. Senders that do not know DANE cannot verify the host.",
        "{where}: {problem}, aber DANE bürgt dafür. Absender, die DANE nicht kennen, können den Host nicht überprüfen.",
    ),
    Code.EXPIRES_SOON: (
        "{where}: the certificate expires soon, at {ends}.",
        "{where}: Das Zertifikat läuft bald ab, am {ends}.",
    ),
    Code.KEY_WEAK: (
        "{where}: the key of {subject} ({key}, {bits} bits) is too short to protect anything.",
        "{where}: Der Schlüssel von {subject} ({key}, {bits} Bit) ist zu kurz, um noch zu schützen.",
    ),
    Code.KEY_SHORT: (
        "{where}: the key of {subject} ({key}, {bits} bits) is shorter than TR-02102 recommends since 2024 (RSA "
        "3000, elliptic curves 250 bits).",
        "{where}: Der Schlüssel von {subject} ({key}, {bits} Bit) ist kürzer, als die TR-02102 seit 2024 "
        "empfiehlt (RSA 3000, elliptische Kurven 250 Bit).",
    ),
    Code.SIGNATURE_WEAK: (
        "{where}: {subject} is signed with {signature}, which can be forged.",
        "{where}: {subject} ist mit {signature} signiert, und das lässt sich fälschen.",
    ),
    Code.SIGNATURE_LEAVING: (
        "{where}: the chain has RSA signatures of the old form (PKCS #1 v1.5), which TR-02102-2 recommended until "
        "2025.",
        "{where}: Die Kette hat RSA-Signaturen der alten Form (PKCS #1 v1.5), die die TR-02102-2 bis 2025 empfahl.",
    ),
    Code.DANE_GOOD: (
        "DANE vouches for {where}: DNSSEC is validated, and a TLSA record matches.",
        "DANE bürgt für {where}: DNSSEC ist geprüft, und ein TLSA-Eintrag passt.",
    ),
    Code.DANE_MISMATCH: (
        "No TLSA record matches the certificate of {where}. Senders that know DANE do not deliver to it.",
        "Kein TLSA-Eintrag passt zum Zertifikat von {where}. Absender, die DANE kennen, stellen dort nicht zu.",
    ),
    Code.DANE_IN_THE_CLEAR: (
        "{where}: the TLSA records promise encryption, and there was none. Senders that know DANE do not deliver here. Perhaps "
        "somebody on the way takes STARTTLS out.",
        "{where}: Die TLSA-Einträge versprechen Verschlüsselung, und es gab keine. Absender, die DANE kennen, stellen hier "
        "nicht zu. Vielleicht entfernt jemand auf dem Weg STARTTLS.",
    ),
    Code.DANE_UNUSABLE: (
        "{where}: there are TLSA records, but none that SMTP can use (usage 2 or 3). Senders encrypt, and verify "
        "nothing.",
        "{where}: Es gibt TLSA-Einträge, aber keinen, den SMTP verwenden kann (Usage 2 oder 3). Absender "
        "verschlüsseln und prüfen nichts.",
    ),
    Code.DANE_INSECURE: (
        "{where}: there are TLSA records, but the resolver did not validate the way to them by DNSSEC (no AD "
        "flag). Senders ignore them.",
        "{where}: Es gibt TLSA-Einträge, aber der Resolver hat den Weg dorthin nicht mit DNSSEC geprüft (kein "
        "AD-Flag). Absender beachten sie nicht.",
    ),
    Code.DANE_INSECURE_MISMATCH: (
        "{where}: there are TLSA records, and they do not match the certificate. Senders ignore them only because "
        "DNSSEC is not validated (no AD flag).",
        "{where}: Es gibt TLSA-Einträge, und sie passen nicht zum Zertifikat. Absender beachten sie nur deshalb "
        "nicht, weil DNSSEC nicht geprüft ist (kein AD-Flag).",
    ),
    Code.DANE_MISSING: (
        "{where}: there is no TLSA record. DANE, which TR-03108 asks for, is missing.",
        "{where}: Es gibt keinen TLSA-Eintrag. DANE, das die TR-03108 verlangt, fehlt.",
    ),
    Code.DANE_UNKNOWN: (
        "{where}: the DNS does not answer the question for TLSA records ({detail}). Senders that know DANE do not "
        "deliver until it does.",
        "{where}: Das DNS beantwortet die Frage nach TLSA-Einträgen nicht ({detail}). Absender, die DANE kennen, "
        "stellen so lange nicht zu.",
    ),
    Code.STS_GOOD: (
        "MTA-STS is enforced, and the mail hosts that were reached keep the policy.",
        "MTA-STS ist verbindlich (enforce), und die erreichten Mail-Hosts halten die Richtlinie ein.",
    ),
    Code.STS_MISSING: (
        "{domain} has no MTA-STS. Senders without DANE cannot know that they have to encrypt.",
        "{domain} hat kein MTA-STS. Absender ohne DANE können nicht wissen, dass sie verschlüsseln müssen.",
    ),
    Code.STS_UNKNOWN: (
        "Whether {domain} has MTA-STS could not be found out: the DNS resolver does not answer ({detail}).",
        "Ob {domain} MTA-STS hat, war nicht zu erfahren: Der DNS-Resolver antwortet nicht ({detail}).",
    ),
    Code.STS_BAD_RECORD: (
        "The MTA-STS record of {domain} is not valid: {detail}. Senders act as if there were none.",
        "Der MTA-STS-Eintrag von {domain} ist ungültig: {detail}. Absender tun, als gäbe es keinen.",
    ),
    Code.STS_UNREACHABLE: (
        "{domain} announces MTA-STS, but its policy cannot be fetched from mta-sts.{domain} ({detail}).",
        "{domain} kündigt MTA-STS an, aber die Richtlinie ist von mta-sts.{domain} nicht abrufbar ({detail}).",
    ),
    Code.STS_BAD_CERTIFICATE: (
        "{domain} announces MTA-STS, but the certificate of mta-sts.{domain} is not valid ({detail}). Senders do "
        "not take the policy.",
        "{domain} kündigt MTA-STS an, aber das Zertifikat von mta-sts.{domain} ist ungültig ({detail}). Absender "
        "übernehmen die Richtlinie nicht.",
    ),
    Code.STS_BAD_ANSWER: (
        "{domain} announces MTA-STS, but mta-sts.{domain} does not give out a policy ({detail}).",
        "{domain} kündigt MTA-STS an, aber mta-sts.{domain} gibt keine Richtlinie heraus ({detail}).",
    ),
    Code.STS_BAD_POLICY: (
        "The MTA-STS policy of {domain} is not valid: {detail}.",
        "Die MTA-STS-Richtlinie von {domain} ist ungültig: {detail}.",
    ),
    Code.STS_TESTING: (
        "MTA-STS is in mode testing: senders report, but do not enforce.",
        "MTA-STS ist im Modus testing: Absender berichten, erzwingen aber nichts.",
    ),
    Code.STS_OFF: (
        "MTA-STS is switched off (mode none).",
        "MTA-STS ist abgeschaltet (Modus none).",
    ),
    Code.STS_OTHER_HOST: (
        "{where}: the MTA-STS policy does not name this mail host. Senders that know MTA-STS do not deliver to it.",
        "{where}: Die MTA-STS-Richtlinie nennt diesen Mail-Host nicht. Absender, die MTA-STS kennen, stellen dort "
        "nicht zu.",
    ),
    Code.STS_OTHER_HOST_TESTING: (
        "{where}: the MTA-STS policy (mode testing) does not name this mail host.",
        "{where}: Die MTA-STS-Richtlinie (Modus testing) nennt diesen Mail-Host nicht.",
    ),
    Code.STS_NO_PROOF: (
        "{where}: the MTA-STS policy asks for encryption and a certificate that can be verified. Senders that "
        "know MTA-STS do not deliver here.",
        "{where}: Die MTA-STS-Richtlinie verlangt Verschlüsselung und ein überprüfbares Zertifikat. Absender, die "
        "MTA-STS kennen, stellen hier nicht zu.",
    ),
    Code.STS_NO_PROOF_TESTING: (
        "{where}: the MTA-STS policy (mode testing) asks for encryption and a certificate that can be verified. "
        "It is not kept here.",
        "{where}: Die MTA-STS-Richtlinie (Modus testing) verlangt Verschlüsselung und ein überprüfbares "
        "Zertifikat. Hier wird sie nicht eingehalten.",
    ),
    Code.REPORTS_GOOD: (
        "Senders may report failures of encryption (TLSRPT).",
        "Absender können Fehler bei der Verschlüsselung melden (TLSRPT).",
    ),
    Code.REPORTS_MISSING: (
        "{domain} has no TLSRPT record. It does not hear of senders that cannot encrypt.",
        "{domain} hat keinen TLSRPT-Eintrag und erfährt nicht, wenn Absender nicht verschlüsseln können.",
    ),
    Code.REPORTS_BAD: (
        "The TLSRPT record of {domain} is not valid: {detail}.",
        "Der TLSRPT-Eintrag von {domain} ist ungültig: {detail}.",
    ),
    Code.REPORTS_UNKNOWN: (
        "Whether {domain} has TLSRPT could not be found out: the DNS resolver does not answer ({detail}).",
        "Ob {domain} TLSRPT hat, war nicht zu erfahren: Der DNS-Resolver antwortet nicht ({detail}).",
    ),
}

LEVELS = {
    Level.GOOD: ("good", "gut"),
    Level.HINT: ("hint", "Hinweis"),
    Level.WARNING: ("warning", "Warnung"),
    Level.UNKNOWN: ("unknown", "unbekannt"),
    Level.CRITICAL: ("critical", "kritisch"),
}

STATUS = {
    Status.GOOD: (
        "Good: mail to {domain} comes encrypted, to hosts that prove who they are.",
        "Gut: Mail an {domain} kommt verschlüsselt, zu Hosts, die sich ausweisen.",
    ),
    Status.WARNING: (
        "Warning: mail to {domain} comes encrypted, but not all that the guidelines ask for is there.",
        "Warnung: Mail an {domain} kommt verschlüsselt, aber nicht alles, was die Richtlinien verlangen, ist da.",
    ),
    Status.CRITICAL: (
        "Critical: mail to {domain} is not protected on its way, or does not arrive.",
        "Kritisch: Mail an {domain} ist auf dem Weg nicht geschützt oder kommt nicht an.",
    ),
    Status.UNKNOWN: (
        "Unknown: not everything about {domain} could be checked.",
        "Unbekannt: Nicht alles an {domain} konnte geprüft werden.",
    ),
}

KEPT = {
    True: (
        "{guideline}: kept, as far as can be seen from outside.",
        "{guideline}: eingehalten, soweit von außen zu sehen.",
    ),
    False: ("{guideline}: not kept ({labels}).", "{guideline}: nicht eingehalten ({labels})."),
    None: ("{guideline}: not known.", "{guideline}: nicht bekannt."),
}


def sentence(finding: Finding, domain: str, language: str) -> str:
    """Return a finding in words."""
    column = LANGUAGES.index(language)
    values = {name: shown(value, column) for name, value in finding.values.items()}
    text = SENTENCES[finding.code][column].format(domain=domain, where=", ".join(finding.places), **values)
    return " ".join(text.split())


def guideline(which: Guideline, kept: bool | None, labels: tuple[str, ...], language: str) -> str:
    """Return what a guideline says to it, in words; labels: the findings that break it."""
    return KEPT[kept][LANGUAGES.index(language)].format(guideline=which.value, labels=", ".join(labels))
