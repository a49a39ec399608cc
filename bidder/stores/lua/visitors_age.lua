-- What is too old goes from what one advertiser knows of a person, if it is still what was read. Nobody was seen: no
-- key lives longer for it.
-- KEYS    1 p:{tag} the person's hash, 2 h:{tag} the histories
-- ARGV    1 the advertiser's field, 2 the profile that was read or '', 3 the history or '', 4 the profile that stays or
--         '', 5 the history that stays or ''
-- returns 1, or 0 where somebody wrote in between: nothing is done
for i = 1, 2 do
  if (redis.call('HGET', KEYS[i], ARGV[1]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = 1, 2 do
  if ARGV[i + 3] == '' then
    redis.call('HDEL', KEYS[i], ARGV[1])
  elseif ARGV[i + 3] ~= ARGV[i + 1] then
    redis.call('HSET', KEYS[i], ARGV[1], ARGV[i + 3])
  end
end
return 1
