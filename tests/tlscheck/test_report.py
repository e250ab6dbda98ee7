"""Verdict and JSON."""

import json

from notes2conf_milter.tlscheck.judge import judge
from notes2conf_milter.tlscheck.report import as_json, verdict
from notes2conf_milter.tlscheck.transcript import Line, Said
from tests.tlscheck.authority import NOW
from tests.tlscheck.test_judge import REPORT, with_session


def test_the_heaviest_comes_first() -> None:
    """Then the guidelines, and the last word."""
    report = with_session(version="TLSv1", old=True)
    lines = verdict(report, judge(report, NOW), "en").splitlines()
    words = [line.partition(":")[0] for line in lines[: lines.index("")]]
    assert (
        words == sorted(words, key=["critical", "unknown", "warning", "hint", "good"].index) and words[0] == "critical"
    )
    assert lines[-3:] == [
        "BSI TR-03108: not kept (old-tls).",
        "BSI TR-02102-2: not kept (old-tls, old-tls-too).",
        "Critical: mail to example.org is not protected on its way, or does not arrive.",
    ]


def test_json_is_json() -> None:
    """Every value of a report can be written, in both languages."""
    lines = [Line(0.00049, Said.CONNECTED, {})]
    for language, said in (("en", "connected"), ("de", "verbunden")):
        found = json.loads(json.dumps(as_json(REPORT, judge(REPORT, NOW), lines, language, NOW)))
        assert found["transcript"] == [{"at": 0.0, "text": f"[000.000] {said}"}]
        assert (found["version"], found["exit_code"], found["hosts"][0]["tlsa"]["records"]) == (
            1,
            0,
            ["3 1 1 " + "00" * 32],
        )
        assert {one["level"] for one in found["findings"]} == {"good"}
