"""The published tables of ../shared/data, figure by figure, and what the harness makes of them.

Shapes: impressions / clicks / cost of rlb.py; parameter, profit, conversions, rows, impressions, cost of sam.py.
Source: Cai et al., WSDM 2017 and its repository; Zhang and Wang, KDD 2015; ortb1 and the larger budgets: measured
    with the same rules.
"""

from typing import Final

from benchmarks.pacing import rlb, sam
from benchmarks.pacing.logs import campaign_1458, campaign_2997, history_2997

RLB: Final[dict[int, dict[str, tuple[int, int, int]]]] = {
    32: {
        "mcpc": (14_752, 48, 307_751),
        "lin": (32_208, 71, 203_610),
        "ortb1": (35_337, 73, 234_936),
        "ss-mdp": (40_395, 80, 306_637),
        "rlb": (39_680, 78, 304_375),
    },
    16: {
        "mcpc": (29_034, 82, 614_884),
        "lin": (38_978, 77, 270_386),
        "ortb1": (52_007, 103, 547_650),
        "rlb": (57_267, 119, 609_392),
    },
    8: {
        "mcpc": (57_564, 144, 1_228_618),
        "lin": (45_924, 93, 363_934),
        "ortb1": (72_448, 161, 1_181_202),
        "rlb": (77_791, 176, 1_220_832),
    },
    4: {
        "mcpc": (96_292, 244, 2_102_858),
        "lin": (83_979, 242, 2_451_952),
        "ortb1": (96_284, 260, 2_440_425),
        "rlb": (103_316, 260, 2_444_319),
    },
    2: {
        "mcpc": (98_718, 254, 2_168_396),
        "lin": (121_167, 377, 4_808_009),
        "ortb1": (121_617, 381, 4_878_310),
    },
}
"""By one over the budget's share."""
SAM: Final[dict[str, tuple[float, float, int, int, int, int]]] = {
    "const": (5, -2.96, 0, 80_000, 740, 2_958),
    "truth": (0, 44.72, 3, 80_000, 601, 11_862),
    "lin": (75, -93.89, 13, 59_404, 10_843, 339_097),
    "ortb": (290, -131.61, 11, 55_468, 12_556, 339_091),
    "sam1": (25, 45.77, 6, 80_000, 3_148, 67_405),
    "sam2": (7.1, 63.92, 7, 80_000, 4_146, 68_116),
}


def differences(parts: tuple[int, ...] = tuple(RLB)) -> list[str]:
    """What does not agree to the digit: one sentence each."""
    return [*rlb_differences(parts), *sam_differences()]


def rlb_differences(parts: tuple[int, ...]) -> list[str]:
    """Rows of the RLB table for these budgets."""
    found = rlb.table(campaign_2997(), history_2997(), parts)
    wrong = []
    for part in parts:
        for name, wanted in RLB[part].items():
            tally = found[f"1/{part}"][name]
            if (tally.impressions, tally.clicks, tally.cost) != wanted:
                wrong.append(f"rlb table, 1/{part}, {name}: {tally} for {wanted}")
    return wrong


def sam_differences() -> list[str]:
    """Rows of the SAM table."""
    wrong = []
    for name, row in sam.table(campaign_1458(), campaign_1458("test")).items():
        got = (row.parameter, round(row.profit, 2), row.conversions, row.rows, row.impressions, row.cost)
        if got != SAM[name]:
            wrong.append(f"sam table, {name}: {got} for {SAM[name]}")
    return wrong
