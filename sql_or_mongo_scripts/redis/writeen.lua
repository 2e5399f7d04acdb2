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
--   stale    what the caller decided on has changed: read it again
--
-- States: active, archived, reopen (archived until somebody sends).
--
-- In the conversation hash: seq (last number given), applied (last number in
-- the store; -1 before the creation is stored), state, at (time of the last
-- event, ISO 8601), m:<uid> = <permissions>|<role>|<seq at which he joined>,
-- r:<uid> and d:<uid> = <seq> <time> of the read and the delivered cursor,
-- moved = entry in ingest of the last move of one, consult = the consultation
-- that messages belong to now, awake = is in the shard's set of that name.
--
-- Awake is a conversation from its first event on until all of it is in the
-- store and it has been silent for a while (wrt_rest): it and its log do not
-- expire.  They could be given their time again with each event that the store
-- has, but that would be four commands and four lines of the append-only file
-- for each, which the next event takes back.
--
-- What is called for each message hands numbers on as text: Lua has floating
-- point only, and writes it down anew each time.

local VERSION = '7'

local LOG_KEEP = 128        -- WRT_LOG_KEEP
local LOG_MAX = 2048        -- WRT_LOG_MAX
local LOG_IDLE_S = '600'    -- WRT_LOG_IDLE_S
local CONV_IDLE_S = '3600'  -- WRT_CONV_IDLE_S
local ONCE_S = '86400'      -- WRT_ONCE_S
local PAGE = 100            -- events in one answer of wrt_catch
local TRIM_EVERY = 32       -- events between two trims of a log
local VERSION_S = 3600      -- WRT_VERSION_S
local FIND_MAX = 256        -- events of a log searched for a message
local PRESENCE_S = 2592000  -- WRT_PRESENCE_S

-- Number an event, log it, queue it for the projector, publish it.
-- KEYS conv log ingest awake.  applied and awake are as they were before.
local function append(keys, chan, cid, seq, applied, awake, payload, extra, at)
    local conv, log = keys[1], keys[2]
    local n = string.format('%d', seq)

    if awake then
        redis.call('HSET', conv, 'seq', n, 'at', at)
    else
        redis.call('HSET', conv, 'seq', n, 'at', at, 'awake', '1')
        redis.call('SADD', keys[4], cid)
        redis.call('PERSIST', conv)
        redis.call('PERSIST', log)
    end

    redis.call('XADD', log, n .. '-0', 'p', payload)
    redis.call('XADD', keys[3], '*', 'c', cid, 'p', payload, 'x', extra)

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

-- Who sends into a room that is archived until somebody does reopens it: an
-- event of its own, before the message.
local function reopen(keys, args, seq, applied, awake, at)
    local cid, uid = args[2], args[3]

    redis.call('HSET', keys[1], 'state', 'active')
    append(keys, args[1], cid, seq, applied, awake,
           'e ' .. seq .. ' ' .. uid .. ' -\n'
           .. '{"event":"conversation_updated","data":{"conversationId":"'
           .. cid .. '","seq":' .. seq .. ',"updatedBy":"' .. uid
           .. '","conversation":{"id":"' .. cid .. '","isArchived":false,'
           .. '"archivedAt":null,"updatedAt":"' .. at .. '"}}}',
           '{"set":{"archived":false}}', at)
end

