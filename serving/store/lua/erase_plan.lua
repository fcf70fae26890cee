-- ARGV: prefix, token, '1' to begin anew, and of each event that changes: number, row from now on ('' for none).
if not is_ours() then return redis.error_reply(LOST) end
if ARGV[3] == '1' then redis.call('UNLINK', P .. 'arrived_rows', P .. 'arrived_anew') end
for place = 4, #ARGV, 2 do redis.call('HSET', P .. 'arrived_rows', ARGV[place], ARGV[place + 1]) end
return redis.status_reply('OK')
