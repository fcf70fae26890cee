-- Whose a visitor's events are: serving/store/identity.py, told once more where the data is.
-- A visitor's changes are a list of 'INSTANT=USER' and 'INSTANT!' (nobody), in order; an instant is microseconds UTC.
local P = ARGV[1]
local LONG_AGO, FAR_OFF = -math.huge, math.huge

local function change_of(entry)
  local at, sign, user = string.match(entry, '^(-?%d+)([=!])(.*)$')
  return {at = tonumber(at), user = sign == '=' and user or nil}
end

local function changes_of(visitor, before)
  local found = {}
  for _, entry in ipairs(redis.call('LRANGE', P .. 'changes:' .. visitor, 0, -1)) do
    local change = change_of(entry)
    if change.at < before then found[#found + 1] = change end
  end
  return found
end

-- The same instants in as few spans as possible, in order.
local function joined(spans)
  table.sort(spans, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  local found = {}
  for _, span in ipairs(spans) do
    local last = found[#found]
    if last and span[1] <= last[2] then
      last[2] = math.max(last[2], span[2])
    elseif span[1] < span[2] then
      found[#found + 1] = {span[1], span[2]}
    end
  end
  return found
end

local function spans_of_user(changes, user, signing_in)
  local spans = {}
  for number, change in ipairs(changes) do
    if change.user == user then
      local earlier, ends = changes[number - 1], changes[number + 1]
      local nobody_before = not (earlier and earlier.user)
      local given_back = ends and not ends.user
      if nobody_before and not given_back then
        spans[#spans + 1] = {earlier and earlier.at or LONG_AGO, change.at}
      end
      spans[#spans + 1] = {change.at, ends and ends.at or FAR_OFF}
    end
  end
  local last = changes[#changes]
  if signing_in and not (last and last.user) then
    spans[#spans + 1] = {last and last.at or LONG_AGO, FAR_OFF}
  end
  return joined(spans)
end

local function spans_of_visitor(changes)
  local own = {}
  for number = 0, #changes do
    local from, to, after = changes[number], changes[number + 1], changes[number + 2]
    local adopted = to and not (after and not after.user)
    if not (from and from.user) and not adopted then
      own[#own + 1] = {from and from.at or LONG_AGO, to and to.at or FAR_OFF}
    end
  end
  return joined(own)
end
