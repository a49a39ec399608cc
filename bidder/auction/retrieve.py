"""Step 4 of a bid: which line items may bid on each impression of the batch.

Place: after the person read; price takes the Field.
Shapes: sets of line items are ints until field.py turns the whole batch into arrays.
Limits: `max_candidates` line items per impression of each kind (those for anyone, those for the person's segments),
    the ones that may pay most; what is over is counted as CANDIDATE_LIMIT.
"""

from collections.abc import Mapping, Sequence

from bidder.auction.field import Field, Run, Runs, Slot, first_bits, lines_of, with_deals
from bidder.auction.pending import Drops, Pending
from bidder.auction.world import World
from bidder.audience.frequency import Basis
from bidder.audience.person import Person, segments_of
from bidder.campaigns.dimensions import bits
from bidder.campaigns.index import Audience, Index
from bidder.opportunity import Opportunity
from bidder.outcome import Drop, Outcome


def retrieve(batch: Sequence[Pending], world: World, now_s: float, drops: Drops) -> Field:
    """The candidates of every impression of a batch; tells each Pending whether it has any."""
    index, limit = world.index, world.max_candidates
    masks = [_request_mask(pending, index, now_s, drops) for pending in batch]
    reached = [_by_segments(pending.person, index.audiences, int(now_s)) for pending in batch]
    runs = Runs()
    deals: list[tuple[int, int, int]] = []
    for number, (pending, mask, (wanted, refused)) in enumerate(zip(batch, masks, reached, strict=True)):
        if refused:
            mask ^= mask & bits(refused)
        uncounted = _uncounted(pending, index)
        for opportunity in pending.context.opportunities if mask else ():
            fitting = mask & index.slot_mask(opportunity)
            if uncounted and (hit := fitting & uncounted):
                fitting ^= hit
                drops.add(Drop.UNCOUNTED, (hit & index.for_anyone).bit_count())
                pending.why_none = Outcome.FILTERED
            if not fitting:
                continue
            if opportunity.deals:
                offered = _deal_lines(len(runs.slots), opportunity, fitting, index, wanted)
                if offered:
                    deals += offered
                    pending.why_none = Outcome.FILTERED
            found = [] if opportunity.private else _in_open(fitting, index, wanted, (limit, drops))
            runs.add(Slot(number, opportunity), found)
            if found:
                pending.why_none = Outcome.FILTERED
    field = runs.field()
    return with_deals(field, deals) if deals else field


def _uncounted(pending: Pending, index: Index) -> int:
    """Line items whose caps need views that nobody counts here."""
    exposure = pending.exposure
    if exposure is None:
        return index.capped
    return index.capped ^ index.capped_visitors if exposure.basis is Basis.VISITOR else 0


def _in_open(fitting: int, index: Index, wanted: list[Run], bounds: tuple[int, Drops]) -> list[Run]:
    """The line items of `fitting` that bid in the open auction, as runs; `bounds` are the limit and what it drops."""
    limit, drops = bounds
    if index.deals_only:
        fitting ^= fitting & index.deals_only
    found, held = [], 0
    for first, window in wanted:
        hit = (fitting >> first) & window
        if hit:
            found.append((first, hit))
            held += hit.bit_count()
    if held > limit:
        drops.add(Drop.CANDIDATE_LIMIT, held - limit)
        found = _best_paying(found, index, limit)
    anyone, over = first_bits(fitting & index.for_anyone, limit)
    if over:
        drops.add(Drop.CANDIDATE_LIMIT, over)
    if anyone:
        found.append((0, anyone))
    return found


def _best_paying(found: list[Run], index: Index, limit: int) -> list[Run]:
    """Those of the line items that may pay most, one to a run."""
    lines = index.lines
    ranked = sorted(lines_of(found), key=lambda i: -lines[i].rank)
    return [(i, 1) for i in ranked[:limit]]


def _request_mask(pending: Pending, index: Index, now_s: float, drops: Drops) -> int:
    """Targeting and blocks of the request."""
    mask = index.request_mask(pending.context, now_s)
    request = pending.context.request
    if mask and (request.badv or request.bcat or request.bapp):
        advertisers, categories = index.blocked_masks(request)
        if mask & (advertisers | categories):
            pending.why_none = Outcome.FILTERED
        if advertisers and (hit := mask & advertisers):
            mask ^= hit
            drops.add(Drop.ADVERTISER_BLOCKED, hit.bit_count())
        if categories and (hit := mask & categories):
            mask ^= hit
            drops.add(Drop.CATEGORY_BLOCKED, hit.bit_count())
    return mask


def _by_segments(
    person: Person | None, audiences: Mapping[bytes, Audience], now_s: int
) -> tuple[list[Run], list[int]]:
    """(line items that want one of this person's segments and refuse none, as runs; others that refuse one)."""
    wanted: list[Run] = []
    elsewhere: list[int] = []
    if person is None:
        return wanted, elsewhere
    for field, value in person.fields.items():
        if field not in audiences:
            continue
        first, rules = audiences[field]
        window = refused = 0
        for key, expires_s in segments_of(value, now_s):
            if expires_s > now_s and key in rules:
                wants, refuses, refuse_elsewhere = rules[key]
                window |= wants
                refused |= refuses
                if refuse_elsewhere:
                    elsewhere += refuse_elsewhere
        window &= ~refused
        if window:
            wanted.append((first, window))
    return wanted, elsewhere


def _deal_lines(
    place: int, opportunity: Opportunity, fitting: int, index: Index, wanted: list[Run]
) -> list[tuple[int, int, int]]:
    """(impression, line item, deal number) of the line items that hold one of the deals on offer."""
    held = [
        (number, lines)
        for number, offer in enumerate(opportunity.deals)
        if (lines := index.deals.get(offer.deal.id))
    ]
    if not held:
        return []
    packed = fitting.to_bytes((index.count + 7) >> 3, "little")
    reached = set(lines_of(wanted))
    return [
        (place, i, number)
        for number, lines in held
        for i in lines
        if packed[i >> 3] >> (i & 7) & 1 and (not index.lines[i].segments or i in reached)
    ]
