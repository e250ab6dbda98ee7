"""The paths of the site and what each answers: visits, lobby and pages, put into HTTP.

    GET  /j/TOKEN               the join page              GET  /s/TOKEN         the start page
    POST /j/TOKEN               wait                       POST /s/TOKEN         open, pause, end …
    GET  /j/TOKEN/GUEST         a guest who waits          GET  /s/TOKEN/PASS    leads the organizer to the conference
    POST /j/TOKEN/GUEST         leave                      GET  /s/TOKEN/events  who waits, as it changes
    GET  /j/TOKEN/GUEST/events  how it stands, as it changes
    GET  /j/TOKEN/meeting.ics   the date                   GET  /s/TOKEN/code.svg   the link as a QR code
    GET  /j/TOKEN/code.svg      the link as a QR code      GET  /privacy         the privacy notice
    GET  /static/…              named by their content     GET  /healthz, /robots.txt
    GET  /c/HINT                a service says that a conference has ended: it is asked, later

In:  requests. Out: answers; none quotes a token or an exception, but for the addresses of our own pages.
Fails: a link that is unknown, over or malformed is one and the same 404; a store that cannot answer now is 503; anything
unforeseen 500.

GET lists nobody and leads nowhere: a page names the conference only to a guest or a pass that a POST made (law 7).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.core.waitingroom import State, View, ending
from notes2conf_milter.services.service import Visitor, Why
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web.calendar import calendar_file
from notes2conf_milter.web.forms import Form, blank_form, is_from_page, read_form
from notes2conf_milter.web.hints import Hints
from notes2conf_milter.web.limits import SECONDS, Misses, Shares
from notes2conf_milter.web.lobby import MAX_ALL, Guest, Hall, Lobby
from notes2conf_milter.web.pages import Pages, code
from notes2conf_milter.web.stream import EventStream, News
from notes2conf_milter.web.texts import TEXTS, Notice, choose_language, why_not
from notes2conf_milter.web.visits import (
    GUEST_KINDS,
    HOST_KINDS,
    Acted,
    Outcome,
    Shown,
    Threads,
    Visits,
    chosen_admission,
)

BODY_LIMIT = 8192  # octets; a pasted link may have 2,000 characters, each three octets long
RETRY_SECONDS = "30"
LIST_PAUSE = 0.7  # seconds between two lists of guests
PASS_SECONDS = 600
MOST_SAID = 32  # texts for guests of one meeting that are kept for each other
_NAME_LENGTH = 60
_HTML = "text/html; charset=utf-8"
_KEPT = "public, max-age=31536000, immutable"
_ON = (State.OPEN, State.PAUSED)
_FOREIGN = ("cross-site", "same-site")


class Site:
    """The handlers. ask: calls the store in its thread: a slow disk holds up nobody else. clock: seconds since 1970 UTC."""

    def __init__(
        self,
        visits: Visits,
        lobby: Lobby,
        pages: Pages,
        static: Mapping[str, tuple[bytes, str]],
        ask: Threads,
        clock: Callable[[], int],
        draw: Callable[[], str],
        base_url: str,
        language: str,
        hands_on_names: bool = False,
        misses: Misses | None = None,
        streams: Shares | None = None,
    ) -> None:
        self._visits, self._lobby, self._pages, self._static = visits, lobby, pages, static
        self._ask, self._clock, self._draw = ask, clock, draw
        self._base_url, self._language, self._hands_on_names = base_url, language, hands_on_names
        self._misses, self._streams = misses or Misses(), streams or Shares(MAX_ALL)
        self._passes: dict[str, tuple[str, int]] = {}
        self._hints = Hints(visits, ask, self._tell, clock, draw)
        self._making: dict[tuple[str, str], asyncio.Future[bytes | None]] = {}
        self.stopping = False

    def stop(self) -> None:
        """End all streams of events: the pages come back, to another process."""
        self.stopping = True
        self._hints.close()
        for hall in self._lobby.halls.values():
            hall.wake()

    def routes(self) -> list[Route]:
        """Return every path that there is."""
        return [
            Route("/j/{token}", self.join, methods=["GET", "POST"]),
            Route("/j/{token}/meeting.ics", self.calendar, methods=["GET"]),
            Route("/j/{token}/code.svg", partial(self.code, "j", GUEST_KINDS), methods=["GET"]),
            Route("/s/{token}/code.svg", partial(self.code, "s", HOST_KINDS), methods=["GET"]),
            Route("/j/{token}/{guest}", self.wait, methods=["GET", "POST"]),
            Route("/j/{token}/{guest}/events", _Streams(self.guest_events), methods=["GET"]),
            Route("/s/{token}", self.start, methods=["GET", "POST"]),
            Route("/s/{token}/events", _Streams(self.host_events), methods=["GET"]),
            Route("/s/{token}/{ticket}", self.enter, methods=["GET"]),
            Route("/c/{hint}", self.ended, methods=["GET"]),
            Route("/privacy", self.privacy, methods=["GET"]),
            Route("/static/{name}", self.static_file, methods=["GET"]),
            Route("/robots.txt", _robots, methods=["GET"]),
            Route("/healthz", _healthz, methods=["GET"]),
        ]

    # --- guests ---

    async def join(self, request: Request) -> Response:
        """Answer GET and POST /j/TOKEN: show the meeting; let somebody wait."""
        language = self._wish(request)
        form = await self._posted(request)
        if isinstance(form, Response):
            return form
        if form is None:
            if not self._allowed(request):
                return self._too_many(request)
            octets = await self._join_page(request.path_params["token"], language)
            self._tried(request, valid=octets is not None)
            return self._notice(request, Notice.GONE) if octets is None else _page(octets)
        shown = await self._look_up(request, GUEST_KINDS)
        if isinstance(shown, Response):
            return shown
        if not is_from_page(shown.token, form):
            return self._notice(request, Notice.REFUSED)
        network = self._network(request)
        if self._lobby.crowded(network):
            return self._notice(request, Notice.CROWDED, {"Retry-After": RETRY_SECONDS})
        guest = self._lobby.wait(shown.token, shown.meeting, _name(form.name), language, network)
        if guest is None:
            return self._notice(request, Notice.FULL, {"Retry-After": RETRY_SECONDS})
        return _see_other(f"{shown.token}/{guest.id}")  # relative to /j/: right behind any proxy

    async def _join_page(self, token: str, language: str) -> bytes | None:
        """Return the join page; who asks for it while it is being made gets the same one. Nothing of it is kept.

        When a meeting begins its guests come all at once, by one link.
        """
        key = token, language
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.ensure_future(self._make_join_page(token, language))
            making.add_done_callback(lambda _: self._making.pop(key))
        return await asyncio.shield(making)

    async def _make_join_page(self, token: str, language: str) -> bytes | None:
        shown = await self._ask(partial(self._visits.show, token, GUEST_KINDS))
        if shown is None:
            return None
        blank = blank_form(shown.token, shown.view.occurrence.start)
        return self._pages.join(shown, blank, self._lobby.admission(shown.view), language)

    async def wait(self, request: Request) -> Response:
        """Answer GET and POST /j/TOKEN/GUEST: what a guest sees who waits; leave."""
        form = await self._posted(request)
        if isinstance(form, Response):
            return form
        token = request.path_params["token"].lower()
        found = self._lobby.find(token, request.path_params["guest"])
        if found is None:  # forgotten, by a restart say: the join page says how it stands
            shown = await self._look_up(request, GUEST_KINDS)
            return shown if isinstance(shown, Response) else _see_other(f"../{token}")
        hall, guest = found
        if form is not None:
            if not is_from_page(token, form):
                return self._notice(request, Notice.REFUSED)
            self._lobby.leave(hall, guest)
            return _see_other(f"../{token}")
        guest.seen = self._clock()
        view = hall.shown(guest.seen)
        if view is None or hall.meeting is None or guest.gone:
            return _page(self._pages.over(guest.language))
        shown = Shown(token, hall.meeting, view, last=False)
        url = self._guests_way(hall, guest)
        status = self._pages.status(view, guest, url, guest.language)
        blank = blank_form(token, view.occurrence.start)
        return _page(self._pages.wait(shown, blank, guest, status, url, guest.language))

    async def guest_events(self, request: Request) -> ASGIApp:
        """Answer GET /j/TOKEN/GUEST/events.

        Where the guest's network has all the streams that it may have, it says once how it stands: the page asks again.
        """
        found = self._lobby.find(request.path_params["token"].lower(), request.path_params["guest"])
        if found is None:
            return self._notice(request, Notice.GONE)
        hall, guest = found
        network = self._network(request)
        lasting = self._streams.take(network)
        guest.streams += 1
        at_first = _facts(hall, self._clock())

        def news() -> News:
            now = self._clock()
            view = hall.shown(now)
            if self.stopping:
                return News("", "again", last=True)
            if view is None or guest.gone:
                return News(self._pages.status(None, guest, "", guest.language), "over", last=True)
            if _facts(hall, now) != at_first:
                return News("", "again", last=True)
            return _news(self._status(hall, guest, view), lasting)

        def done() -> None:
            if lasting:
                self._streams.give_back(network)
            guest.streams -= 1
            guest.seen = self._clock()
            hall.stir()

        return EventStream(news, hall.telling, done)

    async def calendar(self, request: Request) -> Response:
        """Answer GET /j/TOKEN/meeting.ics."""
        shown = await self._look_up(request, GUEST_KINDS)
        if isinstance(shown, Response):
            return shown
        if not shown.view.dated:
            return self._notice(request, Notice.GONE)
        octets = calendar_file(shown, f"{self._base_url}/j/{shown.token}", self._clock())
        headers = {"Content-Disposition": 'attachment; filename="meeting.ics"'}
        return Response(octets, media_type="text/calendar; charset=utf-8; method=PUBLISH", headers=headers)

    async def code(self, kind: str, kinds: tuple[LinkKind, ...], request: Request) -> Response:
        """Answer GET /j/TOKEN/code.svg and /s/TOKEN/code.svg: the link as a picture for a camera."""
        shown = await self._look_up(request, kinds)
        if isinstance(shown, Response):
            return shown
        return Response(code(f"{self._base_url}/{kind}/{shown.token}"), media_type="image/svg+xml")

    def _status(self, hall: Hall, guest: Guest, view: View) -> str:
        url = self._guests_way(hall, guest)
        key = view.state, url, guest.turned_away == view.occurrence.start, guest.language
        text = hall.said.get(key)
        if text is None:
            if len(hall.said) >= MOST_SAID:  # a service that gives each guest a way of its own
                hall.said.clear()
            text = hall.said[key] = self._pages.status(view, guest, url, guest.language)
        return text

    def _guests_way(self, hall: Hall, guest: Guest) -> str:
        view = hall.shown(self._clock())
        if view is None or not self._lobby.admitted(hall, guest):
            return ""
        name = (guest.label or guest.name) if self._hands_on_names else ""
        return self._visits.way_in(view.room, Visitor(False, guest.language, name))

    # --- the organizer ---

    async def start(self, request: Request) -> Response:
        """Answer GET and POST /s/TOKEN: show how it stands; do what a button says."""
        form = await self._posted(request)
        if isinstance(form, Response):
            return form
        if form is not None:
            return await self._act(request, form)
        shown = await self._look_up(request, HOST_KINDS)
        if isinstance(shown, Response):
            return shown
        return _page(self._start_page(shown, self._wish(request)))

    async def _act(self, request: Request, form: Form) -> Response:
        token, language = request.path_params["token"].lower(), self._wish(request)
        if form.admit or form.away or form.do == "enter":
            return await self._act_here(request, token, form)
        if not self._allowed(request):
            return self._too_many(request)
        acted = await self._visits.act(token, form, language, self._ask, partial(self._ended_url, token))
        self._tried(request, valid=acted.result is not Outcome.GONE)
        self._tell(acted)
        await self._visits.leave(acted)
        match acted.result:
            case Outcome.GONE:
                return self._notice(request, Notice.GONE)
            case Outcome.REFUSED:
                return self._notice(request, Notice.REFUSED)
            case Outcome.CONFIRM if acted.shown is not None:
                blank = blank_form(token, acted.shown.view.occurrence.start)
                return _page(self._pages.confirm(acted.shown, blank, language))
            case Outcome.DELETED:
                return _page(self._pages.ended(language))
            case Outcome.DONE:  # without a page: ended, and nothing else is known to come
                return _page(self._pages.over(language)) if acted.shown is None else _see_other(token)
        if acted.shown is None:
            return self._notice(request, Notice.GONE)
        why = why_not(acted.result.value, language) if isinstance(acted.result, Why) else TEXTS[language].failed
        return _page(self._start_page(acted.shown, language, why, form), 422)

    def _tell(self, acted: Acted) -> None:
        """Tell the open pages: our own writing is no news to the store's connection."""
        hall = self._lobby.halls.get(acted.meeting)
        if hall is not None:
            hall.update(None if acted.shown is None else acted.shown.meeting)

    def _ended_url(self, token: str) -> str:
        """Return what a service may call when the conference of a start link has ended there."""
        return f"{self._base_url}/c/{self._hints.id_of(token)}"

    async def _act_here(self, request: Request, token: str, form: Form) -> Response:
        """Do what concerns nobody but this process: let guests in, turn them away, lead the organizer in."""
        shown = await self._look_up(request, HOST_KINDS)
        if isinstance(shown, Response):
            return shown
        if not is_from_page(token, form):
            return self._notice(request, Notice.REFUSED)
        start = shown.view.occurrence.start
        if form.do == "enter":
            await self._visits.revive(shown, self._wish(request), partial(self._ended_url, token))
            ticket, now = self._draw(), self._clock()
            self._passes = {one: kept for one, kept in self._passes.items() if kept[1] > now}
            self._passes[ticket] = token, now + PASS_SECONDS
            return _see_other(f"{token}/{ticket}")
        hall = self._lobby.hall(token, shown.meeting)
        if str(start) == form.occurrence:
            if form.away:
                hall.turn_away([form.away], start)
            else:
                ids = [one.id for one in hall.waiting(self._clock())] if form.admit == "all" else [form.admit]
                hall.let_in(ids, start)
            hall.wake()
        return _see_other(token)

    async def enter(self, request: Request) -> Response:
        """Answer GET /s/TOKEN/PASS: lead the organizer to the conference, who has just pressed the button."""
        token = request.path_params["token"].lower()
        kept = self._passes.get(request.path_params["ticket"])
        shown = await self._look_up(request, HOST_KINDS)
        if isinstance(shown, Response):
            return shown
        if kept is None or kept[0] != token or kept[1] <= self._clock() or shown.view.state not in _ON:
            return _see_other(f"../{token}")
        language, organizer = self._wish(request), shown.meeting.page.organizer
        name = (organizer.name or organizer.address) if self._hands_on_names else ""
        return _page(
            self._pages.handing_over(
                shown, self._visits.way_in(shown.view.room, Visitor(True, language, name)), language
            )
        )

    async def host_events(self, request: Request) -> ASGIApp:
        """Answer GET /s/TOKEN/events."""
        shown = await self._look_up(request, HOST_KINDS)
        if isinstance(shown, Response):
            return shown
        language = self._wish(request)
        hall = self._lobby.hall(shown.token, shown.meeting)
        now = self._clock()
        at_first = _facts(hall, now), shown.view.state, shown.view.room, ending(shown.view, now)
        network = self._network(request)
        lasting = self._streams.take(network, 2 * self._streams.most)  # guests do not take the organizer's place

        def news() -> News:
            now = self._clock()
            view = hall.shown(now)
            if view is None or hall.meeting is None or self.stopping:
                return News("", "again", last=True)
            if (_facts(hall, now), view.state, view.room, ending(view, now)) != at_first:
                return News("", "again", last=True)
            return _news(self._list(Shown(shown.token, hall.meeting, view, last=False), hall, language), lasting)

        def done() -> None:
            if lasting:
                self._streams.give_back(network)

        return EventStream(news, hall.waking, done, LIST_PAUSE)

    def _start_page(self, shown: Shown, language: str, problem: str = "", tried: Form | None = None) -> bytes:
        hall = self._lobby.halls.get(shown.meeting.meeting)
        blank = blank_form(shown.token, shown.view.occurrence.start)
        services = self._visits.offered(shown.meeting.page.organizer.address)
        waiting, admission = self._list(shown, hall, language), self._lobby.admission(shown.view)
        title = self._visits.title(shown.view.room, language)
        chosen = ""
        if tried is not None:  # what was chosen stays chosen
            chosen, admission = tried.service, chosen_admission(tried) or admission
        ends = ending(shown.view, self._clock())
        return self._pages.start(shown, blank, services, waiting, admission, title, language, problem, chosen, ends)

    def _list(self, shown: Shown, hall: Hall | None, language: str) -> str:
        guests = [] if hall is None else hall.waiting(self._clock())
        if hall is not None and shown.view.state is State.OPEN:
            guests = [one for one in guests if not self._lobby.admitted(hall, one)]
        blank = blank_form(shown.token, shown.view.occurrence.start)
        return self._pages.waiting(shown.view, guests, blank, self._lobby.admission(shown.view), language)

    # --- the rest ---

    async def ended(self, request: Request) -> Response:
        """Answer GET /c/HINT: the hint of a service that a conference has ended there."""
        if not self._hints.heard(request.path_params["hint"]):
            return self._notice(request, Notice.GONE)
        return PlainTextResponse("ok\n")

    async def privacy(self, request: Request) -> Response:
        """Answer GET /privacy."""
        return _page(self._pages.privacy(self._wish(request)))

    async def static_file(self, request: Request) -> Response:
        """Answer GET /static/NAME; the name changes with the content, so a browser may keep it for ever."""
        found = self._static.get(request.path_params["name"])
        if found is None:
            return self._notice(request, Notice.GONE)
        return Response(found[0], media_type=found[1], headers={"Cache-Control": _KEPT})

    async def http_error(self, request: Request, error: Exception) -> Response:
        """Answer for what the router refuses: an unknown path, a wrong method."""
        if isinstance(error, HTTPException) and error.status_code == Notice.WRONG_METHOD.status:
            return self._notice(request, Notice.WRONG_METHOD, error.headers)
        return self._notice(request, Notice.GONE)

    def failure(self, request: Request, error: Exception) -> Response:
        """Answer for a failure of ours."""
        if isinstance(error, (StoreError, TimeoutError)):
            return self._notice(request, Notice.BUSY, {"Retry-After": RETRY_SECONDS})
        return self._notice(request, Notice.BROKEN)

    async def _look_up(self, request: Request, kinds: tuple[LinkKind, ...]) -> Shown | Response:
        """Return what the link in the path shows, or the answer for one that is not valid, or was guessed once too often."""
        if not self._allowed(request):
            return self._too_many(request)
        shown = await self._ask(partial(self._visits.show, request.path_params["token"], kinds))
        self._tried(request, valid=shown is not None)
        return self._notice(request, Notice.GONE) if shown is None else shown

    def _allowed(self, request: Request) -> bool:
        return self._misses.allowed(*_comes_from(request), self._clock())

    def _tried(self, request: Request, *, valid: bool) -> None:
        self._misses.tried(*_comes_from(request), self._clock(), valid=valid)

    def _network(self, request: Request) -> str:
        peer, forwarded, _ = _comes_from(request)
        return self._misses.network(peer, forwarded)

    def _too_many(self, request: Request) -> Response:
        return self._notice(request, Notice.TOO_MANY, {"Retry-After": str(SECONDS)})

    async def _posted(self, request: Request) -> Form | Response | None:
        """Return the form of a POST, None for a GET, or the refusal."""
        if request.method != "POST":
            return None
        if (
            request.headers.get("sec-fetch-site", "").lower() in _FOREIGN
        ):  # Origin says nothing: no-referrer makes it "null"
            return self._notice(request, Notice.REFUSED)
        body = await _read_body(request)
        if body is None:
            return self._notice(request, Notice.TOO_LARGE, {"Connection": "close"})
        return read_form(body)

    def _wish(self, request: Request) -> str:
        return choose_language(", ".join(request.headers.getlist("accept-language")), self._language)

    def _notice(self, request: Request, notice: Notice, headers: Mapping[str, str] | None = None) -> Response:
        return Response(
            self._pages.notice(notice, self._wish(request)),
            status_code=notice.status,
            headers=headers,
            media_type=_HTML,
        )


