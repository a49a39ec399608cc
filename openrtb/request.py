"""The bid request of OpenRTB 2.6 as Structs: every object and field that a bidder reads, under its spec name.

Place: intake; `codec.decode_request` makes it, `upgrade` folds 2.5 places into it, `validate` judges it.
Shapes: optional fields are None when absent or null; unknown fields are skipped undecoded; `ext` is typed
    only where it is read. `from openrtb.request import X` gives every object of the request.
Source: OpenRTB 2.6-202606 sections 3.2.1-3.2.5, 3.2.11, 3.2.12, 3.2.25, 3.2.26, 3.2.31, 3.2.33, 3.2.34.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from openrtb.context import (
    DOOH,
    EID,
    UID,
    App,
    BrandVersion,
    Channel,
    Content,
    Data,
    Device,
    DeviceExt,
    Geo,
    InventoryExt,
    Network,
    Publisher,
    Segment,
    Site,
    User,
    UserAgent,
    UserExt,
)
from openrtb.limits import MAX_CODES, MAX_DEALS, MAX_IMPS, MAX_NODES
from openrtb.media import Audio, Banner, DurFloors, Format, Native, Video, VideoExt
from openrtb.wire import CodeNames, Codes, Flag, Float, Id, Int, Listed, Wire

__all__ = [
    "DOOH",
    "DSA",
    "EID",
    "UID",
    "App",
    "Audio",
    "Banner",
    "BidRequest",
    "BrandVersion",
    "Channel",
    "Content",
    "DSATransparency",
    "Data",
    "Deal",
    "Device",
    "DeviceExt",
    "DurFloors",
    "Format",
    "Geo",
    "Imp",
    "ImpExt",
    "ImpExtPrebid",
    "InventoryExt",
    "Metric",
    "Native",
    "Network",
    "Pmp",
    "Publisher",
    "Qty",
    "RefSettings",
    "Refresh",
    "Regs",
    "RegsExt",
    "RequestExt",
    "Segment",
    "Site",
    "Source",
    "SourceExt",
    "SupplyChain",
    "SupplyChainNode",
    "User",
    "UserAgent",
    "UserExt",
    "Video",
    "VideoExt",
]


class SupplyChainNode(Wire):
    """3.2.26: one seller in the chain."""

    asi: str | None = None
    sid: str | None = None
    rid: str | None = None
    name: str | None = None
    domain: str | None = None
    hp: Flag | None = None


class SupplyChain(Wire):
    """3.2.25: who passed the request on, owner first when `complete`."""

    complete: Flag | None = None
    nodes: Annotated[list[SupplyChainNode], Meta(max_length=MAX_NODES)] | None = None
    ver: str | None = None


class SourceExt(Wire):
    """The 2.5 place of `schain`."""

    schain: SupplyChain | None = None


class Source(Wire):
    """3.2.2: where the auction comes from."""

    fd: Int | None = None
    tid: str | None = None
    pchain: str | None = None
    schain: SupplyChain | None = None
    ext: SourceExt | None = None


class DSATransparency(Wire):
    """Who applied which targeting parameters, for the Digital Services Act."""

    domain: str | None = None
    dsaparams: Codes | None = None


class DSA(Wire):
    """`regs.ext.dsa`: dsarequired 2 or 3 makes `bid.ext.dsa` mandatory."""

    dsarequired: Int | None = None
    pubrender: Int | None = None
    datatopub: Int | None = None
    transparency: Annotated[list[DSATransparency], Meta(max_length=MAX_CODES)] | None = None


class RegsExt(Wire):
    """2.5 places of the privacy signals; `gpc`, `s22580` and `dsa` have their official place here."""

    gdpr: Flag | None = None
    us_privacy: str | None = None
    gpp: str | None = None
    gpp_sid: Codes | None = None
    gpc: Flag | None = None
    s22580: Flag | None = None
    """California Business and Professions Code 22580: the inventory is directed to minors."""
    coppa: Flag | None = None
    dsa: DSA | None = None


class Regs(Wire):
    """3.2.3: the privacy rules in force."""

    coppa: Flag | None = None
    gdpr: Flag | None = None
    us_privacy: str | None = None
    gpp: str | None = None
    gpp_sid: Codes | None = None
    ext: RegsExt | None = None


class Metric(Wire):
    """3.2.5: what is known of the slot, for example viewability."""

    type: str | None = None
    value: Float | None = None
    vendor: str | None = None


class Deal(Wire):
    """3.2.12: one deal; an absent `bidfloorcur` is USD, never the imp's."""

    id: Id
    bidfloor: Float | None = None
    bidfloorcur: str | None = None
    at: Int | None = None
    wseat: Listed | None = None
    wadomain: Listed | None = None
    guar: Flag | None = None
    mincpmpersec: Float | None = None
    durfloors: Annotated[list[DurFloors], Meta(max_length=MAX_CODES)] | None = None


