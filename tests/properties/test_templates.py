"""The laws with any template that passes the check, in any message."""

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from notes2conf_milter.core.edits import apply
from notes2conf_milter.core.invitation import Invitation, read
from notes2conf_milter.core.joinlink import own_join_link
from notes2conf_milter.core.keyword import keyword_pattern
from notes2conf_milter.core.rewrite import Job, meant, rewrite
from notes2conf_milter.core.selfcheck import check
from notes2conf_milter.core.template import TemplateError, wording_from
from notes2conf_milter.core.wording import WORDINGS as BUILT_IN
from notes2conf_milter.core.wording import Wording, forms
from tests.invitations import BASE_URL, TOKEN
from tests.properties.messages import messages
from tests.properties.templates import WORDINGS

KEYWORD = keyword_pattern("@meet")
MORE = settings(deadline=None, suppress_health_check=list(HealthCheck))
OWN = own_join_link(BASE_URL)


def edited(octets: bytes, wanted: Job) -> bytes:
    """A message with its link, after the self-check (law 2), and seen not to change again (law 3)."""
    found = read(octets)
    assume(isinstance(found, Invitation))
    assert isinstance(found, Invitation)
    result = apply(octets, rewrite(octets, found, wanted))
    assert check(octets, result, meant(found, wanted)) is None
    again = read(result)
    assert isinstance(again, Invitation)
    assert rewrite(result, again, wanted) == ()
    return result


@settings(MORE, max_examples=150)
@given(messages(), WORDINGS, st.sampled_from([None, KEYWORD]))
def test_laws_2_and_3_with_any_template(octets: bytes, wording: Wording, keyword: "object") -> None:
    """Nothing else is new, and it is put in once; the settings see to it that no template holds the keyword."""
    if keyword is not None:
        assume(not any(KEYWORD.search(form) for _, form in forms(wording)))
    edited(octets, Job(BASE_URL, TOKEN, wording, keyword, tuple(BUILT_IN.values())))  # type: ignore[arg-type]


@settings(MORE, max_examples=150)
@given(messages(), WORDINGS, WORDINGS | st.sampled_from(sorted(BUILT_IN.values(), key=lambda one: one.title)))
def test_an_update_in_another_language(octets: bytes, first: Wording, second: Wording) -> None:
    """It is in the place of the first, never beside it."""
    before = edited(octets, Job(BASE_URL, TOKEN, first, None, (second,)))
    after = edited(before, Job(BASE_URL, TOKEN, second, None, (first,)))
    found, again = read(before), read(after)
    assert isinstance(found, Invitation)
    assert isinstance(again, Invitation)
    for one, other in zip(found.copies, again.copies, strict=True):
        for event, update in zip(one.events, other.events, strict=True):
            for name in (b"LOCATION", b"DESCRIPTION", b"CONFERENCE", b"X-ALT-DESC", b"STYLED-DESCRIPTION"):
                lines = [(line.value, new.value) for line, new in zip(event.all(name), update.all(name), strict=True)]
                assert all(len(OWN.findall(line)) == len(OWN.findall(new)) for line, new in lines)


@settings(MORE, max_examples=300)
@given(st.text() | st.builds("title = '{}'\nplain = '''{}'''\nhtml = '''{}'''".format, st.text(), st.text(), st.text()))
def test_any_template_has_an_answer(text: str) -> None:
    """A wording, or what is wrong with it."""
    try:
        assert wording_from(text).title
    except TemplateError as error:
        assert "allowed" in error.problem or "is not TOML" in error.problem
