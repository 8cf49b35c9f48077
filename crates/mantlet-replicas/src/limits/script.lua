-- Takes from every limit or from none; keeps places and their leases. One call is one transaction.
--
-- KEYS: slots (hash: place -> "owner acked last"), clock (hash: at, effective, epoch), one key for each ask
-- ARGV: replicas, quiet ms, lease ms, owner, place or -1, acked, verb, then for each ask: kind, rate or most, burst, amount
--
-- Effective time passes as fast as the part of the places that is not reserved for replicas out of reach. A bucket
-- fills by effective time, so what those replicas spend of their own part is never handed out a second time.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local replicas, quiet, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local owner, place, acked, verb = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

local clock = redis.call('HMGET', KEYS[2], 'at', 'effective', 'epoch')
local at, effective, epoch = tonumber(clock[1]), tonumber(clock[2]), tonumber(clock[3])
if not at then
  at, effective, epoch = now, 0, now
end
now = math.max(now, at)

local slots = {}
for i = 0, replicas - 1 do
  local text = redis.call('HGET', KEYS[1], i)
  if text then
    local o, a, l = string.match(text, '^(%S+) (%S+) (%S+)$')
    slots[i] = { owner = o, acked = tonumber(a), last = tonumber(l) }
  end
end

-- How long a place was reserved between two instants: out of reach, its lease not over. Until a lease after the
-- counts began, a place nobody claimed may be held by a replica from before they were lost.
local function reserved(slot, from, to)
  if not slot then
    return math.max(0, math.min(to, epoch + lease) - from)
  end
  return math.max(0, math.min(to, slot.last + lease) - math.max(from, slot.acked + quiet))
end
local lost = 0
for i = 0, replicas - 1 do
  lost = lost + reserved(slots[i], at, now)
end
effective = effective + math.max(0, (now - at) - lost / replicas)
redis.call('HSET', KEYS[2], 'at', string.format('%.3f', now), 'effective', string.format('%.6f', effective),
  'epoch', string.format('%.3f', epoch))

-- This replica's place: its own, or one whose lease is over.
if not (place >= 0 and slots[place] and slots[place].owner == owner) then
  place = -1
  for i = 0, replicas - 1 do
    if slots[i] and slots[i].owner == owner then
      place = i
    end
  end
  if place < 0 then
    for i = 0, replicas - 1 do
      local free = slots[i] and now >= slots[i].last + lease or (not slots[i] and now >= epoch)
      if place < 0 and free then
        place = i
        slots[i] = { owner = owner, acked = 0, last = now }
      end
    end
  end
end
if place >= 0 then
  local slot = slots[place]
  slot.acked = math.max(slot.acked, math.min(acked, now))
  slot.last = now
  redis.call('HSET', KEYS[1], place, string.format('%s %.3f %.3f', owner, slot.acked, now))
end

local count = #KEYS - 2
local function ask(i)
  local base = 7 + (i - 1) * 4
  return ARGV[base + 1], tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4])
end

local levels, denied, wait = {}, 0, 0
for i = 1, count do
  local key = KEYS[i + 2]
  local kind, rate, burst, amount = ask(i)
  if kind == 'rate' then
    local kept = redis.call('HMGET', key, 'level', 'effective')
    local level
    if kept[1] then
      level = math.min(burst, tonumber(kept[1]) + (effective - tonumber(kept[2])) * rate)
    else
      -- Full, unless the counts themselves are younger than it takes to fill.
      level = math.min(burst, effective * rate)
    end
    levels[i] = level
    if verb == 'take' and level < amount and denied == 0 then
      denied = i
      wait = rate > 0 and (amount - level) / rate or 3600000
    end
  else
    -- Places of a concurrency limit: `rate` is how many there are, `amount` how many this replica then holds.
    local held = 0
    local fields = redis.call('HGETALL', key)
    local known = {}
    for f = 1, #fields, 2 do
      local holder, taken = fields[f], tonumber(string.match(fields[f + 1], ' (%d+)$'))
      local alive = holder == owner
      for s = 0, replicas - 1 do
        if slots[s] and slots[s].owner == holder and now < slots[s].last + lease then
          alive = true
        end
      end
      known[holder] = taken
      if not alive then
        redis.call('HDEL', key, holder)
      elseif holder ~= owner then
        held = held + taken
      end
    end
    for s = 0, replicas - 1 do
      local slot = slots[s]
      local unseen = (not slot and now < epoch + lease)
      if unseen or (slot and slot.owner ~= owner and now >= slot.acked + quiet and now < slot.last + lease) then
        held = held + math.max(0, math.floor(rate / replicas) - (slot and known[slot.owner] or 0))
      end
    end
    if verb == 'take' and held + amount > rate and denied == 0 then
      denied = i
      wait = 100
    end
  end
end

if denied == 0 then
  for i = 1, count do
    local key = KEYS[i + 2]
    local kind, rate, burst, amount = ask(i)
    if kind == 'rate' then
      -- What is given back (an amount below 0) fills no bucket beyond its rim.
      local level = math.min(burst, levels[i] - amount)
      redis.call('HSET', key, 'level', string.format('%.6f', level), 'effective', string.format('%.6f', effective))
      -- Kept until it is surely full, however many places are reserved meanwhile.
      local fills = rate > 0 and (burst - level) / rate * replicas + lease or 86400000
      redis.call('PEXPIRE', key, math.ceil(math.min(fills + 1000, 86400000)))
    else
      -- `burst` numbers what a replica says, so that a message that was overtaken changes nothing.
      local kept = redis.call('HGET', key, owner)
      if not kept or tonumber(string.match(kept, '^(%d+) ')) < burst then
        redis.call('HSET', key, owner, string.format('%.0f %.0f', burst, amount))
      end
      redis.call('PEXPIRE', key, math.ceil(math.max(lease * 2, 3600000)))
    end
  end
end
return { denied, tostring(math.ceil(wait)), string.format('%.3f', now), place }
