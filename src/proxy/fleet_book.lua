-- What the store has written down of a pool, for people (curfew fleet). With "begin" an operator says that nobody calls
-- the API, so that nothing has to be learnt.
--
-- KEYS  1 book: a hash   2 entries: a hash, by host   sorted sets of hosts: 3 expiry   4 waiting   5 rich   6 spare
--       7 turn: a hash (fleet_turn.lua)
-- ARGV  1 "begin" or ""  2 size  3 lease and margin, ms  4 channel of hints, before a host's name
-- Gives {epoch, granted, size, for how many us it is still learning, hosts that wait, hosts, and of at most 400 hosts
--       each: name, granted, held, want}.
local HOSTS = 400
local BOOK, ENTRIES, WAITING = KEYS[1], KEYS[2], KEYS[4]
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function whole(n) return string.format("%.0f", n) end
local function number(field) return tonumber(redis.call("HGET", BOOK, field) or "0") end

if ARGV[1] == "begin" then
  local run = string.match(redis.call("INFO", "server"), "run_id:(%w+)")
  if redis.call("HGET", BOOK, "run") ~= run then
    redis.call("DEL", unpack(KEYS))
    redis.call("HSET", BOOK, "run", run, "epoch", run .. "." .. whole(now), "booked", 0, "cap", ARGV[2], "cap_until", 0,
      "tight_until", 0, "alive", 0)
  end
  redis.call("HSET", BOOK, "now", whole(math.max(now, number("now"))), "unknown_until", 0, "minted", 0)
  redis.call("PEXPIRE", BOOK, ARGV[3])
  redis.call("HSET", KEYS[7], "run", run, "stepped", whole(now), "quiet", 0, "tat", 0, "learn_until", 0)
  redis.call("PEXPIRE", KEYS[7], ARGV[3])
  redis.call("PUBLISH", ARGV[4], "")
  for _, host in ipairs(redis.call("ZRANGE", WAITING, 0, -1)) do redis.call("PUBLISH", ARGV[4] .. host, "") end
end

local unknown_until = number("unknown_until")
local learning = unknown_until > now and unknown_until - now or 0
local answer = {redis.call("HGET", BOOK, "epoch") or "", whole(number("booked")), whole(number("cap")), whole(learning),
  redis.call("ZCARD", WAITING), redis.call("HLEN", ENTRIES)}
local entries = redis.call("HGETALL", ENTRIES)
for i = 1, math.min(#entries, 2 * HOSTS), 2 do
  local n = {}
  for word in string.gmatch(entries[i + 1], "%S+") do n[#n + 1] = word end
  for _, value in ipairs({entries[i], n[1], n[4], n[3]}) do answer[#answer + 1] = value end
end
return answer
