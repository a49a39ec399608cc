"""An advertiser's books as `paceline budget show` tells them."""

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.commands.ledger import amount_text, amount_texts, hint
from bidder.commands.statement import as_json, as_text
from budget.accounts import Level
from budget.memory_store import MemoryStore
from budget.money import Micros, micros_from_text
from budget.store import Books, LeaseRequest, Settlement, Status

SHOP = load_book(demo_book_path()).advertisers[0]
CAMPAIGN = SHOP.campaigns[0]
LINE = CAMPAIGN.line_items[0]
NOW_S = 1_800_000_000.0
WORKER = 7
PATH = (
    Level("wallet"),
    Level(f"campaign/{CAMPAIGN.id}", micros_from_text(500)),
    Level(f"campaign/{CAMPAIGN.id}/day/2027-01-15", micros_from_text(50)),
    Level(f"line/{LINE.id}"),
    Level(f"line/{LINE.id}/hour/2027-01-15T08", micros_from_text(20)),
)


async def books() -> Books:
    """1,000 funded, 8 leased, of which 2 settled; 1.5 late; the line item paused, and one that never bid."""
    store = MemoryStore(lambda: NOW_S)
    await store.fund(SHOP.id, "f", micros_from_text(1_000))
    lease_id = WORKER << 32 | 1
    wanted = micros_from_text(8)
    (grant,) = await store.lease(SHOP.id, [LeaseRequest("l", WORKER, lease_id, PATH, wanted, wanted, 60.0)])
    assert grant.granted == wanted
    names = tuple(level.account for level in PATH)
    two, late = micros_from_text(2), micros_from_text("1.5")
    settlements = [
        Settlement(b"a" * 12, lease_id, two, two, int(NOW_S) + 60, names),
        Settlement(b"b" * 12, lease_id, late, late, int(NOW_S) - 60, names),
    ]
    assert await store.settle(SHOP.id, settlements) == [Status.SETTLED, Status.LATE]
    await store.pause(SHOP.id, "p", f"line/{LINE.id}", True)
    await store.pause(SHOP.id, "q", "line/never-bid", True)
    return await store.books(SHOP.id)


async def test_the_tree_has_every_account_below_its_parent() -> None:
    """Campaign below wallet, line item below its campaign, hours and days below what they are parts of."""
    lines = as_text(await books(), SHOP, leases=False).splitlines()
    assert lines[0] == f"{SHOP.id}  {SHOP.name}  {SHOP.currency}"
    assert [line.split("  ")[0] or line.lstrip().split("  ")[0] for line in lines[2:]] == [
        "wallet",
        f"campaign/{CAMPAIGN.id}",
        "day/2027-01-15",
        f"line/{LINE.id}",
        "hour/2027-01-15T08",
        "line/never-bid",
    ]
    indents = [len(line) - len(line.lstrip()) for line in lines[2:]]
    assert indents == [0, 2, 4, 4, 6, 2]
    wallet, campaign, line = lines[2].split(), lines[3].split(), lines[5].split()
    assert wallet[1:] == ["1,000.00", "3.50", "6.00", "990.50", "1.50", "[..........]", "0.4%"]
    assert campaign[1:] == ["500.00", "3.50", "6.00", "490.50", "1.50", "[..........]", "0.7%"]
    assert line[1:] == ["-", "3.50", "6.00", "-", "1.50", "paused"]
    assert "[#.........]  17.5%" in lines[6]


async def test_json_has_the_same_in_micros() -> None:
    """Exact integers, a parent for each account but the wallet, leases only when asked for."""
    told = as_json(await books(), SHOP, leases=True)
    accounts = {account["account"]: account for account in told["accounts"]}
    assert (told["advertiser"], told["currency"], told["absorbed_micros"]) == (SHOP.id, SHOP.currency, 0)
    assert accounts["wallet"]["parent"] is None
    assert accounts["wallet"]["limit_micros"] == 1_000_000_000
    assert accounts["wallet"]["available_micros"] == 990_500_000
    assert accounts["wallet"]["utilisation"] == 0.0035
    assert accounts[f"line/{LINE.id}"]["parent"] == f"campaign/{CAMPAIGN.id}"
    assert accounts[f"line/{LINE.id}"]["limit_micros"] is None
    assert accounts[f"line/{LINE.id}"]["paused"]
    assert accounts[PATH[4].account]["parent"] == f"line/{LINE.id}"
    (lease,) = told["leases"]
    assert (lease["worker"], lease["left_micros"], lease["settled_micros"]) == (WORKER, 6_000_000, 2_000_000)
    assert "leases" not in as_json(await books(), SHOP, leases=False)


