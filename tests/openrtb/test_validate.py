"""Which requests are malformed as a whole."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from openrtb.codec import decode_request
from openrtb.upgrade import upgrade
from openrtb.validate import validate
from openrtb.violation import Violation
from tests.corpus import compact, request_bodies, rows


def _judge(body: bytes) -> Violation | None:
    """The violation of a body at intake, or None."""
    try:
        request = decode_request(body)
        upgrade(request)
        validate(request)
    except Violation as violation:
        return violation
    return None


def _body(*imps: dict[str, Any], **fields: Any) -> bytes:
    return compact({"id": "r", "imp": [{"id": str(i)} | imp for i, imp in enumerate(imps)]} | fields)


BANNER = {"banner": {"w": 300, "h": 250}}

MALFORMED = [
    (_body({}), "imp[0]: must offer banner, video, audio or native"),
    (_body({"banner": {}}), "imp[0].banner: must have a size"),
    (_body({"banner": {"w": 0, "h": 0}}), "imp[0].banner: must have a size"),
    (_body({"banner": {"format": []}}), "imp[0].banner: must have a size"),
    (_body({"video": {"mimes": []}}), "imp[0].video.mimes: must name at least one type"),
    (_body({"video": {"mimes": None}}), "imp[0].video.mimes: must name at least one type"),
    (_body({"audio": {}}), "imp[0].audio.mimes: must name at least one type"),
    (_body({"native": {}}), "imp[0].native.request: is required"),
    (_body({"native": {"request": ""}}), "imp[0].native.request: is required"),
    (_body(BANNER, BANNER | {"id": "0"}), "imp[1].id: must be unique"),
    (_body(BANNER, regs={"gdpr": 2}), "regs.gdpr: must be 0 or 1"),
    (_body(BANNER, regs={"ext": {"gdpr": -1}}), "regs.gdpr: must be 0 or 1"),
]


@pytest.mark.parametrize(("body", "line"), MALFORMED, ids=[line for _, line in MALFORMED])
def test_a_malformed_request_is_refused(body: bytes, line: str) -> None:
    """Each rule of the whole request is a violation of its own."""
    assert str(_judge(body)) == line


ACCEPTED = {
    "no site, app or dooh": _body(BANNER),
    "more than one channel": _body(BANNER, site={"id": "s"}, app={"id": "a"}, dooh={"id": "d"}),
    "a negative floor": _body(BANNER | {"bidfloor": -1}),
    "unknown numbers": _body(BANNER | {"banner": {"w": 1, "h": 1, "pos": 99, "api": [77]}}, at=600),
    "an interstitial without sizes": _body({"instl": 1, "banner": {}}),
    "a banner of formats alone": _body({"banner": {"format": [{"wratio": 16, "hratio": 9, "wmin": 300}]}}),
    "a banner of old ranges": _body({"banner": {"wmax": 300, "hmax": 250}}),
    "a native request that is no JSON": _body({"native": {"request": "{{"}}),
    "one usable medium beside another": _body({"banner": {}, "video": {"mimes": ["video/mp4"]}}),
    "one usable imp beside others": _body(
        {}, {"video": {"mimes": None}}, {"audio": {"mimes": ["audio/mp4"]}}
    ),
    "a sloppy tmax": _body(BANNER, tmax=-5),
    "both language lists": _body(BANNER, wlang=["en"], wlangb=["en-GB"], wseat=["1"], bseat=["2"]),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_tolerable_request_is_accepted(case: str) -> None:
    """What real exchanges send, and what only leads to a no-bid, is no violation."""
    assert _judge(ACCEPTED[case]) is None


@pytest.mark.corpus
def test_every_request_that_prebid_server_refuses_is_refused() -> None:
    """The generic negatives at request level are violations; none is on a lenient list."""
    for row in rows("pbs_invalid_generic"):
        if row["meta"]["group"] != "invalid-native":
            assert _judge(compact(row["body"])) is not None, row["meta"]["description"]


@pytest.mark.corpus
def test_no_request_that_prebid_server_accepts_is_refused() -> None:
    """The generic positives pass, natives included."""
    for row in rows("pbs_valid_generic"):
        violation = _judge(compact(row["body"]))
        assert violation is None, f"{row['meta']['description']}: {violation}"


@pytest.mark.parametrize("case", request_bodies()[:154], ids=lambda case: case[0])
def test_every_request_of_prebid_js_passes(case: tuple[str, bytes]) -> None:
    """What Prebid.js writes today is never refused."""
    assert _judge(case[1]) is None


TRULY_MALFORMED = {
    "imp[N].native.request: is required",
    "imp[N]: must offer banner, video, audio or native",
    "imp[N].banner: must have a size",
    "imp: must not be empty",
    "id: is required",
    "imp[N].video.mimes: must name at least one type",
    "imp[N].audio.mimes: must name at least one type",
    "imp[N].id: must be unique",
    "imp[N].id: is required",
    "imp[N].banner.w: must not be negative",
    "imp[N].pmp.deals[N].id: is required",
    "test: must be a number",
}


@pytest.mark.corpus
def test_real_requests_are_refused_for_true_malformation_alone() -> None:
    """Of all real requests at most one in twenty is refused, and only by the rules named here."""
    bodies = [case for case in request_bodies() if not case[0].startswith("pbs_invalid")]
    if len(bodies) < 1000:
        pytest.skip("../shared/corpus is absent: only the committed requests are there")
    rules = Counter[str]()
    for _, body in bodies:
        violation = _judge(body)
        if violation is not None:
            path = "".join("N" if c.isdigit() else c for c in violation.path)
            rules[f"{path}: {violation.rule}"] += 1
    assert set(rules) <= TRULY_MALFORMED
    assert rules.total() <= len(bodies) / 20
