"""What each path answers, over HTTP: links, pages, headers."""

import threading
from collections.abc import Iterator

import pytest

from notes2conf_milter.core.meeting import Occurrence
from notes2conf_milter.store.errors import StoreError
from notes2conf_milter.web.forms import Form, blank_form
from notes2conf_milter.web.server import WebSettings
from tests.web.house import DAY, HOUR, MONDAY, House, ask, enter, guests_way, page, press, wait, way_in


@pytest.fixture
def house(house: House) -> Iterator[House]:
    with house.serving():
        yield house


# A link and its page


def test_from_waiting_to_open(house: House) -> None:
    links = house.add(page())
    before = ask(house.address, f"/j/{links.join}")
    assert before.status == 200 and "Not open yet" in before.text and way_in(before) == ""
    guest = wait(house, links.join)
    assert "You are waiting" in ask(house.address, guest).text
    assert "Start the conference" in ask(house.address, f"/s/{links.start}").text

    pressed = press(house, links.start)
    assert (pressed.status, pressed.headers["location"], pressed.body) == (303, links.start, b"")

    after, host = ask(house.address, guest), ask(house.address, f"/s/{links.start}")
    assert "The conference is open" in after.text and "The conference is open" in host.text
    assert way_in(after) == enter(house, links.start) == guests_way(house, links.join)
    assert way_in(after).startswith("https://meet.example.org/") and len(way_in(after)) == 25 + 32


def test_each_meeting_has_a_room_of_its_own(house: House) -> None:
    rooms = set()
    for _ in range(5):
        links = house.add(page())
        press(house, links.start)
        rooms.add(guests_way(house, links.join))
        assert links.join not in guests_way(house, links.join)
    assert len(rooms) == 5


def test_two_clicks_are_one_room(house: House) -> None:
    links = house.add(page())
    form = blank_form(links.start, MONDAY)
    press(house, links.start, form=form)
    first = guests_way(house, links.join)
    assert press(house, links.start, form=form).status == 303
    assert guests_way(house, links.join) == first


