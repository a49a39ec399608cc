"""openrtb/vast.py: documents that the official schemas accept, and the files that a slot can play."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from openrtb.media import Audio, Video
from openrtb.vast import (
    ERROR_CODE,
    EVENTS,
    INLINE,
    Icon,
    MediaFile,
    Template,
    VastCreative,
    VastUrls,
    choose_media,
    choose_protocol,
    duration_fits,
)

SCHEMAS = {
    "2.0": "vast_2.0.1.xsd",
    "3.0": "vast3_draft.xsd",
    "4.0": "vast4.xsd",
    "4.1": "vast_4.1.xsd",
    "4.2": "vast_4.2.xsd",
}
WIDE = MediaFile("https://cdn.example/w.mp4", "video/mp4", 1920, 1080, 4000, codec="avc1")
SMALL = MediaFile("https://cdn.example/s.mp4", "video/mp4", 640, 360, 800)
WEBM = MediaFile("https://cdn.example/s.webm", "video/webm", 640, 360, 700)
LIVE = MediaFile("https://cdn.example/l.m3u8", "application/x-mpegURL", 1280, 720, 0, streaming=True)
SOUND = MediaFile("https://cdn.example/a.mp3", "audio/mpeg", bitrate_kbps=128)
VIDEO = VastCreative(
    id="cr-7",
    title="Shoes & <boots>",
    duration_ms=15_000,
    media=(WIDE, SMALL, WEBM, LIVE),
    advertiser="Fernweh",
    description="100% wool ]]> \x01base\x02",
    universal_ad_id="8465",
    categories=("IAB18-1", "IAB18-2"),
    skip_offset_ms=5_500,
    icon=Icon("https://cdn.example/i.png", "image/png", 20, 20, "https://choices.example/?a=1&b=2"),
)
AUDIO = VastCreative(id="cr-8", title="Radio", duration_ms=29_500, media=(SOUND,))
URLS = VastUrls(
    impression="https://t.example/imp?t=a%20b&p=${AUCTION_PRICE}",
    click="https://t.example/click?t=1&u=x",
    tracking_base="https://t.example/event?t=1&e=",
    error="https://t.example/error?c=" + ERROR_CODE,
    click_tracking="https://t.example/ct",
)
BARE = VastUrls("https://t.example/i", "https://t.example/c", "https://t.example/e?")


@cache
def _schema(path: Path) -> Any:
    return etree.XMLSchema(etree.parse(str(path)))


def _texts(document: str, name: str) -> list[str]:
    root = etree.fromstring(document.encode())
    return [element.text or "" for element in root.iter() if etree.QName(element).localname == name]


@pytest.mark.corpus
@pytest.mark.parametrize("version", SCHEMAS)
@pytest.mark.parametrize("creative", [VIDEO, AUDIO], ids=["video", "audio"])
@pytest.mark.parametrize("urls", [URLS, BARE], ids=["all URLs", "few URLs"])
def test_documents_are_valid(version: str, creative: VastCreative, urls: VastUrls, corpus: Path) -> None:
    """Video and audio, with and without what is optional, validate against the schema of their version."""
    schema = _schema(corpus / "vast" / SCHEMAS[version])
    text = Template(creative, version).render(urls, "serving-1")
    schema.assertValid(etree.fromstring(text.encode()))
    assert f'version="{version}"' in text


@pytest.mark.corpus
@given(text=st.text(), url=st.text(min_size=1))
@pytest.mark.parametrize("version", SCHEMAS)
def test_hostile_texts_stay_valid(version: str, text: str, url: str, shared: Path) -> None:
    """Whatever stands in titles, ids and URLs, the document is valid and no text opens an element."""
    schema = _schema(shared / "corpus" / "vast" / SCHEMAS[version])
    file = MediaFile("https://cdn.example/" + url, "video/mp4", 640, 360, codec=text)
    creative = VastCreative(
        id=text, title=text, duration_ms=1, media=(file,), advertiser=text, description=text
    )
    rendered = Template(creative, version).render(VastUrls(url, url, url, url, url), text)
    root = etree.fromstring(rendered.encode())
    schema.validate(root)
    errors = [error for error in schema.error_log if "anyURI" not in error.message]
    assert not errors
    assert len(_texts(rendered, "Impression")) == 1


def test_every_url_is_in_its_place() -> None:
    """Impression, error, click, click tracking and the five events carry their URLs, macros intact."""
    for version in SCHEMAS:
        text = Template(VIDEO, version).render(URLS, "serving-1")
        assert _texts(text, "Impression") == [URLS.impression]
        assert _texts(text, "Error") == [URLS.error]
        assert _texts(text, "ClickThrough") == [URLS.click]
        assert _texts(text, "ClickTracking") == [URLS.click_tracking]
        assert _texts(text, "Tracking") == [URLS.tracking_base + event for event in EVENTS]
        assert _texts(text, "Duration") == ["00:00:15"]
        assert _texts(text, "MediaFile") == [file.url for file in VIDEO.media]


def test_texts_survive_escaping() -> None:
    """Markup, percent signs and the end mark of CDATA in texts and URLs come out as they went in."""
    url = "https://t.example/?a=]]>&b=<c>&d=%s%(base)s"
    text = Template(VIDEO).render(msgspec.structs.replace(URLS, impression=url), "a<b>&c")
    assert _texts(text, "Impression") == [url]
    assert _texts(text, "AdTitle") == [VIDEO.title]
    assert _texts(text, "Description") == ["100% wool ]]> base"]
    assert _texts(text, "AdServingId") == ["a<b>&c"]


def test_only_the_chosen_files_are_listed() -> None:
    """A bid lists the files that its slot can play, in the order given."""
    text = Template(VIDEO).render(BARE, "s", (WEBM, SMALL))
    assert _texts(text, "MediaFile") == [WEBM.url, SMALL.url]


def test_what_a_version_does_not_know_is_left_out() -> None:
    """Icons and skip offsets start with 3.0, universal ids with 4.0, serving ids and ad types with 4.1."""
    texts = {version: Template(VIDEO, version).render(URLS, "s") for version in SCHEMAS}
    assert [v for v, text in texts.items() if "<Icons>" in text] == ["3.0", "4.0", "4.1", "4.2"]
    assert [v for v, text in texts.items() if "skipoffset" in text] == ["3.0", "4.0", "4.1", "4.2"]
    assert [v for v, text in texts.items() if "<UniversalAdId" in text] == ["4.0", "4.1", "4.2"]
    assert [v for v, text in texts.items() if "<AdServingId>" in text] == ["4.1", "4.2"]
    assert [v for v in SCHEMAS if 'adType="audio"' in Template(AUDIO, v).render(URLS, "s")] == ["4.1", "4.2"]


def test_durations_show_thousandths_where_there_are_any() -> None:
    """Durations are HH:MM:SS, or HH:MM:SS.mmm."""
    assert _texts(Template(AUDIO).render(BARE, "s"), "Duration") == ["00:00:29.500"]
    hour = msgspec.structs.replace(AUDIO, duration_ms=3_723_000)
    assert _texts(Template(hour).render(BARE, "s"), "Duration") == ["01:02:03"]


def test_an_unwritten_version_is_refused() -> None:
    """A version outside the list is our bug or a bad configuration, and is said at once."""
    with pytest.raises(ValueError, match=r"4\.3 is not written"):
        Template(VIDEO, "4.3")


@pytest.mark.parametrize(
    ("protocols", "code"),
    [
        (None, 3),
        ([], 3),
        ([2, 3, 5, 6], 3),
        ([2], 2),
        ([1, 2, 3, 7, 8, 11, 12, 13, 14], 13),
        ([7, 3], 7),
        ([11, 3], 11),
        ([5, 6, 8, 12, 14], None),
        ([1], None),
        ([9, 10, 15], None),
    ],
)
def test_the_best_protocol_is_chosen(protocols: list[int] | None, code: int | None) -> None:
    """The newest inline version that both sides know wins; wrappers, DAAST and 1.0 alone get no bid."""
    assert choose_protocol(protocols) == code
    assert code is None or INLINE[code] in SCHEMAS


@pytest.mark.parametrize(
    ("slot", "duration_ms", "fits"),
    [
        ({}, 15_000, True),
        ({"minduration": 15, "maxduration": 15}, 15_000, True),
        ({"minduration": 16}, 15_000, False),
        ({"maxduration": 15}, 15_001, False),
        ({"maxduration": 14, "maxextended": 1}, 15_000, True),
        ({"maxduration": 14, "maxextended": -1}, 60_000, True),
        ({"maxduration": 14, "maxextended": 0}, 15_000, False),
        ({"rqddurs": [15, 30]}, 15_000, True),
        ({"rqddurs": [15, 30]}, 14_960, True),
        ({"rqddurs": [10, 30]}, 15_000, False),
    ],
)
@pytest.mark.parametrize("kind", [Video, Audio])
def test_durations(kind: type[Video | Audio], slot: dict[str, Any], duration_ms: int, fits: bool) -> None:
    """Lengths obey rqddurs, or minduration to maxduration with its extension, for video and audio."""
    assert duration_fits(duration_ms, kind(**slot)) is fits


@pytest.mark.parametrize(
    ("slot", "chosen"),
    [
        ({"mimes": ["video/mp4"]}, (WIDE, SMALL)),
        ({"mimes": ["video/mp4"], "w": 640, "h": 360}, (SMALL, WIDE)),
        ({"mimes": ["video/mp4", "video/webm"], "w": 640, "h": 360}, (SMALL, WEBM, WIDE)),
        ({"mimes": ["video/mp4"], "maxbitrate": 1500}, (SMALL,)),
        ({"mimes": ["video/mp4"], "minbitrate": 1500}, (WIDE,)),
        ({"mimes": ["video/mp4"], "minbitrate": 9000}, ()),
        ({"mimes": ["application/x-mpegURL"], "minbitrate": 9000}, (LIVE,)),
        ({"mimes": ["video/mp4", "application/x-mpegURL"], "delivery": [1]}, (LIVE,)),
        ({"mimes": ["video/mp4", "application/x-mpegURL"], "delivery": [2]}, (WIDE, SMALL)),
        ({"mimes": ["video/mp4"], "delivery": [3]}, (WIDE, SMALL)),
        ({"mimes": ["video/mp4"], "boxingallowed": 0, "w": 640, "h": 480}, ()),
        ({"mimes": ["video/mp4"], "boxingallowed": 0, "w": 854, "h": 480}, (SMALL, WIDE)),
        ({"mimes": ["video/ogg"]}, ()),
        ({"mimes": []}, ()),
        ({}, ()),
    ],
)
def test_files_are_chosen_by_the_slot(slot: dict[str, Any], chosen: tuple[MediaFile, ...]) -> None:
    """Type, bitrate, delivery and shape decide what a video slot can play; the nearest size comes first."""
    assert choose_media(VIDEO.media, Video(**slot)) == chosen


def test_audio_files_are_chosen_too() -> None:
    """Audio slots choose by type and bitrate."""
    assert choose_media((SOUND,), Audio(mimes=["audio/mpeg"], maxbitrate=128)) == (SOUND,)
    assert choose_media((SOUND,), Audio(mimes=["audio/mpeg"], maxbitrate=96)) == ()