-- A message.
-- KEYS conv log ingest awake [once]   ARGV chan cid uid mid pre head extra at
-- backlog [need]
-- need: the letter of the permission, 'w' when left out.
-- The event is  pre seq head at '","seq":' seq '}}}' : pre ends before the
-- number of data.seq, head ends after `"createdAt":"` of the message; in a room
-- with a consultation `,"consultationId":"..."` stands before the braces.
-- Answers {ok|dup, seq, mid, at, consultation or ''}.
local function send(keys, args)
    local conv, once = keys[1], keys[5]
    local uid, mid, at = args[3], args[4], args[8]
    local h = redis.call('HMGET', conv, 'seq', 'applied', 'state', 'at',
                         'm:' .. uid, 'consult', 'awake')

    if not h[1] then return {'noload'} end
    if not h[5] then return {'denied'} end

    if once then
        local first = redis.call('GET', once)
        if first then
            local m, s, t = string.match(first, '^(%S+) (%d+) (%S+)$')
            return {'dup', tonumber(s), m, t}
        end
    end

    if not may(h[5], args[10] or 'w') then return {'forbidden'} end
    if h[3] ~= 'active' and h[3] ~= 'reopen' then return {'archived'} end
    if full(keys[3], args[9]) then return {'backlog'} end

    -- a room's times never go back, whichever node's clock made them
    if h[4] and h[4] > at then at = h[4] end

    local seq, applied = tonumber(h[1]) + 1, tonumber(h[2])

    if h[3] == 'reopen' then
        reopen(keys, args, seq, applied, h[7], at)
        seq = seq + 1
    end

    local n = string.format('%d', seq)
    local consult = h[6] and ',"consultationId":"' .. h[6] .. '"' or ''
    local payload = 'm ' .. n .. ' ' .. uid .. ' -\n' .. args[5] .. n
                    .. args[6] .. at .. '","seq":' .. n .. consult .. '}}}'

    append(keys, args[1], args[2], seq, applied, h[7], payload, args[7], at)

    -- last: if the disk fails in between, what was not logged is not acked
    if once then
        redis.call('SET', once, mid .. ' ' .. n .. ' ' .. at, 'EX', ONCE_S)
    end

    return {'ok', seq, mid, at, h[6] or ''}
end

-- Any other durable event.
-- KEYS conv log ingest awake [version]
-- ARGV chan cid actor need live kind target event extra at backlog expect
--      [op...]
-- need: a permission letter that the actor must have, 'm' that he is a member,
-- or '' when the server itself acts.  live '1': not in an archived room.
-- version: the number of the last change of a message, or of the room itself,
-- kept while a decision about it may be under way; one above expect makes the
-- call stale.
-- In event, extra and values \1 stands for the number and \2 for the time.
-- Operations change the hash in the same step; the guards among them (N, Y, V)
-- are all looked at first:
--   S field value   set             D field   remove
--   X seq           take the event of that number out of the log: deleted text
--   N field         must not be there (else exists)
--   Y field         must be there (else stale)
--   V field value   must be this (else stale)
local OP_SIZE = {S = 3, D = 2, X = 2, N = 2, Y = 2, V = 3}

local function guard(conv, args, first)
    local i = first
    while args[i] do
        local op, field = args[i], args[i + 1]
        if op == 'N' and redis.call('HEXISTS', conv, field) == 1 then
            return 'exists'
        elseif op == 'Y' and redis.call('HEXISTS', conv, field) == 0 then
            return 'stale'
        elseif op == 'V' and redis.call('HGET', conv, field) ~= args[i + 2]
        then
            return 'stale'
        end
        i = i + OP_SIZE[op]
    end
end

