"""The report as plain text, JSON and a page of HTML that stands by itself, in German and English.

In:  a `Count`, the rules in force. Out: text. Pure. Fails: never; what a log held is escaped.
The page draws its plot itself (SVG, no script), prints well, and loads nothing from anywhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from notes2conf_milter.tlsreport.records import Count, Share

LISTED = 40  # rows of a table on the page and in the text; the rest is one row. JSON has all
_BAR = 30  # characters
_PLOT = (720, 160)  # width and height of the plot's bars, in its own units


_MOST_DAYS = 750
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class About:
    """What a report says of itself. made: seconds since 1970 UTC; source: where the log was; rules: as they were set."""

    made: float
    source: str
    rules: tuple[str, ...] = ()


# Each as English, German.
_WORDS = {
    "title": ("Encryption of mail on the way to the gateway", "Verschlüsselung der Mail auf dem Weg zum Gateway"),
    "period": ("Period", "Zeitraum"),
    "source": ("Source", "Quelle"),
    "made": ("Made", "Erstellt"),
    "messages": ("Messages", "Nachrichten"),
    "encrypted": ("by TLS", "mit TLS"),
    "secret": ("with forward secrecy", "mit Forward Secrecy"),
    "plain": ("without TLS", "ohne TLS"),
    "unseen": ("not seen here", "hier nicht zu sehen"),
    "refused": ("refused", "abgelehnt"),
    "by_day": ("By day (UTC)", "Nach Tagen (UTC)"),
    "by_version": ("By protocol", "Nach Protokoll"),
    "by_cipher": ("By cipher", "Nach Chiffre"),
    "by_peer": ("By peer", "Nach Gegenstelle"),
    "peer": ("Rule, allowed network or prefix", "Regel, erlaubtes Netz oder Präfix"),
    "version": ("Protocol", "Protokoll"),
    "cipher": ("Cipher", "Chiffre"),
    "others": ("others", "weitere"),
    "yes": ("yes", "ja"),
    "no": ("no", "nein"),
    "rules": ("Rules in force (tls.rules)", "Geltende Regeln (tls.rules)"),
    "no_rules": (
        "None: nothing is required, everything is logged.",
        "Keine: Nichts wird verlangt, alles wird protokolliert.",
    ),
    "none": ("no TLS", "kein TLS"),
    "unknown": ("behind a filter, not seen", "hinter einem Filter, nicht zu sehen"),
    "enforced": ("behind a filter that enforces TLS", "hinter einem Filter, der TLS erzwingt"),
    "nothing": (
        "The log holds no record of this period. Is tls.log off, or the log kept for less time?",
        "Das Log enthält für diesen Zeitraum nichts. Ist tls.log aus, oder wird das Log kürzer aufbewahrt?",
    ),
    "timeless": (
        "{} messages stand in lines without a time; they are counted whatever the period.",
        "{} Nachrichten stehen in Zeilen ohne Zeitangabe; sie zählen unabhängig vom Zeitraum mit.",
    ),
    "how": (
        "Each message that reached the gateway wrote one record of the session in which it came: what Postfix reported of it, "
        "or what our own listener saw. A refused message was turned away at MAIL FROM before anything of it was sent. Mail "
        "that a filter brought says nothing of its session; there Postfix has to enforce TLS. The records hold no addresses: "
        "a peer is a rule, an allowed network, or a prefix (IPv4 /24, IPv6 /48).",
        "Zu jeder Nachricht, die das Gateway erreichte, gibt es einen Eintrag über die Sitzung, in der sie kam: was Postfix "
        "darüber berichtete oder was unser eigener Empfang sah. Eine abgelehnte Nachricht wurde bei MAIL FROM abgewiesen, "
        "bevor etwas von ihr gesendet war. Mail, die ein Filter brachte, sagt nichts über ihre Sitzung; dort muss Postfix TLS "
        "durchsetzen. Die Einträge enthalten keine Adressen: Eine Gegenstelle ist eine Regel, ein erlaubtes Netz oder ein "
        "Präfix (IPv4 /24, IPv6 /48).",
    ),
}
LANGUAGES = ("en", "de")


def words(language: str) -> dict[str, str]:
    """Return all words in a language."""
    return {name: both[LANGUAGES.index(language)] for name, both in _WORDS.items()}


def as_json(count: Count, about: About) -> str:
    """Return the numbers as one JSON object; its keys stay as they are from version to version."""
    return json.dumps(
        {
            "made": _moment(about.made),
            "source": about.source,
            "first": _moment(count.first),
            "last": _moment(count.last),
            "timeless": count.timeless,
            "rules": list(about.rules),
            "messages": _share(count.whole),
            "versions": dict(count.by_version()),
            "ciphers": [
                {"version": one, "cipher": two, **_share(share)} for (one, two), share in _ordered(count.ciphers)
            ],
            "peers": [{"peer": peer, **_share(share)} for peer, share in _ordered(count.peers)],
            "days": [{"day": day, **_share(share)} for day, share in sorted(count.days.items())],
        },
        indent=2,
    )


def as_text(count: Count, about: About, language: str) -> str:
    """Return the numbers for a terminal."""
    said, whole = words(language), count.whole
    lines = [said["title"], "", f"{said['period']}: {_period(count)}", f"{said['source']}: {about.source}", ""]
    if not whole.messages:
        return "\n".join([*lines, said["nothing"], ""])
    lines += [
        f"{name}: {number}{_percent(number, whole.messages, language)}"
        for name, number in (
            (said["messages"], whole.messages),
            (f"  {said['encrypted']}", whole.encrypted),
            (f"  {said['secret']}", whole.forward_secrecy),
            (f"  {said['plain']}", whole.plain),
            (f"  {said['unseen']}", whole.unseen),
            (f"  {said['refused']}", whole.refused),
        )
    ]
    if count.timeless:
        lines.append(said["timeless"].format(count.timeless))
    lines += ["", said["by_version"]]
    for version, number in count.by_version():
        bar = "#" * max(1, round(_BAR * number / whole.messages))
        lines.append(f"  {said.get(version, version):34} {number:>9} {bar}")
    lines += ["", said["by_cipher"]]
    for (version, cipher), share in _rows(count.ciphers, said["others"]):
        lines.append(
            f"  {version:8} {cipher:34} {share.messages:>9}  {said['secret'] if share.forward_secrecy else ''}".rstrip()
        )
    lines += ["", said["by_peer"]]
    for (peer, _), share in _rows({(peer, ""): share for peer, share in count.peers.items()}, said["others"]):
        parts = [f"{share.messages:>9}"]
        parts += [
            f"{number} {said[name]}"
            for name, number in (
                ("encrypted", share.encrypted),
                ("plain", share.plain),
                ("unseen", share.unseen),
                ("refused", share.refused),
            )
            if number
        ]
        lines.append(f"  {peer:34} {', '.join(parts)}")
    lines += ["", said["rules"], *(f"  {rule}" for rule in about.rules or (said["no_rules"],)), ""]
    return "\n".join(lines)


def as_html(count: Count, about: About, language: str) -> str:
    """Return a page that stands by itself."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # the mail service never makes one

    environment = Environment(
        loader=PackageLoader("notes2conf_milter.tlsreport"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    said, whole = words(language), count.whole
    return environment.get_template("report.html").render(
        language=language,
        said=said,
        count=count,
        whole=whole,
        about=about,
        made=_shown(about.made),
        period=_period(count),
        timeless=said["timeless"].format(count.timeless) if count.timeless else "",
        percent=lambda number: _percent(number, whole.messages, language).strip(" ()"),
        versions=[(said.get(name, name), number) for name, number in count.by_version()],
        ciphers=_rows(count.ciphers, said["others"]),
        peers=_rows({(peer, ""): share for peer, share in count.peers.items()}, said["others"]),
        plot=_plot(count.days),
        plot_size=_PLOT,
    )


def _plot(days: Mapping[str, Share]) -> list[dict[str, object]]:
    """Return a bar for each day: what came by TLS, unseen and without it, one upon the other."""
    ordered = [(day, days.get(day, Share())) for day in _all_days(sorted(days))]
    most = max((share.messages for _, share in ordered), default=0)
    if not most:
        return []
    width, height = _PLOT
    step = width / max(len(ordered), 14)
    bars: list[dict[str, object]] = []
    for place, (day, share) in enumerate(ordered):
        floor = float(height)
        pieces = []
        for kind, number in (("tls", share.encrypted), ("unseen", share.unseen), ("plain", share.plain)):
            tall = height * number / most
            floor -= tall
            if number:
                pieces.append({"kind": kind, "y": round(floor, 2), "height": round(tall, 2), "number": number})
        label = day[5:] if len(ordered) <= 14 or place % -(-len(ordered) // 12) == 0 else ""
        bars.append(
            {"x": round(place * step, 2), "width": round(step * 0.8, 2), "day": day, "label": label, "pieces": pieces}
        )
    return bars


def _all_days(known: Sequence[str]) -> Sequence[str]:
    """Return each day from the first to the last, also those without mail; only the known ones of a log of many years."""
    if not known:
        return ()
    first, last = date.fromisoformat(known[0]), date.fromisoformat(known[-1])
    span = (last - first).days + 1
    return known if span > _MOST_DAYS else [(first + timedelta(days=number)).isoformat() for number in range(span)]


def _ordered(shares: Mapping[K, Share]) -> list[tuple[K, Share]]:
    return sorted(shares.items(), key=lambda one: (-one[1].messages, str(one[0])))


def _rows(shares: Mapping[tuple[str, str], Share], others: str) -> list[tuple[tuple[str, str], Share]]:
    """Return the largest first, and what is beyond LISTED as one."""
    ordered = _ordered(shares)
    rest = Share()
    for _, share in ordered[LISTED:]:
        rest.messages += share.messages
        rest.encrypted += share.encrypted
        rest.forward_secrecy += share.forward_secrecy
        rest.unseen += share.unseen
        rest.refused += share.refused
    more = [((f"{len(ordered) - LISTED} {others}", ""), rest)] if rest.messages else []
    return ordered[:LISTED] + more


def _share(share: Share) -> dict[str, int]:
    return {**asdict(share), "plain": share.plain}


def _percent(number: int, of: int, language: str) -> str:
    said = f"{100 * number / of:.1f}" if of else "0"
    return f" ({said.replace('.', ',') if language == 'de' else said} %)"


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _shown(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _period(count: Count) -> str:
    return "–" if count.first is None or count.last is None else f"{_shown(count.first)} – {_shown(count.last)}"


__all__: Sequence[str] = ("LANGUAGES", "About", "as_html", "as_json", "as_text")
