-- A row of the match table leads to a person no more, and what was shown under its id goes.
-- KEYS    1 m:{tag} the row, 2 f:{tag} the views, 3 b:{tag} the marks, 4 the tag's guard
-- ARGV    1 the person's 16 bytes, 2 what the row is to hold instead (also where it is about to be written), or nothing,
--         3 seconds to live for it, 4 now in seconds, 5 seconds to live for the guard, 0: none
-- returns keys removed or replaced; 0 where the row leads to somebody else, and stays as it is
local row = redis.call('GET', KEYS[1])
if row and row ~= ARGV[1] then return 0 end
local removed = redis.call('DEL', KEYS[2], KEYS[3])
if row then removed = removed + 1 end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
else
  redis.call('DEL', KEYS[1])
end
if ARGV[5] ~= '0' then redis.call('SET', KEYS[4], ARGV[4], 'EX', ARGV[5]) end
return removed
