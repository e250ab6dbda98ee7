"""The form's fields and the proof that they are from our page."""

from notes2conf_milter.web.forms import Form, blank_form, is_from_page, read_form

TOKEN, OTHER = "a" * 32, "b" * 32


def test_a_form_of_ours_comes_back() -> None:
    form = blank_form(TOKEN, 1777881600)
    assert read_form(f"occurrence={form.occurrence}&proof={form.proof}".encode()) == form
    assert is_from_page(TOKEN, form)


def test_bound_to_the_page_and_the_date() -> None:
    form = blank_form(TOKEN, 1777881600)
    assert not is_from_page(OTHER, form)
    assert not is_from_page(TOKEN, Form("1777881601", form.proof))
    assert not is_from_page(TOKEN, Form(form.occurrence, ""))
    assert TOKEN not in form.proof


def test_any_octets_are_an_answer() -> None:
    for body in (
        b"",
        b"\xff\xfe",
        b"=&=&=",
        b"a=1&" * 100,
        b"%ZZ=%",
        b"proof=%ff%fe",
        b"proof",
        b"\0" * 4096,
        b"proof=%ED%A0%80",
    ):
        assert not is_from_page(TOKEN, read_form(body))
