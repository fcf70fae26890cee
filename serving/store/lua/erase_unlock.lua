-- ARGV: prefix, token, milliseconds for which the lock is held further, 0 to let go of it.
if not is_ours() then return 0 end
if ARGV[3] == '0' then return redis.call('DEL', P .. 'erasing_lock') end
return redis.call('PEXPIRE', P .. 'erasing_lock', ARGV[3])
