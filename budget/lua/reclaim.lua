-- What is left of a dead worker's leases goes home; its name is kept as gone.
-- KEYS 4 workers, 5 leases of the worker, 6 its inbox, 7... its leases, as its set held them a moment ago
-- ARGV 2 op id, 3 worker, 4 seconds that it is kept as gone, 5... the ids of KEYS 7...
-- Returns done | duplicate | alive | again (its set has changed)
local until_s = tonumber(call('HGET', KEYS[4], ARGV[3]) or -1)
if until_s < 0 then return 'duplicate' end
if until_s >= clock then return 'alive' end
if call('SCARD', KEYS[5]) ~= #KEYS - 6 then return 'again' end
for i = 5, #ARGV do
  if call('SISMEMBER', KEYS[5], ARGV[i]) == 0 then return 'again' end
end
local home, leases = {}, {}
for i = 7, #KEYS do
  local lease = call('HMGET', KEYS[i], 'path', 'left')
  for _, name in ipairs(split(lease[1])) do
    home[name] = (home[name] or 0) + tonumber(lease[2])
  end
  leases[#leases + 1] = ARGV[i - 2] .. ':' .. lease[2]
  call('DEL', KEYS[i])
end
for name, amount in pairs(home) do
  call('HINCRBY', KEYS[3], name .. '|leased', whole(0 - amount))
end
local workers, oldest = call('HGETALL', KEYS[4]), clock - tonumber(ARGV[4])
for i = 1, #workers, 2 do
  local value = tonumber(workers[i + 1])
  if value < 0 and -value < oldest then call('HDEL', KEYS[4], workers[i]) end
end
call('HSET', KEYS[4], ARGV[3], '-' .. moment(clock))
call('DEL', KEYS[5], KEYS[6])
call('HDEL', KEYS[1], 'g' .. ARGV[3], 'h' .. ARGV[3])
journal('reclaim', 'op', ARGV[2], 'worker', ARGV[3], 'leases', table.concat(leases, '\n'))
return 'done'
