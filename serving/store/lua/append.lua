-- ARGV: prefix, seconds for which ids are known (0: for good), milliseconds after which an unseen shopper is forgotten
-- (0: never), '1' if HMACs are given, and of each event: id, row, instant, '=USER' or '', '=VISITOR' or '', '1' if it is
-- part of a history, its place among what was told of the visitor or '', '1' if it ends a link, the purposes agreed to
-- (JSON, sorted) or '', HMAC of the user or '', HMAC of the visitor or ''.
-- Returns 1 for each new event and 0 for each known one, or who is erased, and then nothing was done.
-- All or nothing: nothing below can fail half-way.
local known_s, forget_ms, FIELDS = tonumber(ARGV[2]), tonumber(ARGV[3]), 11
local refused = refusal(ARGV[4], 14, FIELDS)
if refused then return refused end
local now = tonumber(redis.call('TIME')[1])
local accepted, late, users, visitors = {}, {}, {}, {}

local function becomes_of(current, who, ends)
  if not ends then return who end
  if who == current then return nil end
  return current
end

local function change(visitor, at, user)
  redis.call('RPUSH', P .. 'changes:' .. visitor, at .. (user and '=' .. user or '!'))
  if user then redis.call('ZADD', P .. 'visitors:' .. user, at, at .. ':' .. visitor) end
end

local function current_of(visitor)
  local last = redis.call('LINDEX', P .. 'changes:' .. visitor, -1)
  return last and change_of(last).user or nil
end

-- Work out a visitor's changes from all events with both ids. A row there is USER\0EVENT\0ENDS in the order of bytes,
-- \0 inside of an id being followed by \255.
local function tell_again(visitor)
  for _, entry in ipairs(redis.call('LRANGE', P .. 'changes:' .. visitor, 0, -1)) do
    local user, at = change_of(entry).user, string.match(entry, '^-?%d+')
    if user then redis.call('ZREM', P .. 'visitors:' .. user, at .. ':' .. visitor) end
  end
  redis.call('DEL', P .. 'changes:' .. visitor)
  local current, rows = nil, redis.call('ZRANGE', P .. 'told:' .. visitor, 0, -1, 'WITHSCORES')
  for place = 1, #rows, 2 do
    local who = string.gsub(string.match(rows[place], '^(.-)%z[^\255]'), '%z\255', '\0')
    local becomes = becomes_of(current, who, string.sub(rows[place], -1) == '1')
    if becomes ~= current then
      change(visitor, string.format('%.0f', tonumber(rows[place + 1])), becomes)
      current = becomes
    end
  end
end

local function tell(visitor, at, user, row, ends)
  local key = P .. 'told:' .. visitor
  if redis.call('ZCOUNT', key, at, '+inf') > 0 then late[visitor] = true end
  redis.call('ZADD', key, at, row)
  if late[visitor] then return end
  local current = current_of(visitor)
  local becomes = becomes_of(current, user, ends)
  if becomes ~= current then change(visitor, at, becomes) end
end

local function keep(place)
  local id, row, at, told = ARGV[place], ARGV[place + 1], ARGV[place + 2], ARGV[place + 6]
  local user = ARGV[place + 3] ~= '' and string.sub(ARGV[place + 3], 2) or nil
  local visitor = ARGV[place + 4] ~= '' and string.sub(ARGV[place + 4], 2) or nil
  if redis.call('ZADD', P .. 'ids', 'NX', now, id) == 0 then return 0 end
  local number = redis.call('INCR', P .. 'number')
  redis.call('XADD', P .. 'arrived', number .. '-0', 'e', row)
  if number == 1 then redis.call('SET', P .. 'first', row) end
  if ARGV[place + 5] == '1' and (user or visitor) then
    redis.call('ZADD', user and P .. 'user:' .. user or P .. 'visitor:' .. visitor, at, row)
  end
  if told ~= '' then tell(visitor, at, user, told, ARGV[place + 7] == '1') end
  local agreed = ARGV[place + 8]
  if agreed ~= '' and user then redis.call('ZADD', P .. 'consents-of-user:' .. user, 'GT', at, agreed) end
  if agreed ~= '' and visitor then redis.call('ZADD', P .. 'consents-of-visitor:' .. visitor, 'GT', at, agreed) end
  if user then users[user] = true end
  if visitor then visitors[visitor] = true end
  return 1
end

-- A few at a time, so that none has to wait for long; more than come in, so that they do grow fewer.
local function forget_ids(most)
  local old = redis.call('ZRANGEBYSCORE', P .. 'ids', '-inf', now - known_s - 1, 'LIMIT', 0, most)
  for _, id in ipairs(old) do redis.call('ZREM', P .. 'ids', id) end
end

-- A user and their visitors are forgotten together: what a visitor said, and whose they were, counts for the user, too.
local function expire_later()
  for visitor in pairs(visitors) do
    local user = current_of(visitor)
    if user then users[user] = true end
  end
  for user in pairs(users) do
    for _, entry in ipairs(redis.call('ZRANGE', P .. 'visitors:' .. user, 0, -1)) do
      visitors[string.match(entry, '^-?%d+:(.*)$')] = true
    end
  end
  for visitor in pairs(visitors) do
    for _, name in ipairs({'visitor:', 'told:', 'changes:', 'consents-of-visitor:'}) do
      redis.call('PEXPIRE', P .. name .. visitor, forget_ms)
    end
  end
  for user in pairs(users) do
    for _, name in ipairs({'user:', 'visitors:', 'consents-of-user:'}) do
      redis.call('PEXPIRE', P .. name .. user, forget_ms)
    end
  end
end

for place = 5, #ARGV, FIELDS do accepted[#accepted + 1] = keep(place) end
for visitor in pairs(late) do tell_again(visitor) end
if known_s > 0 then forget_ids(2 * #accepted + 10) end
if forget_ms > 0 then expire_later() end
return accepted
