-- Forget accounts of days and hours that are over, where nothing is leased.
-- KEYS 4 answered op   ARGV 2 op id, 3 seconds that the op is remembered, 4... accounts
-- Returns how many
local known = call('GET', KEYS[4])
if known then return tonumber(known) end
local closed = {}
for i = 4, #ARGV do
  local name = ARGV[i]
  local held = call('HMGET', KEYS[3], name .. '|leased', name .. '|spent', name .. '|limit')
  if (held[1] or held[2] or held[3]) and number(held[1]) == 0 then
    call('HDEL', KEYS[3], name .. '|limit', name .. '|leased', name .. '|spent', name .. '|late')
    closed[#closed + 1] = name
  end
end
call('SET', KEYS[4], #closed, 'EX', ARGV[3])
journal('close', 'op', ARGV[2], 'accounts', table.concat(closed, '\n'))
return #closed
