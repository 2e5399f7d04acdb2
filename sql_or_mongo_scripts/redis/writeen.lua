#!lua name=writeen

-- writeen.lua: every write of a conversation's real-time state.
--
-- A Redis Function library (Redis >= 7.0), loaded by the worker at start and
-- checked by version from both sides.  Keys, fields and payloads are described
-- in docs/redis.md; names come from the caller (common/wrt_names), so that
-- this file holds logic only.  All keys of one call carry the same hash tag.
--
-- Every function answers an array whose first element says what happened:
--   ok       done                      dup      seen before, first ack again
--   noload   conversation not in Redis: wrt_load it, try again
--   denied   not a member (callers answer "not found")
--   forbidden a member without the permission
--   archived the conversation takes no messages
--   backlog  the projector is too far behind; try again later
--   exists   it was there already      old      the log does not reach back
--   many     more events than asked for
--
-- In the conversation hash: seq (last number given), applied (last number in
-- the store; -1 before the creation is stored), state, at (time of the last
-- event, ISO 8601), m:<uid> = <permissions>|<role>|<seq at which he joined>,
-- r:<uid> and d:<uid> = <seq> <time> of the read and the delivered cursor.

local VERSION = '1'

local LOG_KEEP = 128        -- WRT_LOG_KEEP
local LOG_MAX = 2048        -- WRT_LOG_MAX
local LOG_IDLE_S = 600      -- WRT_LOG_IDLE_S
local CONV_IDLE_S = 3600    -- WRT_CONV_IDLE_S
local ONCE_S = 86400        -- WRT_ONCE_S
local PAGE = 100            -- events in one answer of wrt_catch
local TRIM_EVERY = 32       -- events between two trims of a log

-- Number an event, log it, queue it for the projector, publish it.
-- `h` holds seq and applied as they were before.
local function append(conv, log, ingest, chan, cid, seq, applied, payload,
                      extra, at)
    local id = seq .. '-0'

    if applied == seq - 1 then
        -- it was fully applied, so both may have been counting down
        redis.call('PERSIST', conv)
        redis.call('PERSIST', log)
    end

    redis.call('HSET', conv, 'seq', seq, 'at', at)
    redis.call('XADD', log, id, 'p', payload)
    redis.call('XADD', ingest, '*', 'c', cid, 'p', payload, 'x', extra)

    if seq % TRIM_EVERY == 0 then
        -- what the store does not have yet stays, up to LOG_MAX
        local keep = math.min(seq - LOG_KEEP, applied)
        keep = math.max(keep, seq - LOG_MAX)
        if keep > 0 then
            redis.call('XTRIM', log, 'MINID', (keep + 1) .. '-0')
        end
    end

    redis.call('PUBLISH', chan, payload)
end

-- Is the projector too far behind for another entry?
local function full(ingest, max)
    return redis.call('XLEN', ingest) >= tonumber(max)
end


-- Does the member value m allow the permission letter?
local function may(m, letter)
    return string.find(m, '^%a*' .. letter) ~= nil
end

-- A message.
-- KEYS conv log ingest [once]   ARGV chan cid uid mid pre head extra at backlog
-- The event is  pre seq head at '","seq":' seq '}}}' : pre ends before the
-- number of data.seq, head ends after `"createdAt":"` of the message.
-- Answers {ok|dup, seq, mid, at}.
local function send(keys, args)
    local conv, log, ingest, once = keys[1], keys[2], keys[3], keys[4]
    local uid, mid, at = args[3], args[4], args[8]
    local h = redis.call('HMGET', conv, 'seq', 'applied', 'state', 'at',
                         'm:' .. uid)

    if not h[1] then return {'noload'} end
    if not h[5] then return {'denied'} end

    if once then
        local first = redis.call('GET', once)
        if first then
            local m, s, t = string.match(first, '^(%S+) (%d+) (%S+)$')
            return {'dup', tonumber(s), m, t}
        end
    end

    if not may(h[5], 'w') then return {'forbidden'} end
    if h[3] ~= 'active' then return {'archived'} end
    if full(ingest, args[9]) then return {'backlog'} end

    -- a room's times never go back, whichever node's clock made them
    if h[4] and h[4] > at then at = h[4] end

    local seq = tonumber(h[1]) + 1
    local payload = 'm ' .. seq .. ' ' .. uid .. ' -\n' .. args[5] .. seq
                    .. args[6] .. at .. '","seq":' .. seq .. '}}}'

    append(conv, log, ingest, args[1], args[2], seq, tonumber(h[2]), payload,
           args[7], at)

    if once then
        redis.call('SET', once, mid .. ' ' .. seq .. ' ' .. at, 'EX', ONCE_S)
    end

    return {'ok', seq, mid, at}
end

