-- ARGV: prefix, token, key of the running count, and of each slate: key, body, body from now on ('' for none).
if not is_ours() then return redis.error_reply(LOST) end
for place = 4, #ARGV, 3 do
  if redis.call('GET', ARGV[place]) == ARGV[place + 1] then
    if ARGV[place + 2] == '' then
      redis.call('UNLINK', ARGV[place])
      redis.call('HINCRBY', ARGV[3], 'exposures', 1)
    else
      redis.call('SET', ARGV[place], ARGV[place + 2], 'KEEPTTL')
      redis.call('HINCRBY', ARGV[3], 'exposures_blanked', 1)
    end
  end
end
return redis.status_reply('OK')
