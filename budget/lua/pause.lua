-- No more leases through an account, or leases again.
-- KEYS 4 paused accounts, 5 answered op
-- ARGV 2 op id, 3 account, 4 pause | resume, 5 seconds that the op is remembered
-- Returns done | duplicate
if call('EXISTS', KEYS[5]) == 1 then return 'duplicate' end
call(ARGV[4] == 'pause' and 'SADD' or 'SREM', KEYS[4], ARGV[3])
call('SET', KEYS[5], '1', 'EX', ARGV[5])
journal(ARGV[4], 'op', ARGV[2], 'accounts', ARGV[3])
return 'done'