local function emit(keys, args)
    local conv, log, version = keys[1], keys[2], keys[5]
    local actor, need, at = args[3], args[4], args[10]
    local h = redis.call('HMGET', conv, 'seq', 'applied', 'at', 'm:' .. actor,
                         'state', 'awake')

    if not h[1] then return {'noload'} end
    if need ~= '' then
        if not h[4] then return {'denied'} end
        if need ~= 'm' and not may(h[4], need) then return {'forbidden'} end
    end
    if args[5] == '1' and h[5] ~= 'active' then return {'archived'} end

    local why = guard(conv, args, 13)
    if why then return {why} end

    if version then
        local v = tonumber(redis.call('GET', version) or '0')
        if v > tonumber(args[12]) then return {'stale', v} end
    end

    if full(keys[3], args[11]) then return {'backlog'} end
    if h[3] and h[3] > at then at = h[3] end

    local seq = tonumber(h[1]) + 1
    local known = {['\1'] = tostring(seq), ['\2'] = at}
    local function fill(s) return (string.gsub(s, '[\1\2]', known)) end

    local i = 13
    while args[i] do
        if args[i] == 'S' then
            redis.call('HSET', conv, args[i + 1], fill(args[i + 2]))
        elseif args[i] == 'D' then
            redis.call('HDEL', conv, args[i + 1])
        elseif args[i] == 'X' then
            redis.call('XDEL', log, args[i + 1] .. '-0')
        end
        i = i + OP_SIZE[args[i]]
    end

    if version then
        redis.call('SET', version, seq, 'EX', VERSION_S)
    end

    append(keys, args[1], args[2], seq, tonumber(h[2]), h[6],
           args[6] .. ' ' .. seq .. ' ' .. actor .. ' ' .. args[7] .. '\n'
           .. fill(args[8]), fill(args[9]), at)

    return {'ok', seq, '', at}
end

-- What has no number and is for the projector alone: a file's record.
-- KEYS ingest   ARGV cid payload extra backlog
local function record(keys, args)
    if full(keys[1], args[4]) then return {'backlog'} end

    local id = redis.call('XADD', keys[1], '*', 'c', args[1], 'p', args[2],
                          'x', args[3])
    return {'ok', id}
end

-- A blob in storage is in use by uploads, any number of them, or by the one who
-- wants to collect it.
-- KEYS hold   ARGV who ms      who: 'use' | 'collect'
local function blob(keys, args)
    local holder = redis.call('GET', keys[1])

    if holder and (holder ~= 'use' or args[1] ~= 'use') then
        return {'exists'}
    end

    redis.call('SET', keys[1], args[1], 'PX', args[2])
    return {'ok'}
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

-- Nothing waits to be stored: it may be forgotten when nobody asks for it.
local function expire(conv, log)
    redis.call('EXPIRE', conv, CONV_IDLE_S)
    redis.call('EXPIRE', log, LOG_IDLE_S)
end

-- The store has everything up to these numbers.
-- KEYS (conv log)...   ARGV seq...
local function applied(keys, args)
    for i = 1, #args do
        local conv = keys[2 * i - 1]
        local h = redis.call('HMGET', conv, 'seq', 'applied', 'awake')
        local n = tonumber(args[i])

        if h[1] and n > tonumber(h[2]) then
            redis.call('HSET', conv, 'applied', args[i])
            -- a new one, or one that an older version of this file wrote to
            if not h[3] and n >= tonumber(h[1]) then
                expire(conv, keys[2 * i])
            end
        end
    end

    return {'ok'}
end

-- Those of these conversations that have been silent since `before` (ISO 8601),
-- and whose every event is stored, are awake no more.
-- KEYS awake (conv log)...   ARGV before cid...
local function rest(keys, args)
    for i = 2, #args do
        local conv = keys[2 * i - 2]
        local h = redis.call('HMGET', conv, 'seq', 'applied', 'at')

        if not h[1] then
            redis.call('SREM', keys[1], args[i])
        elseif tonumber(h[2]) >= tonumber(h[1])
            and (h[3] or '') < args[1]
        then
            redis.call('HDEL', conv, 'awake')
            redis.call('SREM', keys[1], args[i])
            expire(conv, keys[2 * i - 1])
        end
    end

    return {'ok'}
end

