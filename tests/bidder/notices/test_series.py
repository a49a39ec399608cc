"""Labels of line items stay few."""

from bidder.notices.series import OTHERS, UNKNOWN, LineSeries


def test_line_items_beyond_the_bound_share_a_series() -> None:
    """The first ones keep their names for ever; what comes after them is counted under other."""
    series = LineSeries(limit=2)
    first, second = ("a", "1"), ("a", "2")
    assert [series.of(*names) for names in (first, second, ("a", "3"), first)] == [
        first,
        second,
        OTHERS,
        first,
    ]


def test_line_items_that_are_gone_share_a_series() -> None:
    """Without a name they are unknown, also where all series are given away, and take none from others."""
    series = LineSeries(limit=1)
    names = [series.of(*names) for names in (("", ""), ("a", "1"), ("", ""))]
    assert names == [UNKNOWN, ("a", "1"), UNKNOWN]
