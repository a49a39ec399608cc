-- Charge an impression: out of its lease while that is on time, else out of what is available on every level.
-- KEYS 4 lease, 5 what became of the bid, 6 inbox of the lease's worker
-- ARGV 2 bid id, 3 lease id, 4 price, 5 amount, 6 deadline, 7 seconds after the deadline that a bid is remembered,
--      8 path used where the lease is gone
-- Returns settled | late | absorbed | duplicate
local fate = call('GET', KEYS[5])
if fate and tonumber(string.sub(fate, 2)) < clock then fate = false end  -- forgotten, whenever the key goes
if fate and string.sub(fate, 1, 1) == 's' then return 'duplicate' end
local amount, deadline, remember = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local until_s = math.max(clock, deadline) + remember
call('SET', KEYS[5], 's' .. moment(until_s), 'EX', whole(math.ceil(until_s - clock)))
local lease = call('HMGET', KEYS[4], 'path', 'left', 'settled')
local names, fields = split(lease[1] or ARGV[8]), {}

if not fate and lease[1] and clock <= deadline and tonumber(lease[2]) >= amount then
  for i, name in ipairs(names) do
    fields[2 * i - 1], fields[2 * i] = name .. '|leased', name .. '|spent'
  end
  local held, sets = call('HMGET', KEYS[3], unpack(fields)), {}
  for i = 1, #fields, 2 do
    sets[2 * i - 1], sets[2 * i] = fields[i], whole(number(held[i]) - amount)
    sets[2 * i + 1], sets[2 * i + 2] = fields[i + 1], whole(number(held[i + 1]) + amount)
  end
  call('HSET', KEYS[3], unpack(sets))
  call('HSET', KEYS[4], 'left', whole(tonumber(lease[2]) - amount), 'settled', whole(tonumber(lease[3]) + amount))
  local n = journal('settle', 'bid', ARGV[2], 'lease', ARGV[3], 'price', ARGV[4], 'amount', ARGV[5], 'deadline', ARGV[6])
  call('XADD', KEYS[6], whole(n) .. '-0', 'lease', ARGV[3], 'bid', ARGV[2], 'price', ARGV[4], 'amount', ARGV[5],
    'deadline', ARGV[6], 'at', moment(clock))
  return 'settled'
end

for i, name in ipairs(names) do
  fields[4 * i - 3] = name .. (name == 'wallet' and '|funded' or '|limit')
  fields[4 * i - 2], fields[4 * i - 1], fields[4 * i] = name .. '|leased', name .. '|spent', name .. '|late'
end
local held, sets, room = call('HMGET', KEYS[3], unpack(fields)), {}, clock <= deadline + remember
for i = 1, #fields, 4 do
  local limit = held[i] or (i == 1 and '0')
  room = room and (not limit or tonumber(limit) - number(held[i + 1]) - number(held[i + 2]) >= amount)
  sets[i], sets[i + 1] = fields[i + 2], whole(number(held[i + 2]) + amount)
  sets[i + 2], sets[i + 3] = fields[i + 3], whole(number(held[i + 3]) + amount)
end
local verb = room and 'late' or 'absorb'
if room then
  call('HSET', KEYS[3], unpack(sets))
else
  call('HINCRBY', KEYS[3], 'wallet|absorbed', ARGV[5])
end
journal(verb, 'bid', ARGV[2], 'lease', ARGV[3], 'amount', ARGV[5], 'deadline', ARGV[6],
  'accounts', table.concat(names, '\n'))
return room and 'late' or 'absorbed'
