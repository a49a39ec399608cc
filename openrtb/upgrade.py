"""Folds the 2.5 and 2.4 places of fields into those of 2.6, so that nobody past intake reads an old place.

Place: intake, after `codec.decode_request`, before `validate`.
Shapes: in place. Where core and `ext` both say something, core wins; an empty core string or list says
    nothing. What was folded is cleared from `ext`, and an `ext` with nothing left to read becomes None: a
    2.5 request and its 2.6 twin end as equal Structs. `gpc`, `s22580` and `dsa` stay in `regs.ext`, where they belong.
Source: the moves of OpenRTB 2.6 (202204, 202211) as Prebid Server's up-conversion knows them; Prebid.js still
    writes the 2.5 places in most of its requests, and native.request_native in some adapters.
"""

from __future__ import annotations

import msgspec

from openrtb.limits import MAX_NATIVE_CHARS
from openrtb.request import (
    App,
    BidRequest,
    Device,
    Imp,
    Native,
    Regs,
    RegsExt,
    Site,
    Source,
    SupplyChain,
    User,
)

_encode = msgspec.json.Encoder().encode


def upgrade(request: BidRequest) -> None:
    """Make a request read as 2.6, in place."""
    regs = request.regs
    if regs is not None and regs.ext is not None:
        _fold_regs(regs, regs.ext)
    user = request.user
    if user is not None and user.ext is not None:
        _fold_user(user)
    device = request.device
    if device is not None and device.ext is not None:
        _fold_device(device)
    if request.ext is not None or (request.source is not None and request.source.ext is not None):
        _fold_schain(request)
    inventory = request.site or request.app
    if inventory is not None and inventory.ext is not None:
        _fold_inventory(inventory)
    if request.site is not None and request.app is not None and request.app.ext is not None:
        _fold_inventory(request.app)
    for imp in request.imp:
        if imp.ext is not None or imp.video is not None:
            _fold_rewarded(imp)
        native = imp.native
        if native is not None and (native.request_native is not None or isinstance(native.request, dict)):
            _write_out(native)


def _fold_regs(regs: Regs, ext: RegsExt) -> None:
    if regs.gdpr is None:
        regs.gdpr = ext.gdpr
    if regs.coppa is None:
        regs.coppa = ext.coppa
    if not regs.us_privacy and ext.us_privacy is not None:
        regs.us_privacy = ext.us_privacy
    if not regs.gpp and ext.gpp is not None:
        regs.gpp = ext.gpp
    if not regs.gpp_sid and ext.gpp_sid is not None:
        regs.gpp_sid = ext.gpp_sid
    if ext.gpc is None and ext.dsa is None and ext.s22580 is None:
        regs.ext = None
    else:
        ext.gdpr = ext.coppa = ext.us_privacy = ext.gpp = ext.gpp_sid = None


def _fold_user(user: User) -> None:
    ext, user.ext = user.ext, None
    if ext is None:
        return
    if not user.consent and ext.consent is not None:
        user.consent = ext.consent
    if not user.eids and ext.eids is not None:
        user.eids = ext.eids


def _fold_device(device: Device) -> None:
    ext = device.ext
    if ext is None:
        return
    if device.sua is None:
        device.sua = ext.sua
    ext.sua = None
    if ext.ifa_type is None and ext.atts is None:
        device.ext = None


def _fold_schain(request: BidRequest) -> None:
    ext, request.ext = request.ext, None
    oldest: SupplyChain | None = None if ext is None else ext.schain
    source = request.source
    if source is None:
        if oldest is not None:
            request.source = Source(schain=oldest)
        return
    if source.schain is None:
        old = source.ext.schain if source.ext is not None else None
        source.schain = oldest if old is None else old
    source.ext = None


def _fold_inventory(inventory: Site | App) -> None:
    ext, inventory.ext = inventory.ext, None
    if ext is not None and not inventory.inventorypartnerdomain:
        inventory.inventorypartnerdomain = ext.inventorypartnerdomain


def _fold_rewarded(imp: Imp) -> None:
    ext, video = imp.ext, imp.video
    rewarded = None
    if video is not None:
        if video.protocols is None and video.protocol is not None:  # a single number before 2.2
            video.protocols = [video.protocol]
        if video.ext is not None:
            rewarded, video.ext = video.ext.rewarded, None
    if ext is not None:
        if ext.prebid is not None:
            rewarded = ext.prebid.is_rewarded_inventory or rewarded
            ext.prebid = None
        if ext.gpid is None:
            imp.ext = None
    if imp.rwdd is None:
        imp.rwdd = rewarded


def _write_out(native: Native) -> None:
    """JSON text is the one form of native.request; an object too deep or too long to be written out counts as
    absent."""
    request = native.request or native.request_native
    native.request_native = None
    if isinstance(request, dict):
        try:
            request = _encode(request).decode()
        except RecursionError:
            request = None
        if request is not None and len(request) > MAX_NATIVE_CHARS:
            request = None
    native.request = request