class _Streams:
    """An endpoint that is an ASGI application: what a function makes of the request answers it."""

    def __init__(self, make: Callable[[Request], Awaitable[ASGIApp]]) -> None:
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await (await self._make(Request(scope)))(scope, receive, send)


def _comes_from(request: Request) -> tuple[str, list[str], str]:
    """Return the other end's address, what proxies say, and the link."""
    peer = "" if request.client is None else request.client.host
    return peer, request.headers.getlist("x-forwarded-for"), request.path_params["token"].lower()


def _facts(hall: Hall, now: int) -> object:
    """Return what a page shows of the meeting itself: when that changes, the page is loaded anew."""
    view = hall.shown(now)
    if view is None or hall.meeting is None:
        return None
    page = hall.meeting.page
    return view.occurrence, page.subject, page.organizer, page.recurring


def _news(text: str, lasting: bool) -> News:
    """Return what a page is told; "later": this was all, it asks again after a while."""
    return News(text) if lasting else News(text, "later", last=True)


def _page(octets: bytes, status: int = 200) -> Response:
    return Response(octets, status_code=status, media_type=_HTML)


def _see_other(path: str) -> Response:
    return RedirectResponse(path, status_code=303)


def _name(text: str) -> str:
    """Return a name as typed, on one line and not too long; signs that hide or turn text are left out."""
    shown = "".join(sign for sign in text if sign.isprintable())
    return " ".join(shown.split())[:_NAME_LENGTH].strip()


async def _read_body(request: Request) -> bytes | None:
    """Read a form's octets, or return None when they are more than any form of ours has.

    These are read to their end, and dropped: a connection that is closed while they come takes the answer with it. That they
    have an end, and soon, is the connection's care. Who asks before sending a body is answered at once.
    """
    body, large = b"", False
    if "expect" in request.headers and not _fits(request.headers.get("content-length", "")):
        return None
    try:
        async for chunk in request.stream():
            large = large or len(body) + len(chunk) > BODY_LIMIT
            body = b"" if large else body + chunk
    except ClientDisconnect:
        return b""
    return None if large else body


def _fits(length: str) -> bool:
    return length.isdecimal() and len(length) < 10 and int(length) <= BODY_LIMIT


async def _robots(_request: Request) -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")
