"""A worker's money and pace: leases, the durable queue of notices, charges, and the pace of all workers."""