-- Somebody knows a higher number than we do (a lost second after power loss):
-- never give a number twice.  One marker event stands for the hole.
-- KEYS conv log ingest awake   ARGV chan cid known at max
local function fence(keys, args)
    local h = redis.call('HMGET', keys[1], 'seq', 'applied', 'at', 'awake')
    local known, at = tonumber(args[3]), args[4]

    if not h[1] then return {'noload'} end

    local seq = tonumber(h[1])
    if known <= seq then return {'ok', seq} end
    if known - seq > tonumber(args[5]) then return {'many', seq} end
    if h[3] and h[3] > at then at = h[3] end

    append(keys, args[1], args[2], known, tonumber(h[2]), h[4],
           'f ' .. known .. ' ' .. seq .. ' -\n', '', at)

    return {'ok', known}
end

-- Where everybody has read and received to, as {uid, read seq, delivered seq,
-- read at, delivered at} one after the other (a time is '' when there is none):
-- the members, then those who have left and may come back, '!' before the uid.
local function cursors(conv)
    local all = redis.call('HGETALL', conv)
    local at, list, n = {}, {}, 0

    for i = 1, #all, 2 do
        local k, u = string.match(all[i], '^([rdm]):(.+)$')
        if k then
            local c = at[u] or {'0', '0', '', '', false}
            at[u] = c
            if k == 'm' then
                c[5] = true
            else
                local seq, time = string.match(all[i + 1], '^(%d+) ?(.*)$')
                c[k == 'r' and 1 or 2] = seq
                c[k == 'r' and 3 or 4] = time == '-' and '' or time
            end
        end
    end

    for pass = 1, 2 do
        for u, c in pairs(at) do
            if c[5] == (pass == 1) then
                list[n + 1] = (pass == 1 and '' or '!') .. u
                for i = 1, 4 do list[n + 1 + i] = c[i] end
                n = n + 5
            end
        end
    end

    return list
end


-- What a client or a node has missed, from the log.
-- KEYS conv log   ARGV uid after max cursors bytes
-- uid '' asks for the node itself; after -1 asks for nothing but where the
-- room stands.  Answers {ok|old|many, seq, applied, floor, {payload...},
-- {cursors...}}: floor is the number after which the log is
-- complete; cursors '1' asks for the last list.  Events come in pages of about
-- so many bytes, one event at least: a page that ends below seq has a next one.
local function catch(keys, args)
    local uid, after = args[1], tonumber(args[2])
    local h = redis.call('HMGET', keys[1], 'seq', 'applied', 'm:' .. uid)

    if not h[1] then return {'noload'} end
    if uid ~= '' and not (h[3] and may(h[3], 'r')) then return {'denied'} end

    local seq, floor = tonumber(h[1]), tonumber(h[1])
    local first = redis.call('XRANGE', keys[2], '-', '+', 'COUNT', 1)[1]
    local rc, events = 'ok', {}

    if first then floor = tonumber(string.match(first[1], '^%d+')) - 1 end

    if after >= 0 and after < seq then
        if after < floor then
            rc = 'old'
        elseif seq - after > tonumber(args[3])
            and (uid == ''
                 or redis.call('XLEN', keys[2]) > tonumber(args[3]))
        then
            -- numbers alone say little, a fence may have skipped thousands; a
            -- node hears of each fence, and what it did not hear is more
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


