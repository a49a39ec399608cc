"""A worker's money and pace: leases ahead of need, the durable queue of notices, charges, and the pace of all workers."""
