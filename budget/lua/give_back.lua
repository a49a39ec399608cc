-- At most an amount of what is left of a lease goes home; an empty lease is forgotten.
-- KEYS 4 lease, 5 leases of the worker, 6 answered op
-- ARGV 2 op id, 3 lease id, 4 amount, 5 seconds that the op is remembered
-- Returns done | duplicate | gone
if call('EXISTS', KEYS[6]) == 1 then return 'duplicate' end
local lease = call('HMGET', KEYS[4], 'path', 'left')
if not lease[1] then return 'gone' end
local amount = math.min(tonumber(ARGV[4]), tonumber(lease[2]))
for _, name in ipairs(split(lease[1])) do
  call('HINCRBY', KEYS[3], name .. '|leased', whole(0 - amount))
end
if amount == tonumber(lease[2]) then
  call('DEL', KEYS[4])
  call('SREM', KEYS[5], ARGV[3])
else
  call('HINCRBY', KEYS[4], 'left', whole(0 - amount))
end
call('SET', KEYS[6], '1', 'EX', ARGV[5])
journal('give_back', 'op', ARGV[2], 'lease', ARGV[3], 'amount', whole(amount))
return 'done'