-- The number of a message that is still in the log.  Newest first: it is
-- mostly the last one that somebody has read.
local function find(log, mid)
    local want = '"message":{"id":"' .. mid .. '"'
    local last, count, seen = '+', 4, 0

    while seen < FIND_MAX do
        local list = redis.call('XREVRANGE', log, last, '-', 'COUNT', count)
        for i = 1, #list do
            local p = list[i][2][2]
            if string.sub(p, 1, 1) ~= 'e' and string.find(p, want, 1, true)
            then
                return tonumber(string.match(list[i][1], '^%d+'))
            end
        end
        if #list < count then return nil end
        last, count, seen = '(' .. list[#list][1], 64, seen + count
    end
end

-- One member's cursor.  Answers moved, same, denied or unknown, and where it
-- stands.  found: numbers of messages, looked for once a call.
local function move(keys, args, uid, mid, n, found)
    local kind, at = args[3], args[4]
    local h = redis.call('HMGET', keys[1], 'seq', 'm:' .. uid, 'r:' .. uid,
                         'd:' .. uid)

    if not h[2] or not may(h[2], 'r') then return 'denied', 0 end

    n = tonumber(n)
    if not n then
        if found[mid] == nil then found[mid] = find(keys[3], mid) or false end
        n = found[mid]
    end
    if not n then return 'unknown', 0 end
    if n > tonumber(h[1]) then n = tonumber(h[1]) end

    local r = tonumber(string.match(h[3] or '0', '^%d+'))
    local d = tonumber(string.match(h[4] or '0', '^%d+'))
    local have = kind == 'r' and r or d
    if n <= have then return 'same', have end

    local value = n .. ' ' .. at
    redis.call('HSET', keys[1], kind .. ':' .. uid, value)
    if kind == 'r' and d < n then
        redis.call('HSET', keys[1], 'd:' .. uid, value)
    end

    -- it has no number: who reads the store next waits for this entry
    redis.call('HSET', keys[1], 'moved', redis.call('XADD', keys[2], '*',
         'c', args[2], 'p', 's 0 ' .. uid .. ' -\n{}',
         'x', '{"kind":"' .. kind .. '","seq":' .. n .. ',"at":"' .. at
         .. '"}'))

    return 'moved', n
end

-- Move read ('r') or delivered ('d') cursors forward; reading delivers.
-- KEYS conv ingest log   ARGV chan cid kind at backlog [uid mid seq]...
-- Up to the message mid, whose number is seq ('': look for it in the log; one
-- that is not there is unknown, the store knows it).  Cursors are state, not
-- numbered events: published and projected only.  Members that moved to the
-- same message are told of in one event, each with the last one he moved to.
-- Answers {ok, uid, moved|same|denied|unknown, seq...}.
local function cursor(keys, args)
    if redis.call('HEXISTS', keys[1], 'seq') == 0 then return {'noload'} end
    if full(keys[2], args[5]) then return {'backlog'} end

    local cid, kind, at = args[2], args[3], args[4]
    local answer, order, who, found = {'ok'}, {}, {}, {}
    local users, last = {}, {}

    for i = 6, #args, 3 do
        local uid, mid = args[i], args[i + 1]
        local rc, n = move(keys, args, uid, mid, args[i + 2], found)
        local k = #answer
        answer[k + 1], answer[k + 2], answer[k + 3] = uid, rc, n
        if rc == 'moved' then
            if not last[uid] then users[#users + 1] = uid end
            last[uid] = {mid, n}
        end
    end

    for _, uid in ipairs(users) do
        local mid = last[uid][1]
        if not who[mid] then
            who[mid] = {seq = last[uid][2], actor = uid}
            order[#order + 1] = mid
        end
        table.insert(who[mid], '{"userId":"' .. uid .. '","'
            .. (kind == 'r' and 'readAt' or 'deliveredAt') .. '":"' .. at
            .. '"}')
    end

    for _, mid in ipairs(order) do
        local w = who[mid]
        local list = '[' .. table.concat(w, ',') .. ']'
        redis.call('PUBLISH', args[1], 's 0 ' .. (#w == 1 and w.actor or '-')
            .. ' -\n{"event":"message_status","data":{"conversationId":"'
            .. cid .. '","messageId":"' .. mid .. '","seq":' .. w.seq
            .. (kind == 'r' and ',"status":"read","readBy":' .. list
                or ',"status":"delivered","readBy":[],"deliveredTo":' .. list)
            .. '}}')
    end

    return answer
end

-- Somebody types, or does not any more: told, not kept.
-- KEYS conv   ARGV chan uid event
local function typing(keys, args)
    local h = redis.call('HMGET', keys[1], 'seq', 'state', 'm:' .. args[2])

    if not h[1] then return {'noload'} end
    if not h[3] then return {'denied'} end
    if not may(h[3], 'w') then return {'forbidden'} end
    if h[2] ~= 'active' then return {'archived'} end

    redis.call('PUBLISH', args[1], 't 0 ' .. args[2] .. ' -\n' .. args[3])

    return {'ok'}
end

-- Name, avatar and role of a user: as his token last said them, or as a service
-- set them ('1'), which then stay.
-- KEYS prof ingest   ARGV uid json backlog managed
local function profile(keys, args)
    local have = redis.call('GET', keys[1])
    local value = (args[4] == '1' and '!' or '') .. args[2]

    if have == value then return {'ok', 0} end
    if have and args[4] ~= '1' and string.sub(have, 1, 1) == '!' then
        return {'ok', 0}
    end
    if full(keys[2], args[3]) then return {'backlog'} end

    redis.call('SET', keys[1], value, 'EX', ONCE_S)
    redis.call('XADD', keys[2], '*', 'c', '-', 'p', 'u 0 ' .. args[1] .. ' -\n'
         .. args[2], 'x', args[4] == '1' and '{"managed":true}' or '')

    return {'ok', 1}
end


-- Presence: on the first server, in one place for all nodes.
-- KEYS of all four   online hidden conns state rooms
-- online, hidden: user -> until when he counts, ms; hidden has those who chose
-- to be seen as offline.  conns: nginx worker -> the same.  state: chosen
-- (away, busy, offline; absent: online), shown (what the others were last
-- told), seen (last sign of life, ISO 8601), hid (while offline is chosen: seen
-- as it was then), d:<session> = nginx worker and device.  rooms: his
-- conversations, which say who is to be told.  Time is this server's.

local function now_ms()
    local t = redis.call('TIME')
    return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Say it, once, when it is news.
local function show(keys, chan, uid, status)
    local h = redis.call('HMGET', keys[4], 'shown', 'seen')
    if (h[1] or 'offline') == status then return 0 end

    redis.call('HSET', keys[4], 'shown', status)

    local rooms, n = redis.call('HKEYS', keys[5]), 0
    local list = {}
    for i = 1, #rooms do
        if rooms[i] ~= '~' and rooms[i] ~= '@' then
            n = n + 1
            list[n] = rooms[i]
        end
    end

    if n == 0 then return 1 end         -- nobody is to know

    redis.call('PUBLISH', chan, 'p 0 ' .. uid .. ' ' .. n
        .. '\n{"event":"user_presence","data":{"userId":"' .. uid
        .. '","status":"' .. status .. '","lastSeen":'
        .. (h[2] and '"' .. h[2] .. '"' or 'null') .. '}}\n'
        .. table.concat(list, ' '))
    return 1
end

-- Put his time into the set that his choice says.
local function count(keys, uid, chosen, till)
    local a, b = keys[1], keys[2]
    if chosen == 'offline' then a, b = b, a end
    redis.call('ZADD', a, till, uid)
    redis.call('ZREM', b, uid)
end

local function latest(conns)
    local top = redis.call('ZRANGE', conns, 0, 0, 'REV', 'WITHSCORES')
    return tonumber(top[2] or '0')
end

-- Forget nginx workers whose time has passed, and the devices that they had.
local function prune(keys)
    local dead = redis.call('ZRANGEBYSCORE', keys[3], '-inf', now_ms())
    if #dead == 0 then return end

    local gone = {}
    for i = 1, #dead do gone[dead[i]] = true end
    redis.call('ZREM', keys[3], unpack(dead))

    local all = redis.call('HGETALL', keys[4])
    for i = 1, #all, 2 do
        if string.sub(all[i], 1, 2) == 'd:'
            and gone[string.match(all[i + 1], '^%S*')]
        then
            redis.call('HDEL', keys[4], all[i])
        end
    end
end

-- An nginx worker has sockets of his (again, or still).
-- ARGV chan uid node lease at [session device]
local function here(keys, args)
    local uid, till = args[2], now_ms() + tonumber(args[4])
    local chosen = redis.call('HGET', keys[4], 'chosen') or 'online'

    redis.call('ZADD', keys[3], till, args[3])
    redis.call('PEXPIRE', keys[3], 4 * tonumber(args[4]))
    prune(keys)
    redis.call('HSET', keys[4], 'seen', args[5])
    if args[6] then
        redis.call('HSET', keys[4], 'd:' .. args[6],
                   args[3] .. ' ' .. args[7])
    end
    redis.call('EXPIRE', keys[4], PRESENCE_S)
    count(keys, uid, chosen, math.max(till, latest(keys[3])))

    return {'ok', show(keys, args[1], uid, chosen)}
end

-- The last of his sockets there is gone; others count on for the grace time.
-- ARGV chan uid node grace at [session]
local function gone(keys, args)
    local uid, till = args[2], now_ms() + tonumber(args[4])

    redis.call('ZADD', keys[3], till, args[3])
    redis.call('HSET', keys[4], 'seen', args[5])
    if args[6] then redis.call('HDEL', keys[4], 'd:' .. args[6]) end
    count(keys, uid, redis.call('HGET', keys[4], 'chosen') or 'online',
          latest(keys[3]))

    return {'ok'}
end

-- Has his time run out?  (from the janitor, for those whose time in online or
-- hidden has passed)
-- ARGV chan uid
local function left(keys, args)
    local uid, till = args[2], latest(keys[3])

    if till > now_ms() then
        count(keys, uid, redis.call('HGET', keys[4], 'chosen') or 'online',
              till)
        return {'ok', 0}
    end

    redis.call('DEL', keys[3])
    redis.call('ZREM', keys[1], uid)
    redis.call('ZREM', keys[2], uid)

    local fields = redis.call('HKEYS', keys[4])
    for i = 1, #fields do
        if string.sub(fields[i], 1, 2) == 'd:' then
            redis.call('HDEL', keys[4], fields[i])
        end
    end
    redis.call('HDEL', keys[4], 'chosen')

    -- nor are they to see later that he was there
    local hid = redis.call('HGET', keys[4], 'hid')
    if hid then
        redis.call('HDEL', keys[4], 'hid')
        if hid ~= '' then redis.call('HSET', keys[4], 'seen', hid) end
    end

    return {'ok', show(keys, args[1], uid, 'offline')}
end

-- He chooses how he is seen, on all of his devices, until he is gone.
-- ARGV chan uid status
local function status(keys, args)
    local uid, chosen = args[2], args[3]
    local till = latest(keys[3])

    if till <= now_ms() then return {'ok', 'offline'} end

    if chosen == 'online' then
        redis.call('HDEL', keys[4], 'chosen')
    else
        redis.call('HSET', keys[4], 'chosen', chosen)
    end

    -- the others are not to see that he is still there
    if chosen == 'offline' then
        redis.call('HSETNX', keys[4], 'hid',
                   redis.call('HGET', keys[4], 'seen') or '')
    else
        redis.call('HDEL', keys[4], 'hid')
    end
    count(keys, uid, chosen, till)
    show(keys, args[1], uid, chosen)

    return {'ok', chosen}
end

-- Each is called by its name and the version, so that a process of another
-- version, whose arguments may mean something else, finds none that it knows.
local function register(name, fn)
    redis.register_function('wrt_' .. name .. '_' .. VERSION, fn)
end

register('send', send)
register('emit', emit)
register('create', create)
register('load', load)
register('applied', applied)
register('rest', rest)
register('fence', fence)
register('catch', catch)
register('cursor', cursor)
register('typing', typing)
register('profile', profile)
register('here', here)
register('gone', gone)
register('left', left)
register('status', status)
register('record', record)
register('blob', blob)
redis.register_function('wrt_version', function() return VERSION end)