class Pmp(Wire):
    """3.2.11: the private marketplace of an imp; private_auction 1 = deal bids only."""

    private_auction: Flag | None = None
    deals: Annotated[list[Deal], Meta(max_length=MAX_DEALS)] | None = None


class Qty(Wire):
    """3.2.31: impressions per ad shown (DOOH); cost = price / 1000 x multiplier."""

    multiplier: Float | None = None
    sourcetype: Int | None = None
    vendor: str | None = None


class RefSettings(Wire):
    """3.2.34: what makes a slot refresh, and after how many seconds at least."""

    reftype: Int | None = None
    minint: Int | None = None


class Refresh(Wire):
    """3.2.33: whether and how the slot refreshes itself."""

    refsettings: Annotated[list[RefSettings], Meta(max_length=MAX_CODES)] | None = None
    count: Int | None = None


class ImpExtPrebid(Wire):
    """Prebid's place of `imp.rwdd`."""

    is_rewarded_inventory: Flag | None = None


class ImpExt(Wire):
    """What the trade agreed to put under `imp.ext`; `gpid` is the global placement id."""

    gpid: str | None = None
    prebid: ImpExtPrebid | None = None


class Imp(Wire):
    """3.2.4: one slot on offer; floors are CPM."""

    id: Id
    metric: Annotated[list[Metric], Meta(max_length=MAX_CODES)] | None = None
    banner: Banner | None = None
    video: Video | None = None
    audio: Audio | None = None
    native: Native | None = None
    pmp: Pmp | None = None
    displaymanager: str | None = None
    displaymanagerver: str | None = None
    instl: Flag | None = None
    tagid: str | None = None
    bidfloor: Float | None = None
    bidfloorcur: str | None = None
    clickbrowser: Flag | None = None
    secure: Flag | None = None
    iframebuster: CodeNames | None = None
    rwdd: Flag | None = None
    ssai: Int | None = None
    exp: Int | None = None
    qty: Qty | None = None
    dt: Float | None = None
    refresh: Refresh | None = None
    ext: ImpExt | None = None


class RequestExt(Wire):
    """The 2.4 place of `source.schain`."""

    schain: SupplyChain | None = None


class BidRequest(Wire):
    """3.2.1: one auction. Absent `at` means 2, absent `cur` USD; `tmax` is milliseconds with the network."""

    id: Id
    imp: Annotated[list[Imp], Meta(min_length=1, max_length=MAX_IMPS)]
    site: Site | None = None
    app: App | None = None
    dooh: DOOH | None = None
    device: Device | None = None
    user: User | None = None
    test: Flag | None = None
    at: Int | None = None
    tmax: Int | None = None
    wseat: Listed | None = None
    bseat: Listed | None = None
    allimps: Flag | None = None
    cur: CodeNames | None = None
    wlang: CodeNames | None = None
    wlangb: CodeNames | None = None
    acat: Listed | None = None
    bcat: Listed | None = None
    cattax: Int | None = None
    badv: Listed | None = None
    bapp: Listed | None = None
    source: Source | None = None
    regs: Regs | None = None
    ext: RequestExt | None = None
