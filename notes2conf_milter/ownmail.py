"""What the gateway itself writes: start mails, join mails, iTIP REPLYs, and why there is no link.

In:  what the store knows of a meeting, and what a message said. Out: the mails, handed over one by one; what became of them.
Each mail goes to one person, from the null sender, so that nobody answers or bounces to a machine (RFC 3834 §3.3). Its
Message-ID tells nothing, and is the same whenever the same mail is sent again.
Fails: never; `Handed` says what became of a mail.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from notes2conf_milter.core.fadingmail import FadingMail, fading_mail
from notes2conf_milter.core.joinlink import join_url, start_url
from notes2conf_milter.core.joinmail import JoinMail, join_mail
from notes2conf_milter.core.letter import letter_language
from notes2conf_milter.core.meeting import Occurrence, Page, Person, Revision
from notes2conf_milter.core.onward import marked
from notes2conf_milter.core.reply import Reply, reply_message
from notes2conf_milter.core.skipmail import SkipMail, skip_mail
from notes2conf_milter.core.skips import Skipped
from notes2conf_milter.core.startmail import StartMail, start_mail
from notes2conf_milter.smtp.reinject import Handed, Handover

log = logging.getLogger("notes2conf.mail")

HandOver = Callable[[bytes, bytes], "asyncio.Future[Handover]"]
Sign = Callable[[bytes, int], Awaitable[bytes]]
AT_ONCE = 8  # mails of one message that are handed over at the same time
_REMEMBERED = 10_000  # skipped invitations
_MOST_WAITING = 100  # mails about skipped invitations; what is beyond is not written


@dataclass(frozen=True, slots=True)
class Links:
    """What a mail needs of a meeting: its page, and its tokens."""

    page: Page
    join_token: str
    start_token: str


class OwnMail:
    """Writes them. sender: From, None for no-reply@ the organizer's domain. language: where a message is in none
    that we write.

    hand_over: sends a mail (recipient, message). clock: seconds since 1970 UTC. grace: seconds that links outlive a meeting.
    sign: returns a mail signed (DKIM), given the time; None signs none. mark_links: mails with a link get the
    mark of core.onward.
    """

    def __init__(
        self,
        base_url: str,
        sender: str | None,
        language: str,
        hand_over: HandOver,
        clock: Callable[[], int],
        grace: int = 0,
        sign: Sign | None = None,
        *,
        mark_links: bool = False,
    ) -> None:
        self._sign = sign
        self._mark_links = mark_links
        self._base_url, self._sender, self._language = base_url, sender, language
        self._hand_over = hand_over
        self._clock = clock
        self._grace = grace
        self._skipped: OrderedDict[str, None] = OrderedDict()
        self._waiting: set[asyncio.Task[None]] = set()

    async def start(self, links: Links, moved: tuple[Occurrence, ...], before: int, language: str) -> Handed:
        """Send the organizer the start link. moved: as it was and as it is. before: when it was sent last, 0 for never; seconds
        since 1970 UTC."""
        page = links.page
        first = self._message_id("start", page, "start mail ", links.start_token)
        said = f"{first} after {before}"  # so each of them has its own, and the same at every try
        mail = StartMail(
            page,
            start_url(self._base_url, links.start_token),
            join_url(self._base_url, links.join_token),
            self._from(page.organizer.address),
            self._message_id("start", page, said) if before else first,
            self._clock(),
            letter_language(language, self._language),
            moved,
            first if before else "",
            self._grace,
        )
        return await self._send("start mail", page.organizer.address, self._linked(start_mail(mail)))

    async def fading(self, links: Links, end: int) -> Handed:
        """Tell the organizer of a series without an end until when it is kept, seconds since 1970 UTC."""
        page = links.page
        mail = FadingMail(
            page,
            end,
            start_url(self._base_url, links.start_token),
            self._from(page.organizer.address),
            self._message_id("fading", page, f"{links.start_token} kept until {end}"),
            self._clock(),
            letter_language(self._language),
            self._message_id("start", page, "start mail ", links.start_token),
        )
        octets = self._linked(fading_mail(mail))
        return await self._send("mail about a series without an end", page.organizer.address, octets)

    async def join(self, links: Links, tokens: dict[Person, str], language: str) -> tuple[frozenset[str], bool]:
        """Send a few attendees their join links. Return who needs no further try (lower case), and whether nobody took them."""
        page = links.page
        mails = [
            JoinMail(
                page,
                one,
                join_url(self._base_url, token),
                self._from(page.organizer.address),
                self._message_id("join", page, links.start_token, one.address.lower()),
                self._clock(),
                letter_language(language, self._language),
                self._grace,
            )
            for one, token in tokens.items()
        ]
        return await self._send_all("join mail", mails)

    async def cancelled(
        self, page: Page, start_token: str, told: Iterable[str], revision: Revision, language: str
    ) -> bool:
        """Tell a few who were sent join links that the conference is off for them; say whether nobody took the mails.

        told: addresses.
        """
        said = f"{start_token} cancelled {revision.sequence} {revision.dtstamp}"
        mails = [
            JoinMail(
                page,
                Person(address),
                None,
                self._from(page.organizer.address),
                self._message_id("cancelled", page, said, address),
                self._clock(),
                letter_language(language, self._language),
            )
            for address in told
        ]
        return (await self._send_all("cancellation", mails))[1]

    async def _send_all(self, what: str, mails: list[JoinMail]) -> tuple[frozenset[str], bool]:
        octets = [join_mail(mail) if mail.join_url is None else self._linked(join_mail(mail)) for mail in mails]
        results = await asyncio.gather(
            *(self._hand(what, mail.attendee.address, one) for mail, one in zip(mails, octets, strict=True)),
            return_exceptions=True,
        )
        addresses = [mail.attendee.address.lower() for mail in mails]
        for result in results:
            if isinstance(result, BaseException):
                raise result
        handed = [(at, one) for at, one in zip(addresses, results, strict=True) if isinstance(one, Handover)]
        done = frozenset(address for address, one in handed if one.result is not Handed.DEFERRED)
        return done, any(one.result is Handed.DEFERRED and one.code is None for _, one in handed)

    async def accept(
        self, links: Links, attendee: str, uid: str, revision: Revision, date: tuple[int, bool] | None, language: str
    ) -> bool:
        """Send the organizer a REPLY in the name of a conference address; say whether nobody took it.

        date: the one that was invited to, as the series has it, and whether that is a whole day; None for the whole.
        """
        organizer = links.page.organizer.address
        start, whole_day = date or (None, False)
        said = f"{links.start_token} reply {revision.sequence} {revision.dtstamp} {start}"
        reply = Reply(
            uid,
            organizer,
            revision.sequence,
            start,
            whole_day,
            attendee,
            self._message_id("reply", links.page, said, attendee),
            self._clock(),
            letter_language(language, self._language),
        )
        handover = await self._hand("reply", organizer, reply_message(reply))
        return handover.result is Handed.DEFERRED and handover.code is None

    def skipped(self, found: Skipped) -> None:
        """Tell the organizer why an invitation got no link, once for each Message-ID; in the background, for it may fail."""
        if found.mark in self._skipped or len(self._waiting) >= _MOST_WAITING:
            return
        self._skipped[found.mark] = None
        if len(self._skipped) > _REMEMBERED:
            self._skipped.popitem(last=False)
        domain = found.organizer.rpartition("@")[2]
        mail = SkipMail(
            found.obstacle,
            found.organizer,
            found.subject,
            self._from(found.organizer),
            f"<skipped.{found.mark}@{domain}>",
            self._clock(),
            letter_language(found.language, self._language),
        )

        async def send() -> None:
            await self._send("mail about a skipped invitation", mail.organizer, skip_mail(mail))

        task = asyncio.get_running_loop().create_task(send())
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def finish(self) -> None:
        """Wait for what is under way in the background."""
        if self._waiting:
            await asyncio.wait(set(self._waiting))

    async def _send(self, what: str, recipient: str, message: bytes) -> Handed:
        return (await self._hand(what, recipient, message)).result

    async def _hand(self, what: str, recipient: str, message: bytes) -> Handover:
        if self._sign is not None:
            message = await self._sign(message, self._clock())
        handover = await self._hand_over(recipient.encode(), message)
        if handover.result is not Handed.ACCEPTED:
            why = handover.why or f"reply code {handover.code or 'none'}"
            log.warning("%s: %s, %s", what, handover.result.value, why)
        return handover

    def _linked(self, message: bytes) -> bytes:
        return marked(message) if self._mark_links else message

    def _from(self, organizer: str) -> str:
        return self._sender or f"no-reply@{organizer.rpartition('@')[2]}"

    def _message_id(self, kind: str, page: Page, *said: str) -> str:
        mark = hashlib.sha256("".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"<{kind}.{mark}@{page.organizer.address.rpartition('@')[2]}>"
