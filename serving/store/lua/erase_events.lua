-- Takes a shopper out of everything that is said of events, at once.
-- ARGV: prefix, token, key of the running count, number up to which events were copied ('' where none changes), row of
-- the first event ('' for none from now on, '=' as it is), how many events go, how many are blanked; how many users,
-- visitors and events follow, then these ids, and of each act that is blanked: user, instant, row, row from now on.
if not is_ours() then return redis.error_reply(LOST) end
local COUNT, copied, first = ARGV[3], ARGV[4], ARGV[5]
local place, links = 11, 0

local function next_ones(many)
  local found = {}
  for number = 1, many do found[number] = ARGV[place + number - 1] end
  place = place + many
  return found
end

local users, visitors = next_ones(tonumber(ARGV[8])), next_ones(tonumber(ARGV[9]))
local events = next_ones(tonumber(ARGV[10]))
for _, user in ipairs(users) do
  for _, name in ipairs({'user:', 'visitors:', 'consents-of-user:'}) do redis.call('UNLINK', P .. name .. user) end
end
for _, visitor in ipairs(visitors) do
  for _, entry in ipairs(redis.call('LRANGE', P .. 'changes:' .. visitor, 0, -1)) do
    local at, user = string.match(entry, '^(-?%d+)=(.*)$')
    if user then redis.call('ZREM', P .. 'visitors:' .. user, at .. ':' .. visitor) end
    links = links + 1
  end
  for _, name in ipairs({'visitor:', 'told:', 'changes:', 'consents-of-visitor:'}) do
    redis.call('UNLINK', P .. name .. visitor)
  end
end
for _, id in ipairs(events) do redis.call('ZREM', P .. 'ids', id) end
for act = place, #ARGV, 4 do
  local key = P .. 'user:' .. ARGV[act]
  local left_ms = redis.call('PTTL', key)
  if redis.call('ZREM', key, ARGV[act + 2]) == 1 then
    redis.call('ZADD', key, ARGV[act + 1], ARGV[act + 3])
    if left_ms > 0 then redis.call('PEXPIRE', key, left_ms) end
  end
end
if first == '' then
  redis.call('UNLINK', P .. 'first')
elseif first ~= '=' then
  redis.call('SET', P .. 'first', first)
end
if copied ~= '' then
  local count
  repeat copied, count = copy(copied, 1000) until count < 1000
  redis.call('UNLINK', P .. 'arrived', P .. 'arrived_rows')
  if redis.call('EXISTS', P .. 'arrived_anew') == 1 then redis.call('RENAME', P .. 'arrived_anew', P .. 'arrived') end
end
redis.call('HSET', COUNT, 'events', ARGV[6], 'events_blanked', ARGV[7], 'links', links)
return redis.status_reply('OK')
