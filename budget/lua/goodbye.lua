-- A worker makes no more bids: it counts as alive only until its last one can no longer be charged.
-- KEYS 4 workers, 5 answered op
-- ARGV 2 op id, 3 worker, 4 seconds until its last bid's deadline, 5 seconds that the op is remembered
-- Returns done | duplicate
if call('EXISTS', KEYS[5]) == 1 then return 'duplicate' end
if number(call('HGET', KEYS[4], ARGV[3])) < 0 then return 'duplicate' end
call('HSET', KEYS[4], ARGV[3], moment(clock + tonumber(ARGV[4])))
call('SET', KEYS[5], '1', 'EX', ARGV[5])
journal('goodbye', 'op', ARGV[2], 'worker', ARGV[3])
return 'done'
