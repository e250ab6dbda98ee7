"""The function both doors share: an invitation and its join link in, edits out.

In:  the message, its invitation, the link, the wording (and those of other languages, to be replaced); the keyword where one
     is to be taken out again; repairs, if any.
Out: the edits (core.edits); none when the message already is as it should be.
Every edit is a splice of octets: what is not spliced is not touched (law 2).
Fails: never by itself; `selfcheck` looks at the result with other eyes.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from notes2conf_milter.core.bodies import Body, bodies
from notes2conf_milter.core.charset import Charset, charset_of
from notes2conf_milter.core.contentlines import Component, ContentLine, Physical, escape, fold, line_end
from notes2conf_milter.core.edits import ChangeHeader, Changes, Edit
from notes2conf_milter.core.insertion import Block, Link, corrections, html_changes, location_changes, plain_changes
from notes2conf_milter.core.invitation import Copy, Invitation
from notes2conf_milter.core.joinlink import join_url, own_join_link
from notes2conf_milter.core.keyword import cuts, folds_whole, without_keyword
from notes2conf_milter.core.meant import Meant
from notes2conf_milter.core.mending import Mending
from notes2conf_milter.core.message import Part, eol_of, header_fields
from notes2conf_milter.core.transfer import Splice, encode, splice
from notes2conf_milter.core.wording import FENCE, HTML_CLOSE, HTML_OPEN, Wording, html_block, html_lines, plain_block

_FOLD_AT = 75  # RFC 5545 §3.1
_ESCAPED_EOL = b"\\n"  # RFC 5545 §3.3.11
_BARE_LF = re.compile(rb"(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class Job:
    """What to put in, and what to take out. keyword: the pattern of core.keyword, or None.

    others: wordings of other languages, whose blocks are replaced.
    """

    base_url: str
    token: str
    wording: Wording
    keyword: re.Pattern[bytes] | None = None
    others: tuple[Wording, ...] = ()

    @property
    def url(self) -> str:
        """The join link."""
        return join_url(self.base_url, self.token)

    def link(self) -> Link:
        """Return the link as core.insertion wants it."""
        return Link(self.url.encode("ascii"), self.token.encode("ascii"), own_join_link(self.base_url))

    def plain(self, written: Callable[[str], bytes], eol: bytes) -> Block:
        """Return the block for plain text. written: how a text is written there."""
        text, *others = (written(plain_block(one, self.url)) for one in self._wordings())
        return Block(text, FENCE.encode(), FENCE.encode(), eol, tuple(others))

    def html(self, written: Callable[[Wording], bytes], eol: bytes) -> Block:
        """Return the block for HTML. written: how that of a wording is written there."""
        text, *others = map(written, self._wordings())
        return Block(text, HTML_OPEN.encode(), HTML_CLOSE.encode(), eol, tuple(others))

    def _wordings(self) -> Iterator[Wording]:
        yield self.wording
        yield from self.others


def rewrite(message: bytes, invitation: Invitation, job: Job) -> tuple[Edit, ...]:
    """Return the edits that give `message` the join link everywhere, and take the keyword out."""
    return changes(message, invitation, job).edits(message)


def changes(message: bytes, invitation: Invitation, job: Job, mending: Mending | None = None) -> Changes:
    """Return the same as changes: splices of the message, and header fields. mending: what is repaired besides."""
    mending = mending or Mending(invitation)
    found = list(mending.splices)
    for copy in invitation.copies:
        texts = _texts(job, copy.charset)
        mended = mending.calendars.get(copy.part.header.body_start, ())
        inserted = [one for event in copy.events for one in _event(copy, event, job, texts)]
        found += _in_message(message, copy.part, [*mended, *inserted])
    for body in bodies(message, mending.invitation):  # where the calendar is unwrapped, more texts are shown
        found += _in_message(message, body.part, _body(body, job, eol_of(message)))
    fields = (*mending.fields, *_subject(message, invitation, job))
    return Changes(tuple(found), header_fields(message).body_start, fields, mending.repairs)


def _body(body: Body, job: Job, eol: bytes) -> list[Splice]:
    """Return the splices of a body's decoded octets. eol: the message's line end, for a body without any."""
    eol = eol_of(body.octets) if b"\n" in body.octets else eol
    if body.part.media_type == b"text/html":
        block = job.html(lambda wording: _html_lines(wording, job.url, eol), eol)
        return _with_cuts(body.octets, job, partial(html_changes, block=block, link=job.link()))
    block = job.plain(lambda text: body.charset.encode(text).replace(b"\n", eol), eol)
    return _with_cuts(body.octets, job, partial(plain_changes, block=block, link=job.link()))


def _html_lines(wording: Wording, url: str, eol: bytes) -> bytes:
    """Return the HTML block for a body, in lines of its own."""
    return html_lines(wording, url).encode("ascii").replace(b"\n", eol)


def _in_message(message: bytes, part: Part, changes: list[Splice]) -> list[Splice]:
    """Return splices of the message for splices of a part's decoded octets."""
    if not changes:
        return []
    start = part.header.body_start
    encoded = encode(message[start : part.body_end], part.encoding, changes)
    if eol_of(message) == b"\r\n":  # then no bare LF is of our making, whatever ends the lines of the part
        encoded = [Splice(one.start, one.end, _BARE_LF.sub(b"\r\n", one.text)) for one in encoded]
    return [Splice(start + change.start, start + change.end, change.text) for change in encoded]


