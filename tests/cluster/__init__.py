"""Real clusters that lose their primaries: the money, the people and the day on them."""
