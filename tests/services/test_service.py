"""What services have in common."""

from notes2conf_milter.services.jitsi import Jitsi
from notes2conf_milter.services.service import RefusedLink, Service, Why


def test_a_refusal_says_why_and_nothing_of_the_link() -> None:
    refused = RefusedLink(Why.NOT_HTTPS)
    assert (refused.why, str(refused)) == (Why.NOT_HTTPS, "not-https")


def test_jitsi_is_one() -> None:
    service: Service = Jitsi("https://meet.example.org")
    assert (service.name, service.asks_link, service.title("de")) == ("jitsi", False, "Jitsi Meet")
    assert service.offered_to("anna@example.org")