def _with_cuts(text: bytes, job: Job, insert: Callable[[bytes], list[Splice]]) -> list[Splice]:
    """Return the splices of `insert` and those that take the keyword out, where the two do not meet."""
    inserted = insert(text)
    if job.keyword is None:
        return inserted
    taken = [
        cut
        for cut in cuts(text, job.keyword)
        if not any(cut.start < one.end and one.start < cut.end for one in inserted)
    ]
    return [*inserted, *taken]


# --- calendar ---


@dataclass(frozen=True, slots=True)
class _Texts:
    """The blocks as they stand in values of one calendar; made once, for a series may have many instances."""

    plain: Block
    rich: Block


def _texts(job: Job, charset: Charset) -> _Texts:
    plain = job.plain(lambda text: _escaped(text, charset), _ESCAPED_EOL)
    return _Texts(plain, job.html(lambda wording: escape(html_block(wording, job.url)).encode("ascii"), b""))


def _escaped(text: str, charset: Charset) -> bytes:
    """Return a TEXT value. Spelled before it is escaped: a wide `；` that does not fit becomes a semicolon."""
    return charset.encode(escape(charset.fitting(text)))


def _event(copy: Copy, event: Component, job: Job, texts: _Texts) -> list[Splice]:
    """Return the splices of a calendar's octets that give one event its link."""
    changes: list[Splice] = []
    new: list[bytes] = []
    charset, link = copy.charset, job.link()
    location, description = event.first(b"LOCATION"), event.first(b"DESCRIPTION")
    if location is None and not _unread(copy, event, b"LOCATION"):
        new.append(b"LOCATION:" + link.url)
    elif location is not None and _is_text(location):
        changes += _in_value(copy, location, job, lambda value: _location(value, job, link))
    block = texts.plain
    if description is None and not _unread(copy, event, b"DESCRIPTION"):
        new.append(b"DESCRIPTION:" + block.text)
    elif description is not None and _is_text(description):
        changes += _in_value(copy, description, job, lambda value: plain_changes(value, block, link))
    for line in (*event.all(b"LOCATION")[1:], *event.all(b"DESCRIPTION")[1:], *event.all(b"CONFERENCE")):
        changes += _corrected(copy, line, link)
    if not any(link.own.search(line.value) for line in event.all(b"CONFERENCE")):  # a telephone number may stand beside
        new.append(_conference_line(job, charset))
    changes += _rich(copy, event, job, texts)
    if job.keyword is not None:
        for line in filter(_is_text, event.all(b"SUMMARY")):
            changes += _in_value(copy, line, job, lambda value: [])
    return [*changes, *_new_lines(copy, event, new)]


def _is_text(line: ContentLine) -> bool:
    """Say whether a value is TEXT that stands there as it is: no URI, and neither base64 nor quoted-printable.

    RFC 5545 §3.2.7, §3.2.20. vCalendar 1.0 §2.1.5 has ENCODING for any property.
    """
    params = line.params()
    return params.get(b"VALUE", b"TEXT").upper() == b"TEXT" and params.get(b"ENCODING", b"8BIT").upper() == b"8BIT"


def _unread(copy: Copy, event: Component, name: bytes) -> bool:
    """Say whether a property is there in a form that is no content line (vCalendar 1.0: `LOCATION;QUOTED-PRINTABLE:…`)."""
    starts = (event.begin.next, *(inside.end.next for inside in event.components))
    ends = (*(inside.begin.start for inside in event.components), event.end.start)
    line = re.compile(rb"^" + name + rb"[;:]", re.IGNORECASE | re.MULTILINE)
    return any(line.search(copy.octets[a:b]) for a, b in zip(starts, ends, strict=True))


def _location(value: bytes, job: Job, link: Link) -> list[Splice]:
    """Like insertion.location_changes, for a value from which the keyword goes: a keyword alone is no room."""
    room = splice(value, cuts(value, job.keyword)) if job.keyword is not None else value
    changes = location_changes(value, b"\\; ", link)
    if not room.strip() and changes and changes[-1].start == changes[-1].end == len(value):
        return [*changes[:-1], Splice(len(value), len(value), link.url)]
    return changes


def _conference_line(job: Job, charset: Charset) -> bytes:
    """Return the whole property, unfolded (RFC 7986 §5.11)."""
    title = charset.encode(job.wording.title)
    return b"CONFERENCE;VALUE=URI;FEATURE=AUDIO,VIDEO;LABEL=" + title + b":" + job.url.encode("ascii")


def _corrected(copy: Copy, line: ContentLine, link: Link) -> list[Splice]:
    """Return the splices that let every link of ours in a property lead to this meeting."""
    return _raw(copy, line, corrections(line.value, link)[0])


