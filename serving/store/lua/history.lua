-- ARGV: prefix, '=USER' or '', '=VISITOR' or '', limit, instant before which or ''.
-- Returns the `limit` latest rows of every place where the shopper's history may be, and what the shopper and their
-- visitors said last of what they agree to, each as {link began, link ended, instant, purposes, ...}; the caller merges
-- both.
local asked_user = ARGV[2] ~= '' and string.sub(ARGV[2], 2) or nil
local asked_visitor = ARGV[3] ~= '' and string.sub(ARGV[3], 2) or nil
local limit, before = ARGV[4], ARGV[5] ~= '' and tonumber(ARGV[5]) or FAR_OFF
local MOST_VISITORS, PAGE = 100, 128
local rows, statements = {}, {}

local function bound(at)
  return at == LONG_AGO and '-inf' or at == FAR_OFF and '+inf' or string.format('%.0f', at)
end

local function take(key, first, last)
  last = math.min(last, before)
  if first >= last then return end
  local latest = last == FAR_OFF and '+inf' or '(' .. bound(last)
  for _, row in ipairs(redis.call('ZREVRANGEBYSCORE', key, latest, bound(first), 'LIMIT', 0, limit)) do
    rows[#rows + 1] = row
  end
end

-- What was said last, by whoever that key is of: all that was said at that instant.
local function state(key, linked_at, ended_at)
  local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  if #last == 0 then return end
  local at = string.format('%.0f', tonumber(last[2]))
  local found = {linked_at, ended_at, at}
  for _, agreed in ipairs(redis.call('ZRANGEBYSCORE', key, at, at)) do found[#found + 1] = agreed end
  statements[#statements + 1] = found
end

-- When a visitor's last link to a user began and ended; who asks with the user and is not theirs is linked from now on.
local function last_link(told, user, is_asking)
  if is_asking and not (#told > 0 and told[#told].user == user) then return FAR_OFF, FAR_OFF end
  for number = #told, 1, -1 do
    if told[number].user == user then
      return told[number].at, told[number + 1] and told[number + 1].at or FAR_OFF
    end
  end
  return LONG_AGO, LONG_AGO
end

-- Those who were ever linked to a user before the instant, the hundred latest; `found` may hold one already.
local function visitors_of(user, found, known)
  local latest, offset, counted = before == FAR_OFF and '+inf' or '(' .. bound(before), 0, {}
  local count = 0
  while true do
    local links = redis.call('ZREVRANGEBYSCORE', P .. 'visitors:' .. user, latest, '-inf', 'LIMIT', offset, PAGE)
    for _, link in ipairs(links) do
      local visitor = string.match(link, '^-?%d+:(.*)$')
      if not counted[visitor] then
        if count == MOST_VISITORS then return found end
        counted[visitor], count = true, count + 1
        if not known[visitor] then
          known[visitor], found[#found + 1] = true, visitor
        end
      end
    end
    if #links < PAGE then return found end
    offset = offset + PAGE
  end
end

local changes = asked_visitor and changes_of(asked_visitor, before) or {}
local user = asked_user
if not user and #changes > 0 then user = changes[#changes].user end
if user then
  take(P .. 'user:' .. user, LONG_AGO, FAR_OFF)
  local found, known = {}, {}
  if asked_visitor then found, known = {asked_visitor}, {[asked_visitor] = true} end
  for _, visitor in ipairs(visitors_of(user, found, known)) do
    local is_asking = visitor == asked_visitor
    local told = is_asking and changes or changes_of(visitor, before)
    for _, span in ipairs(spans_of_user(told, user, is_asking and asked_user ~= nil)) do
      take(P .. 'visitor:' .. visitor, span[1], span[2])
    end
    local linked_at, ended_at = last_link(told, user, is_asking)
    state(P .. 'consents-of-visitor:' .. visitor, bound(linked_at), bound(ended_at))
  end
  state(P .. 'consents-of-user:' .. user, '', '')
elseif asked_visitor then
  for _, span in ipairs(spans_of_visitor(changes)) do
    take(P .. 'visitor:' .. asked_visitor, span[1], span[2])
  end
  state(P .. 'consents-of-visitor:' .. asked_visitor, '', '')
end
return {rows, statements}