-- Any other durable event.
-- KEYS conv log ingest   ARGV chan cid actor need kind target pre mid post
--                             extra at backlog [S field value | D field]...
-- need: a permission letter the actor must have, 'm' that he is a member,
-- or '' when the server itself acts.  The event is pre seq mid at post.
-- The trailing operations change the hash in the same step.
local function emit(keys, args)
    local conv, log, ingest = keys[1], keys[2], keys[3]
    local actor, need, at = args[3], args[4], args[11]
    local h = redis.call('HMGET', conv, 'seq', 'applied', 'at', 'm:' .. actor)

    if not h[1] then return {'noload'} end
    if need ~= '' then
        if not h[4] then return {'denied'} end
        if need ~= 'm' and not may(h[4], need) then return {'forbidden'} end
    end
    if full(ingest, args[12]) then return {'backlog'} end
    if h[3] and h[3] > at then at = h[3] end

    local i = 13
    while args[i] do
        if args[i] == 'S' then
            redis.call('HSET', conv, args[i + 1], args[i + 2])
            i = i + 3
        else
            redis.call('HDEL', conv, args[i + 1])
            i = i + 2
        end
    end

    local seq = tonumber(h[1]) + 1
    local payload = args[5] .. ' ' .. seq .. ' ' .. actor .. ' ' .. args[6]
                    .. '\n' .. args[7] .. seq .. args[8] .. at .. args[9]

    append(conv, log, ingest, args[1], args[2], seq, tonumber(h[2]), payload,
           args[10], at)

    return {'ok', seq, '', at}
end

-- A new conversation: event 0, which is not in the log.
-- KEYS conv ingest   ARGV cid actor at json extra backlog [field value]...
local function create(keys, args)
    local conv, ingest = keys[1], keys[2]
    local seq = redis.call('HGET', conv, 'seq')

    if seq then return {'exists', tonumber(seq)} end
    if full(ingest, args[6]) then return {'backlog'} end

    redis.call('HSET', conv, 'seq', 0, 'applied', -1, 'state', 'active',
         'at', args[3])
    for i = 7, #args, 2 do
        redis.call('HSET', conv, args[i], args[i + 1])
    end

    redis.call('XADD', ingest, '*', 'c', args[1], 'p',
         'c 0 ' .. args[2] .. ' -\n' .. args[4], 'x', args[5])

    return {'ok', 0}
end

-- Bring a conversation in from the store (nothing of it is unapplied then).
-- KEYS conv   ARGV seq state at [field value]...
local function load(keys, args)
    local seq = redis.call('HGET', keys[1], 'seq')

    if seq then return {'exists', tonumber(seq)} end

    redis.call('HSET', keys[1], 'seq', args[1], 'applied', args[1],
         'state', args[2], 'at', args[3])
    for i = 4, #args, 2 do
        redis.call('HSET', keys[1], args[i], args[i + 1])
    end
    redis.call('EXPIRE', keys[1], CONV_IDLE_S)

    return {'ok', tonumber(args[1])}
end

-- The store has everything up to these numbers.
-- KEYS (conv log)...   ARGV seq...
local function applied(keys, args)
    for i = 1, #args do
        local conv, log = keys[2 * i - 1], keys[2 * i]
        local h = redis.call('HMGET', conv, 'seq', 'applied')
        local n = tonumber(args[i])

        if h[1] and n > tonumber(h[2]) then
            redis.call('HSET', conv, 'applied', n)
            if n >= tonumber(h[1]) then
                redis.call('EXPIRE', conv, CONV_IDLE_S)
                redis.call('EXPIRE', log, LOG_IDLE_S)
            end
        end
    end

    return {'ok'}
end

-- Somebody knows a higher number than we do (a lost second after power loss):
-- never give a number twice.  One marker event stands for the hole.
-- KEYS conv log ingest   ARGV chan cid known at max
local function fence(keys, args)
    local h = redis.call('HMGET', keys[1], 'seq', 'applied', 'at')
    local known, at = tonumber(args[3]), args[4]

    if not h[1] then return {'noload'} end

    local seq = tonumber(h[1])
    if known <= seq then return {'ok', seq} end
    if known - seq > tonumber(args[5]) then return {'many', seq} end
    if h[3] and h[3] > at then at = h[3] end

    if tonumber(h[2]) == seq then
        redis.call('PERSIST', keys[1])
        redis.call('PERSIST', keys[2])
    end
    append(keys[1], keys[2], keys[3], args[1], args[2], known,
           tonumber(h[2]), 'f ' .. known .. ' ' .. seq .. ' -\n', '', at)

    return {'ok', known}
end

