-- ARGV: prefix, token, number after which to go on, how many. Returns {the last number copied, how many they were}.
if not is_ours() then return redis.error_reply(LOST) end
return {copy(ARGV[3], ARGV[4])}