def _rich(copy: Copy, event: Component, job: Job, texts: _Texts) -> list[Splice]:
    """Return the splices for X-ALT-DESC (Outlook) and STYLED-DESCRIPTION (RFC 9073 §6.5)."""
    changes: list[Splice] = []
    link = job.link()
    for line in (*event.all(b"X-ALT-DESC"), *event.all(b"STYLED-DESCRIPTION")):
        params = line.params()
        if not _is_text(line) or not line.value.strip():
            continue  # a URI or binary has no place for text
        if params.get(b"FMTTYPE", b"text/html").lower() == b"text/html":
            changes += _in_value(copy, line, job, lambda value: html_changes(value, texts.rich, link))
        elif params[b"FMTTYPE"].lower() == b"text/plain":
            changes += _in_value(copy, line, job, lambda value: plain_changes(value, texts.plain, link))
    return changes


def _in_value(copy: Copy, line: ContentLine, job: Job, insert: Callable[[bytes], list[Splice]]) -> list[Splice]:
    value = line.value
    changes = _with_cuts(value, job, insert)
    if value.endswith(b"\\") and _ends_in_escape(copy.charset.decode(value)):
        # A lone backslash at the end would take away the first octet of what is put behind it.
        end = len(value)
        changes = [
            Splice(end, end, b"\\" + one.text) if one.text and one.start == one.end == end else one for one in changes
        ]
    return _raw(copy, line, changes)


def _ends_in_escape(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _raw(copy: Copy, line: ContentLine, changes: list[Splice]) -> list[Splice]:
    """Return splices of the calendar's octets for those of an unfolded value, folded anew where they grow (RFC 5545 §3.1)."""
    if not changes:
        return []
    physical, first = Physical(copy.octets, line), line.colon + 1
    eol = line_end(copy.octets, line)
    found = []
    for change in changes:
        start, column, rest = physical.place(first + change.start)
        end = start
        if change.end > change.start:
            end, _, rest = physical.place(first + change.end)
        text = fold(change.text, at=column, eol=eol, charset=copy.charset.codec)
        last = len(text) - (text.rfind(b"\n") + 1) + (column if b"\n" not in text else 0)
        if text and rest > 0 and last + rest > _FOLD_AT:
            text += eol + b" "
        found.append(Splice(start, end, text))
    return found


def _new_lines(copy: Copy, event: Component, new: list[bytes]) -> list[Splice]:
    """Return the splice that adds properties to an event: behind its own, before the components inside (RFC 5545 §3.6.1)."""
    if not new:
        return []
    at = event.components[0].begin.start if event.components else event.end.start
    eol = line_end(copy.octets, event.begin)
    text = b"".join(fold(line, at=0, eol=eol, charset=copy.charset.codec) + eol for line in new)
    return [Splice(at, at, text)]


# --- header ---


def _subject(message: bytes, invitation: Invitation, job: Job) -> tuple[ChangeHeader, ...]:
    """Return the edit that takes the keyword out of the Subject."""
    if job.keyword is None:
        return ()
    edits: list[ChangeHeader] = []
    subjects = [field for field in invitation.root.header.fields if field.name.lower() == b"subject"]
    for index, field in enumerate(subjects, 1):
        value = without_keyword(message[field.value_start : field.value_end], job.keyword)
        if value is not None and folds_whole(value):
            edits.append(ChangeHeader(field.name, index, value))
    return tuple(edits)


# --- what the self-check is told ---


def _codecs(root: Part) -> set[str]:
    """Return the codecs of the message's text parts."""
    declared = {part.parameters.get(b"charset", b"") for part in root.walk() if part.media_type.startswith(b"text/")}
    charsets = [charset_of(name, b"", b"8bit", "utf-8") for name in declared]
    return {charset.codec for charset in charsets if charset is not None} | {"utf-8"}


def meant(invitation: Invitation, job: Job, mending: Mending | None = None) -> Meant:
    """Return what `changes` may have put into a message, for core.selfcheck."""
    link = job.link()
    insertions: list[bytes] = []
    lines: list[bytes] = []
    plain, rich = plain_block(job.wording, job.url), html_block(job.wording, job.url)
    for ascii_text in (False, True):
        for codec in sorted({copy.charset.codec for copy in invitation.copies} | _codecs(invitation.root)):
            charset = Charset(codec, ascii_text)
            for eol in ("\n", "\r\n"):
                insertions.append(charset.encode(plain.replace("\n", eol)))
            insertions.append(_escaped(plain, charset))
            lines.append(b"DESCRIPTION:" + _escaped(plain, charset))
            lines.append(_conference_line(job, charset))
    insertions += [_html_lines(job.wording, job.url, eol) for eol in (b"\n", b"\r\n")]
    insertions += [escape(rich).encode("ascii"), b"\\; " + link.url, link.url]
    lines.append(b"LOCATION:" + link.url)
    return Meant(
        invitation.uid,
        tuple(dict.fromkeys(insertions)),
        tuple(dict.fromkeys(lines)),
        link.own,
        job.keyword,
        unwraps=mending is not None and mending.unwraps,
        rule=None if mending is None else mending.rule,
    )
