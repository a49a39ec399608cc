-- Take from the wallet what is neither leased nor spent.
-- KEYS 4 answered op   ARGV 2 op id, 3 amount, 4 seconds that the op is remembered
-- Returns done | duplicate | refused
if call('EXISTS', KEYS[4]) == 1 then return 'duplicate' end
local wallet = call('HMGET', KEYS[3], 'wallet|funded', 'wallet|leased', 'wallet|spent')
local funded = number(wallet[1]) - tonumber(ARGV[3])
if funded - number(wallet[2]) - number(wallet[3]) < 0 then return 'refused' end
call('HSET', KEYS[3], 'wallet|funded', whole(funded))
call('SET', KEYS[4], '1', 'EX', ARGV[4])
journal('withdraw', 'op', ARGV[2], 'amount', ARGV[3])
return 'done'
