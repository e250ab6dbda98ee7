"""The paths of the site and what each answers: visits and pages, put into HTTP.

    GET  /j/TOKEN     the join page            GET /healthz      "ok"
    GET  /s/TOKEN     the start page           GET /robots.txt   nothing is to be indexed
    POST /s/TOKEN     opens the conference     GET /static/…     style sheet and icon, named by their content

In:  requests. Out: answers; none quotes a token or an exception.
Fails: a link that is unknown, over or malformed is one and the same 404; a store that cannot answer now is 503; anything
unforeseen 500.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web.forms import OpenForm, open_form, read_open_form
from notes2conf_milter.web.pages import Pages
from notes2conf_milter.web.texts import Notice, choose_language
from notes2conf_milter.web.visits import GUEST_KINDS, HOST_KINDS, Opening, Visits

BODY_LIMIT = 4096  # octets; our form has about 150
STORE_SECONDS = 10.0  # then the visitor is asked to try again, whatever the disk does
RETRY_SECONDS = "30"
_HTML = "text/html; charset=utf-8"
_KEPT = "public, max-age=31536000, immutable"
_FOREIGN = ("cross-site", "same-site")

T = TypeVar("T")


class Site:
    """The handlers. thread: the one thread in which they ask the store, so that a slow disk holds up nobody else."""

    def __init__(
        self, visits: Visits, pages: Pages, static: Mapping[str, tuple[bytes, str]], thread: Executor, language: str
    ) -> None:
        self._visits = visits
        self._pages = pages
        self._static = static
        self._thread = thread
        self._language = language

    def routes(self) -> list[Route]:
        """Return every path that there is."""
        return [
            Route("/j/{token}", self.join, methods=["GET"]),
            Route("/s/{token}", self.start, methods=["GET", "POST"]),
            Route("/static/{name}", self.static_file, methods=["GET"]),
            Route("/robots.txt", _robots, methods=["GET"]),
            Route("/healthz", _healthz, methods=["GET"]),
        ]

    async def join(self, request: Request) -> Response:
        """Answer GET /j/TOKEN."""
        shown = await self._ask(partial(self._visits.show, request.path_params["token"], GUEST_KINDS))
        if shown is None:
            return self._notice(request, Notice.GONE)
        return Response(self._pages.join(shown, self._wish(request)), media_type=_HTML)

    async def start(self, request: Request) -> Response:
        """Answer GET and POST /s/TOKEN."""
        if request.method == "POST":
            return await self._open(request)
        shown = await self._ask(partial(self._visits.show, request.path_params["token"], HOST_KINDS))
        if shown is None:
            return self._notice(request, Notice.GONE)
        form = open_form(shown.token, shown.view.occurrence.start)
        return Response(self._pages.start(shown, form, self._wish(request)), media_type=_HTML)

    async def _open(self, request: Request) -> Response:
        if (
            request.headers.get("sec-fetch-site", "").lower() in _FOREIGN
        ):  # Origin says nothing: no-referrer makes it "null"
            return self._notice(request, Notice.REFUSED)
        form = await _read_form(request)
        if form is None:
            return self._notice(request, Notice.TOO_LARGE, {"Connection": "close"})
        token = request.path_params["token"]
        match await self._ask(partial(self._visits.open, token, form)):
            case Opening.GONE:
                return self._notice(request, Notice.GONE)
            case Opening.REFUSED:
                return self._notice(request, Notice.REFUSED)
            case Opening.OPEN:
                return RedirectResponse(token, status_code=303)  # relative to /s/: right behind any proxy

    async def static_file(self, request: Request) -> Response:
        """Answer GET /static/NAME; the name changes with the content, so a browser may keep it for ever."""
        found = self._static.get(request.path_params["name"])
        if found is None:
            return self._notice(request, Notice.GONE)
        return Response(found[0], media_type=found[1], headers={"Cache-Control": _KEPT})

    async def http_error(self, request: Request, error: Exception) -> Response:
        """Answer for what the router refuses: an unknown path, a wrong method."""
        if isinstance(error, HTTPException) and error.status_code == Notice.WRONG_METHOD.value:
            return self._notice(request, Notice.WRONG_METHOD, error.headers)
        return self._notice(request, Notice.GONE)

    def failure(self, request: Request, error: Exception) -> Response:
        """Answer for a failure of ours."""
        if isinstance(error, (StoreError, TimeoutError)):
            return self._notice(request, Notice.BUSY, {"Retry-After": RETRY_SECONDS})
        return self._notice(request, Notice.BROKEN)

    async def _ask(self, question: Callable[[], T]) -> T:
        async with asyncio.timeout(STORE_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    def _wish(self, request: Request) -> str:
        return choose_language(", ".join(request.headers.getlist("accept-language")), self._language)

    def _notice(self, request: Request, notice: Notice, headers: Mapping[str, str] | None = None) -> Response:
        return Response(
            self._pages.notice(notice, self._wish(request)), status_code=notice.value, headers=headers, media_type=_HTML
        )


async def _read_form(request: Request) -> OpenForm | None:
    """Read the form, or return None when the body is larger than any form of ours."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_LIMIT:
                return None
    except ClientDisconnect:  # nobody is there to read the answer
        return None
    return read_open_form(bytes(body))


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _robots(_request: Request) -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /\n")
