"""`paceline audit`: rebuilds every balance from the journal, and proves or disproves the books.

Place: __main__ registers it; it reads the ledger and the journal's folder of the service, and changes nothing.
Shapes: results on stdout, problems on stderr; exit code 0 = every balance is proven, 1 = something does not add up or
    cannot be read.
Units: text shows decimals of the advertiser's currency, JSON micros.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from msgspec import Struct

from bidder.campaigns.model import Advertiser
from bidder.commands.ledger import CannotBe, hint, readable_advertisers, run
from bidder.config import Config
from budget.audit import Audit, Finding, audit
from budget.journal import Damaged, JournaledStore, folder_of, read
from budget.money import Micros, amount_text

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

FOLDER: Final = "journal"
"""In the data directory, where no other is configured."""


class Proof(Struct, frozen=True):
    """One advertiser's books under audit."""

    audit: Audit
    findings: tuple[Finding, ...]
    currency: str

    @property
    def available(self) -> Micros:
        """Of the wallet, by the journal."""
        return Micros(self.audit.funded - self.audit.leased - self.audit.spent)


def register(subparsers: "Subparsers") -> None:
    """Add `audit` to the command line."""
    parser = subparsers.add_parser("audit", help="prove every balance from the journal")
    parser.add_argument("advertiser", nargs="?", help="default: all that the ledger or the journal knows")
    parser.add_argument("--json", action="store_true", help="micros, for programs")
    parser.add_argument("--config", type=Path, help="configuration file; default: PACELINE_CONFIG")
    parser.set_defaults(run=lambda args: run(args, _audit, moves=False))


def journal_folder(config: Config) -> Path:
    """Where `serve` with this configuration keeps the journal's segments."""
    return Path(config.ledger.journal_dir or Path(config.data_dir) / FOLDER)


async def _audit(config: Config, args: argparse.Namespace, store: JournaledStore) -> int:
    folder = journal_folder(config)
    known = set(await store.advertisers()) | _archived(folder)
    if args.advertiser and args.advertiser not in known:
        raise CannotBe(f"{args.advertiser} has no account; {hint(known)}")
    if known and not folder.is_dir():
        print(f"paceline: there is no folder {folder}: only what the ledger holds is read", file=sys.stderr)
    named = readable_advertisers(config)
    proofs = [
        await _prove(store, folder, name, named.get(name))
        for name in ([args.advertiser] if args.advertiser else sorted(known))
    ]
    if args.json:
        print(json.dumps(list(map(_as_json, proofs)), indent=1))
    else:
        print("\n\n".join(map(_as_text, proofs)) or "no accounts yet")
    return 1 if any(proof.findings for proof in proofs) else 0


async def _prove(store: JournaledStore, folder: Path, name: str, advertiser: Advertiser | None) -> Proof:
    """Audit one advertiser; raises CannotBe where the journal cannot be read."""
    try:
        found = await audit(store, folder, name)
        forgotten = await _forgotten(store, folder, found)
    except (Damaged, OSError) as error:
        raise CannotBe(f"the journal of {name} in {folder} cannot be read: {error}") from None
    return Proof(found, (*found.findings, *forgotten), advertiser.currency if advertiser else "")


async def _forgotten(store: JournaledStore, folder: Path, found: Audit) -> list[Finding]:
    """What stands in segments and is beyond the ledger's last entry: a ledger that came back without its data."""
    own = folder_of(folder, found.advertiser)
    archived = max((entry.n for entry in read(own, found.entries)), default=0)
    last = await store.last_entry(found.advertiser)
    if archived <= last:
        return []
    return [Finding("journal", f"the ledger has forgotten entries {last + 1} to {archived}")]


def _archived(folder: Path) -> set[str]:
    """Advertisers that have segments."""
    try:
        return {unquote(path.name) for path in folder.iterdir() if path.is_dir()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise CannotBe(f"the journal's folder {folder} cannot be read: {error.strerror or error}") from None


def _as_text(proof: Proof) -> str:
    found = proof.audit
    verdict = f"{len(proof.findings)} FINDINGS" if proof.findings else "every balance is proven"
    funded, free, leased, spent, late, absorbed = map(
        amount_text, (found.funded, proof.available, found.leased, found.spent, found.late, found.absorbed)
    )
    lines = [
        f"{found.advertiser}{proof.currency and '  ' + proof.currency}  {found.entries:,} entries: {verdict}",
        f"  funded {funded} = available {free} + leased {leased} + spent {spent}",
        f"  late {late} of what is spent; absorbed {absorbed}",
    ]
    lines += [f"  OVERSPENT {name}: {amount_text(over)}" for name, over in _overspent(found).items()]
    return "\n".join(lines + [f"  WRONG {finding.subject}: {finding.what}" for finding in proof.findings])


def _as_json(proof: Proof) -> dict[str, Any]:
    found = proof.audit
    return {
        "advertiser": found.advertiser,
        "currency": proof.currency or None,
        "proven": not proof.findings,
        "entries": found.entries,
        "funded_micros": found.funded,
        "available_micros": proof.available,
        "leased_micros": found.leased,
        "spent_micros": found.spent,
        "late_micros": found.late,
        "absorbed_micros": found.absorbed,
        "overspend_micros": _overspent(found),
        "findings": [{"subject": finding.subject, "what": finding.what} for finding in proof.findings],
    }


def _overspent(found: Audit) -> dict[str, Micros]:
    return {name: over for name, over in found.overspend.items() if over}