def test_many_clicks_at_once_are_one_room(house: House) -> None:
    links = house.add(page())
    seen: list[str] = []

    def click() -> None:
        assert press(house, links.start).status == 303
        seen.append(guests_way(house, links.join))

    threads = [threading.Thread(target=click) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 12 and len(set(seen)) == 1


def test_a_lost_race_keeps_the_room_that_won(house: House) -> None:
    links = house.add(page())
    house.store.before_write = lambda: house.open_elsewhere(links, MONDAY, "https://meet.example.org/" + "w" * 32)
    assert press(house, links.start).status == 303
    assert guests_way(house, links.join) == "https://meet.example.org/" + "w" * 32


def test_a_change_that_mail_brought_meanwhile_does_not_lose_the_click(house: House) -> None:
    links = house.add(page())
    house.store.before_write = lambda: house.update(links, page("Moved to the big hall"))
    assert press(house, links.start).status == 303
    assert "Moved to the big hall" in ask(house.address, f"/j/{links.join}").text
    assert guests_way(house, links.join)


def test_the_next_date_of_a_series_starts_closed(house: House) -> None:
    times = tuple(Occurrence(MONDAY + days * DAY, MONDAY + days * DAY + HOUR, "Europe/Berlin") for days in (0, 7))
    links = house.add(page(times=times))
    press(house, links.start)
    old = guests_way(house, links.join)
    house.clock.now = MONDAY + 7 * DAY - 60
    answer = ask(house.address, f"/j/{links.join}")
    assert "Not open yet" in answer.text and "11 May 2026" in answer.text
    assert press(house, links.start).status == 303, "a page left open since last week"
    assert not guests_way(house, links.join, MONDAY + 7 * DAY)
    press(house, links.start, form=blank_form(links.start, MONDAY + 7 * DAY))
    assert guests_way(house, links.join, MONDAY + 7 * DAY) not in ("", old)


def test_case_does_not_matter(house: House) -> None:
    links = house.add(page())
    assert ask(house.address, f"/j/{links.join.upper()}").status == 200
    shouted = ask(house.address, f"/s/{links.start.upper()}")
    assert shouted.status == 200 and blank_form(links.start, MONDAY).proof in shouted.text


def test_words_from_mail_are_escaped(house: House) -> None:
    links = house.add(page('<script>alert("1")</script>'))
    text = ask(house.address, f"/j/{links.join}").text
    assert "<script>" not in text and "&lt;script&gt;" in text


def test_the_language_of_the_browser(house: House) -> None:
    links = house.add(page())
    german = ask(house.address, f"/j/{links.join}", Accept_Language="de-AT,de;q=0.9,en;q=0.5").text
    assert '<html lang="de">' in german and "Montag, 4. Mai 2026" in german
    assert '<html lang="en">' in ask(house.address, f"/j/{links.join}", Accept_Language="fr").text
    with house.serving(WebSettings("https://conf.example.org", language="de")) as address:
        assert '<html lang="de">' in ask(address, f"/j/{links.join}").text


# What is not valid


@pytest.mark.parametrize("language", ["en", "de"])
def test_all_that_is_not_valid_looks_alike(house: House, language: str) -> None:
    links, over = house.add(page()), house.add(page())
    house.forget(over)
    unknown = "a" * 32
    tokens = [
        unknown,
        over.join,
        over.start,
        "x",
        "a" * 31,
        "1" * 32,
        "a" * 5000,
        "%00",
        "%ff",
        "..%2f..",
        "ä".encode().hex(),
    ]
    paths = [f"/{kind}/{token}" for kind in "js" for token in tokens]
    paths += [f"/j/{links.start}", f"/s/{links.join}", "/j/", "/j", "/s", f"/j/{links.join}/"]
    paths += [
        "/",
        "/x",
        "/j/a/b",
        "/static/none.css",
        "/favicon.ico",
        "/.env",
        "//",
        "/docs",
        "/openapi.json",
        f"/J/{links.join}",
    ]
    answers = [ask(house.address, path, Accept_Language=language) for path in paths]
    assert answers[0].status == 404
    assert ("not valid, or not any more" if language == "en" else "nicht oder nicht mehr gültig") in answers[0].text
    for path, answer in zip(paths, answers, strict=True):
        assert answer.alike == answers[0].alike, path
    posted = press(house, unknown)
    assert posted.alike == press(house, over.start).alike == press(house, "x").alike == press(house, links.join).alike
    if language == "en":
        assert posted.alike == answers[0].alike


def test_over_is_over(house: House) -> None:
    links = house.add(page())
    form = blank_form(links.start, MONDAY)
    press(house, links.start, form=form)
    house.clock.now = MONDAY + 40 * DAY
    assert ask(house.address, f"/j/{links.join}").status == 404
    assert press(house, links.start, form=form).status == 404


# Reading is not acting


def test_a_crawler_changes_nothing(house: House) -> None:
    links = house.add(page())
    for opened in (False, True):
        if opened:
            press(house, links.start)
        before = house.contents()
        static = [part.partition('"')[0] for part in ask(house.address, f"/j/{links.join}").text.split('"/static/')[1:]]
        assert len(static) >= 2
        paths = [
            f"/j/{links.join}",
            f"/s/{links.start}",
            "/",
            "/robots.txt",
            "/healthz",
            f"/s/{links.start}?occurrence=1",
        ]
        paths += [f"/static/{name}" for name in static]
        form = blank_form(links.start, MONDAY)
        paths.append(f"/s/{links.start}?occurrence={form.occurrence}&proof={form.proof}")
        for path in paths:
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
                answer = ask(house.address, path, method, X_HTTP_Method_Override="POST")
                assert answer.status in (200, 404, 405)
        assert house.contents() == before


def test_head_is_get_without_its_body(house: House) -> None:
    links = house.add(page())
    for path in (f"/j/{links.join}", f"/s/{links.start}", "/j/x", "/healthz", "/robots.txt"):
        got, head = ask(house.address, path), ask(house.address, path, "HEAD")
        assert (head.status, head.body) == (got.status, b"")
        assert head.alike[1] == got.alike[1]


def test_a_join_link_opens_nothing(house: House) -> None:
    links = house.add(page())
    before = house.contents()
    assert press(house, links.join).status == 404
    form = blank_form(links.join, MONDAY)
    sent = {"occurrence": form.occurrence, "proof": form.proof, "do": "open", "service": "jitsi"}
    assert ask(house.address, f"/j/{links.join}", "POST", sent).status == 303, (
        "whatever it says, it is a guest who waits"
    )
    assert house.contents() == before


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site"])
def test_a_post_from_another_site_is_refused(house: House, site: str) -> None:
    links = house.add(page())
    before = house.contents()
    answer = press(house, links.start, headers={"Sec-Fetch-Site": site})
    assert answer.status == 403 and "<h1>" in answer.text
    assert answer.alike == press(house, "a" * 32, headers={"Sec-Fetch-Site": site}).alike, (
        "it says nothing about the token"
    )
    assert house.contents() == before
    assert press(house, links.start, headers={"Sec-Fetch-Site": "same-origin"}).status == 303


def test_a_post_without_our_form_is_refused(house: House) -> None:
    links, other = house.add(page()), house.add(page())
    before = house.contents()
    for form in (Form("", ""), Form(str(MONDAY), "0" * 64), blank_form(other.start, MONDAY), Form("é", "é")):
        assert press(house, links.start, form=form).status == 403
    assert ask(house.address, f"/s/{links.start}", "POST").status == 403
    assert house.contents() == before


def test_a_large_body_is_refused(house: House) -> None:
    links = house.add(page())
    answer = ask(house.address, f"/s/{links.start}", "POST", {"proof": "x" * 9000})
    assert (answer.status, answer.headers["connection"]) == (413, "close")


# Headers


def test_security_headers_on_every_answer(house: House) -> None:
    links = house.add(page())
    answers = [
        ask(house.address, f"/j/{links.join}"),
        ask(house.address, f"/s/{links.start}"),
        ask(house.address, f"/s/{links.start}", "HEAD"),
        press(house, links.start),
        press(house, links.start, headers={"Sec-Fetch-Site": "cross-site"}),
        ask(house.address, "/j/x"),
        ask(house.address, "/nowhere"),
        ask(house.address, "/robots.txt"),
        ask(house.address, "/healthz"),
        ask(house.address, f"/j/{links.join}", "POST"),
        ask(house.address, f"/s/{links.start}", "POST", {"proof": "x" * 9000}),
    ]
    house.store.fail = StoreError("disk")
    answers.append(ask(house.address, f"/j/{links.join}"))
    house.store.fail = RuntimeError("unforeseen")
    answers.append(ask(house.address, f"/j/{links.join}"))
    expected = [200, 200, 200, 303, 403, 404, 404, 200, 200, 403, 413, 503, 500]
    assert [answer.status for answer in answers] == expected
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        for rule in (
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "style-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ):
            assert rule in policy
        assert "unsafe" not in policy and "http" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in answer.headers["permissions-policy"]
        assert not {"server", "set-cookie", "x-powered-by"} & set(answer.headers)


def test_static_files_are_kept_for_ever_under_the_name_of_their_content(house: House) -> None:
    text = ask(house.address, "/j/x").text
    style = text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    answer = ask(house.address, style)
    assert answer.headers["content-type"] == "text/css; charset=utf-8" and b"prefers-color-scheme" in answer.body
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ask(house.address, "/static/style.css").status == 404
    assert b"url(" not in answer.body and b"@import" not in answer.body, "nothing from elsewhere"


def test_under_a_path_of_the_houses_server(house: House) -> None:
    with house.serving(WebSettings("https://www.example.org/conf")) as address:
        assert 'href="/conf/static/style.' in ask(address, "/j/x").text


def test_robots_and_health(house: House) -> None:
    assert ask(house.address, "/robots.txt").text == "User-agent: *\nDisallow: /\n"
    assert ask(house.address, "/healthz").text == "ok\n"


def test_the_first_view_is_small(house: House) -> None:
    links = house.add(page())
    first = ask(house.address, f"/j/{links.join}")
    files = {part.partition('"')[0] for part in first.text.split('"/static/')[1:]}
    total = len(first.body) + sum(len(ask(house.address, f"/static/{name}").body) for name in files)
    assert total < 30_000


# Failures


def test_the_store_cannot_answer_now(house: House) -> None:
    links = house.add(page())
    house.store.fail = StoreError("database is locked: " + links.join)
    for answer in (
        ask(house.address, f"/j/{links.join}"),
        ask(house.address, f"/s/{links.start}"),
        press(house, links.start),
    ):
        assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
        assert "<h1>" in answer.text and "locked" not in answer.text


def test_a_slow_disk_holds_up_nobody_else(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notes2conf_milter.web.server.STORE_SECONDS", 0.05)
    links, disk = house.add(page()), threading.Event()
    house.store.before_read = disk.wait
    try:
        assert ask(house.address, f"/j/{links.join}").status == 503
        assert ask(house.address, f"/j/{links.join}").status == 503
        assert ask(house.address, "/healthz").status == 200
    finally:
        disk.set()