async def test_leases_are_told_by_worker() -> None:
    """Who holds what for which line item, and until when it counts as alive."""
    text = as_text(await books(), SHOP, leases=True).splitlines()
    assert text[-2].split() == [
        "WORKER",
        "ALIVE",
        "UNTIL",
        "LEASE",
        "LINE",
        "ITEM",
        "GRANTED",
        "SETTLED",
        "GIVEN",
        "BACK",
        "LEFT",
    ]
    row = text[-1].split()
    assert row[0] == str(WORKER)
    assert row[1] == "2027-01-15"
    assert row[-5:] == [LINE.id, "8.00", "2.00", "0.00", "6.00"]


async def test_without_the_campaign_file_leases_tell_the_tree() -> None:
    """An advertiser that is in no file any more is told without name and currency, its line items in place."""
    told = as_json(await books(), None, leases=False)
    parents = {account["account"]: account["parent"] for account in told["accounts"]}
    assert told["currency"] is None
    assert parents[f"line/{LINE.id}"] == f"campaign/{CAMPAIGN.id}"
    assert as_text(await books(), None, leases=False).splitlines()[0] == SHOP.id


async def test_absorbed_money_is_said() -> None:
    """What came late and found no room is told apart from what was spent."""
    store = MemoryStore(lambda: NOW_S)
    await store.fund(SHOP.id, "f", Micros(5))
    late = Settlement(b"a" * 12, 0, Micros(9), Micros(9), int(NOW_S) - 60, ("wallet",))
    assert await store.settle(SHOP.id, [late]) == [Status.ABSORBED]
    text = as_text(await store.books(SHOP.id), SHOP, leases=True)
    assert "absorbed, which no account pays: 0.000009" in text
    assert text.endswith("no leases")


async def test_nothing_at_all_is_a_wallet_of_nothing() -> None:
    """An advertiser that the ledger never saw has no money, and that is said."""
    text = as_text(await MemoryStore().books("nobody"), None, leases=False)
    assert text.splitlines()[-1].split() == ["wallet", *["0.00"] * 5, "not", "funded"]


async def test_an_account_with_nothing_left_is_said() -> None:
    """All is leased or spent: nobody need wonder why nothing bids."""
    store = MemoryStore(lambda: NOW_S)
    await store.fund(SHOP.id, "f", Micros(5))
    request = LeaseRequest("l", WORKER, WORKER << 32 | 1, (Level("wallet"),), Micros(5), Micros(5), 60.0)
    await store.lease(SHOP.id, [request])
    assert as_text(await store.books(SHOP.id), SHOP, leases=False).endswith("0.0%  nothing left")


def test_decimals_stand_below_each_other() -> None:
    """All amounts of a column have as many as its finest; where there is none, a dash."""
    assert amount_texts([1_500_000, None, 20_500, -3_000_000]) == ["1.5000", "-", "0.0205", "-3.0000"]
    assert amount_texts([None]) == ["-"]


def test_amounts_are_exact() -> None:
    """Two decimals at least, six where they are needed, thousands apart."""
    cases = {
        0: "0.00",
        1: "0.000001",
        1_500_000: "1.50",
        1_234_567_000_000: "1,234,567.00",
        -20_500: "-0.0205",
    }
    assert {micros: amount_text(micros) for micros in cases} == cases


def test_a_hint_is_short() -> None:
    """Ten names at most."""
    assert hint([]) == "none is known"
    assert hint(["b", "a"]) == "known: a, b"
    assert hint(map(str, range(12))).endswith(" and 2 more")
