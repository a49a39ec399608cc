-- A bid that lost: its lease's owner is told to free what was reserved.
-- KEYS 4 lease, 5 what became of the bid, 6 inbox of the lease's worker
-- ARGV 2 bid id, 3 lease id, 4 price, 5 deadline, 6 seconds after the deadline that it is remembered
-- Returns released | late | duplicate
local fate = call('GET', KEYS[5])
if fate and tonumber(string.sub(fate, 2)) >= clock then return 'duplicate' end
local deadline = tonumber(ARGV[5])
if clock > deadline or call('EXISTS', KEYS[4]) == 0 then return 'late' end
local until_s = deadline + tonumber(ARGV[6])
call('SET', KEYS[5], 'r' .. moment(until_s), 'EX', whole(math.ceil(until_s - clock)))
local n = journal('release', 'bid', ARGV[2], 'lease', ARGV[3], 'price', ARGV[4], 'deadline', ARGV[5])
call('XADD', KEYS[6], whole(n) .. '-0', 'lease', ARGV[3], 'bid', ARGV[2], 'price', ARGV[4], 'amount', '0',
  'deadline', ARGV[5], 'at', moment(clock))
return 'released'
