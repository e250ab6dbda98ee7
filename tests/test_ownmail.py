"""What the gateway itself writes: once, to one person each, and nothing that tells who it is about."""

import asyncio
import email
import email.policy
import logging
import re
from dataclasses import replace

import pytest

from notes2conf_milter.core.meeting import Occurrence, Page, Person, Revision
from notes2conf_milter.core.skips import Obstacle, Skipped
from notes2conf_milter.core.verdict import Outcome, Reason, Verdict
from notes2conf_milter.ownmail import HandOver, Links, OwnMail
from notes2conf_milter.smtp.reinject import Handed, Handover
from tests.core.test_skips import signed
from tests.house import INSIDE, House

PAGE = Page("Secret plan", Person("anna@example.org", "Anna"), (Occurrence(1_773_306_000, 1_773_309_600),))
LINKS = Links(PAGE, "j" * 32, "s" * 32)
MOVED = (Occurrence(1_773_219_600, 1_773_223_200), PAGE.times[0])


class Post:
    """Takes mails, and says what the test says."""

    def __init__(self, result: Handed = Handed.ACCEPTED, code: int | None = 250, language: str = "en") -> None:
        self.mails: list[tuple[bytes, bytes]] = []
        self.result, self.code = result, code
        self.now = 1_772_436_600
        take: HandOver = self.take  # type: ignore[assignment]
        self.own = OwnMail("https://conf.example.org", None, language, take, lambda: self.now)

    async def take(self, recipient: bytes, message: bytes) -> Handover:
        await asyncio.sleep(0)
        self.mails.append((recipient, message))
        return Handover(self.result, self.code)

    def ids(self) -> list[str]:
        return [str(email.message_from_bytes(message)["Message-ID"]) for _, message in self.mails]


def test_the_same_mail_has_the_same_message_id() -> None:
    """Each kind and each move its own; none of them tells a token."""
    post = Post()

    async def write() -> None:
        for moved, before in (((), 0), ((), 0), (MOVED, 9), (MOVED, 9), ((), 99), ((), 99)):
            await post.own.start(LINKS, moved, before, "de")
        for address in ("carla@int.example.org", "dora@int.example.org"):
            await post.own.join(LINKS, {Person(address): LINKS.join_token}, "de")
        revision = Revision(1, "20260302T080000")
        await post.own.cancelled(PAGE, LINKS.start_token, ["carla@int.example.org"], revision, "de")
        await post.own.accept(LINKS, "meet@conf.example.org", "uid-1", Revision(1, ""), None, "de")

    asyncio.run(write())
    ids = post.ids()
    assert ids[0] == ids[1] != ids[2] == ids[3] != ids[4] == ids[5]
    assert len(set(ids)) == 7
    assert all(re.fullmatch(r"<(start|join|cancelled|reply)\.[0-9a-f]{32}@example\.org>", one) for one in ids)


def test_a_mail_has_the_language_of_its_message() -> None:
    """Where we write that; else the setting's, and English where we do not write that either."""
    for setting, wished, written in (("en", "de", "de"), ("de", "fr", "de"), ("fr", "nl", "en"), ("de", "", "de")):
        post = Post(language=setting)

        async def write(own: OwnMail = post.own, wished: str = wished) -> None:
            await own.start(LINKS, (), False, wished)
            await own.join(LINKS, {Person("carla@int.example.org"): LINKS.join_token}, wished)
            await own.cancelled(PAGE, LINKS.start_token, ["carla@int.example.org"], Revision(1, ""), wished)
            own.skipped(replace(FOUND, language=wished))
            await own.finish()
            await own.accept(LINKS, "meet@conf.example.org", "uid-1", Revision(1, ""), None, wished)

        asyncio.run(write())
        languages = [email.message_from_bytes(mail)["Content-Language"] for _, mail in post.mails[:4]]
        assert languages == [written] * 4
        assert {"de": b"Videokonferenz", "en": b"Video conference"}[written] in post.mails[4][1]


