-- Everything at one moment. It changes nothing: its clock is the one kept, so ARGV 1 is told as that of long ago.
-- KEYS 4 workers, 5 paused accounts, then the leases of each worker, then each lease, as they were a moment ago
-- ARGV 2 number of workers, then of each: worker, number of its leases, their ids
-- Returns {clock, last entry, accounts, workers, paused, {path, granted, left, settled} of each lease};
--         nothing where a worker or a lease came or went meanwhile
local count = tonumber(ARGV[2])
if call('HLEN', KEYS[4]) ~= count then return false end
local at, leases = 3, {}
for i = 1, count do
  local size = tonumber(ARGV[at + 1])
  if call('HEXISTS', KEYS[4], ARGV[at]) == 0 or call('SCARD', KEYS[5 + i]) ~= size then return false end
  for j = at + 2, at + 1 + size do
    if call('SISMEMBER', KEYS[5 + i], ARGV[j]) == 0 then return false end
  end
  at = at + 2 + size
end
for i = 6 + count, #KEYS do
  leases[#leases + 1] = call('HMGET', KEYS[i], 'path', 'granted', 'left', 'settled')
end
return {moment(clock), number(call('HGET', KEYS[1], 'n')), call('HGETALL', KEYS[3]), call('HGETALL', KEYS[4]),
  call('SMEMBERS', KEYS[5]), leases}