-- Where everybody has read and received to, as {uid, read seq, delivered seq}
-- one after the other, members only.
local function cursors(conv)
    local all = redis.call('HGETALL', conv)
    local at, list, n = {}, {}, 0

    for i = 1, #all, 2 do
        local k, u = string.match(all[i], '^([rdm]):(.+)$')
        if k then
            local c = at[u] or {'0', '0', false}
            at[u] = c
            if k == 'm' then
                c[3] = true
            else
                c[k == 'r' and 1 or 2] = string.match(all[i + 1], '^%d+')
            end
        end
    end

    for u, c in pairs(at) do
        if c[3] then
            list[n + 1], list[n + 2], list[n + 3] = u, c[1], c[2]
            n = n + 3
        end
    end

    return list
end


-- What a client or a node has missed, from the log.
-- KEYS conv log   ARGV uid after max cursors bytes
-- uid '' asks for the node itself; after -1 asks for nothing but where the
-- room stands.  Answers {ok|old|many, seq, applied, floor, {payload...},
-- {uid, read, delivered}...}: floor is the number after which the log is
-- complete; cursors '1' asks for the last list.  Events come in pages of about
-- so many bytes, one event at least: a page that ends below seq has a next one.
local function catch(keys, args)
    local uid, after = args[1], tonumber(args[2])
    local h = redis.call('HMGET', keys[1], 'seq', 'applied', 'm:' .. uid)

    if not h[1] then return {'noload'} end
    if uid ~= '' and not h[3] then return {'denied'} end

    local seq, floor = tonumber(h[1]), tonumber(h[1])
    local first = redis.call('XRANGE', keys[2], '-', '+', 'COUNT', 1)[1]
    local rc, events = 'ok', {}

    if first then floor = tonumber(string.match(first[1], '^%d+')) - 1 end

    if after >= 0 and after < seq then
        if after < floor then
            rc = 'old'
        elseif seq - after > tonumber(args[3]) then
            rc = 'many'
        else
            local list = redis.call('XRANGE', keys[2], (after + 1) .. '-0',
                                    '+', 'COUNT', PAGE)
            local room = tonumber(args[5])
            for i = 1, #list do
                if room <= 0 then break end
                events[i] = list[i][2][2]
                room = room - #events[i]
            end
        end
    end

    return {rc, seq, tonumber(h[2]), floor, events,
            args[4] == '1' and cursors(keys[1]) or {}}
end


-- Move a read ('r') or delivered ('d') cursor forward; reading delivers.
-- KEYS conv ingest   ARGV chan cid uid kind seq at json backlog
-- Cursors are state, not numbered events: published and projected only.
local function cursor(keys, args)
    local uid, kind, n = args[3], args[4], tonumber(args[5])
    local h = redis.call('HMGET', keys[1], 'seq', 'm:' .. uid, 'r:' .. uid,
                   'd:' .. uid)

    if not h[1] then return {'noload'} end
    if not h[2] then return {'denied'} end
    if n > tonumber(h[1]) then n = tonumber(h[1]) end

    local r = tonumber(string.match(h[3] or '0', '^%d+'))
    local d = tonumber(string.match(h[4] or '0', '^%d+'))
    if n <= (kind == 'r' and r or d) then
        return {'ok', kind == 'r' and r or d, 'same'}
    end
    if full(keys[2], args[8]) then return {'backlog'} end

    local value = n .. ' ' .. args[6]
    redis.call('HSET', keys[1], kind .. ':' .. uid, value)
    if kind == 'r' and d < n then
        redis.call('HSET', keys[1], 'd:' .. uid, value)
    end

    local payload = 's 0 ' .. uid .. ' -\n' .. args[7]
    redis.call('XADD', keys[2], '*', 'c', args[2], 'p', payload,
         'x', '{"kind":"' .. kind .. '","seq":' .. n .. ',"at":"' .. args[6]
              .. '"}')
    redis.call('PUBLISH', args[1], payload)

    return {'ok', n, 'moved'}
end

-- Name, avatar and role of a user as his token last said them.
-- KEYS prof ingest   ARGV uid json backlog
local function profile(keys, args)
    if redis.call('GET', keys[1]) == args[2] then return {'ok', 0} end
    if full(keys[2], args[3]) then return {'backlog'} end

    redis.call('SET', keys[1], args[2], 'EX', ONCE_S)
    redis.call('XADD', keys[2], '*', 'c', '-', 'p', 'u 0 ' .. args[1] .. ' -\n'
         .. args[2], 'x', '')

    return {'ok', 1}
end

redis.register_function('wrt_send', send)
redis.register_function('wrt_emit', emit)
redis.register_function('wrt_create', create)
redis.register_function('wrt_load', load)
redis.register_function('wrt_applied', applied)
redis.register_function('wrt_fence', fence)
redis.register_function('wrt_catch', catch)
redis.register_function('wrt_cursor', cursor)
redis.register_function('wrt_profile', profile)
redis.register_function('wrt_version', function() return VERSION end)