def test_what_is_deferred_is_not_done() -> None:
    """What was refused for good is: trying again does not help. Whether nobody took it is told apart."""
    for result, code, done, gone in (
        (Handed.ACCEPTED, 250, {"carla@int.example.org"}, False),
        (Handed.REFUSED, 550, {"carla@int.example.org"}, False),
        (Handed.DEFERRED, 451, set(), False),
        (Handed.DEFERRED, None, set(), True),
    ):
        post = Post(result, code)
        found = asyncio.run(post.own.join(LINKS, {Person("Carla@int.example.org"): "j" * 32}, "en"))
        assert found == (frozenset(done), gone)


def test_no_person_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    post = Post(Handed.REFUSED, 550)
    with caplog.at_level(logging.DEBUG):
        asyncio.run(post.own.join(LINKS, {Person("carla@int.example.org"): "j" * 32}, "en"))
    assert "join mail: refused, reply code 550" in caplog.text
    assert "carla" not in caplog.text
    assert "j" * 32 not in caplog.text


def test_the_log_says_why_there_was_no_reply(caplog: pytest.LogCaptureFixture) -> None:
    """The invitation waits then: whoever looks for the reason finds it, TLS that cannot be had above all."""
    post = Post()

    async def gone(recipient: bytes, message: bytes) -> Handover:
        return Handover(Handed.DEFERRED, why="no TLS is to be had")

    post.own._hand_over = gone  # type: ignore[assignment]
    asyncio.run(post.own.join(LINKS, {Person("carla@int.example.org"): "j" * 32}, "en"))
    assert "join mail: deferred, no TLS is to be had" in caplog.text


FOUND = Skipped(Reason.SIGNED, Obstacle.SIGNED, "anna@example.org", "Secret plan", "0" * 32)


def test_a_skipped_invitation_is_told_of_once() -> None:
    """For each Message-ID; and no more at a time than can be written."""
    post = Post()

    async def write() -> None:
        for found in (FOUND, FOUND, replace(FOUND, mark="1" * 32)):
            post.own.skipped(found)
        await post.own.finish()
        post.own.skipped(FOUND)
        await post.own.finish()

    asyncio.run(write())
    assert [recipient for recipient, _ in post.mails] == [b"anna@example.org"] * 2
    flood = Post()

    async def many() -> None:
        for number in range(1000):
            flood.own.skipped(replace(FOUND, mark=f"{number:032}"))
        await flood.own.finish()

    asyncio.run(many())
    assert len(flood.mails) == 100


def test_on_the_whole_way_the_message_goes_on(house: House) -> None:
    """Whatever becomes of the mail; and by setting."""
    octets = b"Message-ID: <1@example.org>\r\n" + signed(b"SUMMARY:Secret plan")

    def process(tell: bool) -> Outcome:
        house.settings = replace(house.settings, policy=replace(house.settings.policy, tell_organizer=tell))

        async def run() -> Outcome:
            flow = house.flow()
            outcome = await flow.process(INSIDE, octets)
            await flow.finish()
            return outcome

        return asyncio.run(run())

    house.replies = [Handover(Handed.DEFERRED, 451)]
    assert process(True) == Outcome(Verdict.PASS, Reason.SIGNED)
    ((recipient, mail),) = house.mails
    assert recipient == b"anna@example.org"
    assert b"It is signed" in mail
    house.mails.clear()
    assert process(False) == Outcome(Verdict.PASS, Reason.SIGNED)
    assert house.mails == []


def test_mails_with_a_link_are_marked_and_no_others() -> None:
    """Start mail, join mail, the word about a series; not a cancellation, a reply or a reason."""
    post = Post()
    post.own = OwnMail("https://conf.example.org", None, "en", post.take, lambda: post.now, mark_links=True)  # type: ignore[arg-type]
    carla, revision = "carla@int.example.org", Revision(1, "20260302T080000")

    async def write() -> None:
        await post.own.start(LINKS, (), 0, "en")
        await post.own.join(LINKS, {Person(carla): LINKS.join_token}, "en")
        await post.own.fading(LINKS, 1_773_309_600)
        await post.own.cancelled(PAGE, LINKS.start_token, [carla], revision, "en")
        await post.own.accept(LINKS, "meet@conf.example.org", "uid-1", revision, None, "en")

    asyncio.run(write())
    links = [b"conf.example.org/" in message.replace(b"=\r\n", b"") for _, message in post.mails]
    marks = [message.startswith(b"X-Notes2conf-TLS: required\r\n") for _, message in post.mails]
    assert marks == links == [True, True, True, False, False]
