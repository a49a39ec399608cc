"""Labels of line items stay few."""

from bidder.notices.series import OTHERS, LineSeries


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
