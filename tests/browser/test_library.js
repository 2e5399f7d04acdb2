/*
 * test_library.js: writeen.js by itself, without the client: several of it in
 * one page, while lines are cut and parts of the server killed.  Afterwards
 * each must have what the server has, and every message once.
 */

import assert from "node:assert/strict";

import { Person } from "./person.js";
import { until } from "./stack.js";

const STEPS = Number(process.env.BROWSER_STEPS ?? 120);
const SEED = Number(process.env.BROWSER_SEED ?? Date.now() % 1e9);


/* Numbers that a seed repeats (mulberry32). */
function randomOf(seed) {
    let a = seed >>> 0;

    return () => {
        a = (a + 0x6d2b79f5) >>> 0;
        let x = Math.imul(a ^ (a >>> 15), a | 1);

        x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
        return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
    };
}


async function page(world) {
    const p = await Person.at(world.browser, world.stack, "library");

    world.people.push(p);
    p.heard = "";
    p.page.on("websocket", (ws) => ws.on("framereceived", (f) => {
        p.heard += f.payload;
    }));
    await p.page.goto(p.line.url + "/app/icon.svg");
    return p;
}


/* In the page: a client with a storage of its own, and what is in it. */
async function client(p, name, token, ttl, stored = []) {
    await p.page.evaluate(async ([n, t, fresh, before]) => {
        const { Writeen } = await import("/writeen.js");
        const kept = new Map(before);
        const storage = {
            get length() { return kept.size; },
            key: (i) => [...kept.keys()][i],
            getItem: (k) => kept.get(k), setItem: (k, v) => kept.set(k, v),
            removeItem: (k) => kept.delete(k) };
        const chat = new Writeen({ token: t, storage, getToken: fresh
            ? async () => fresh : null });

        globalThis[n] = chat;
        chat.states = [];
        chat.events = new Map();    // message id -> how often it was told
        chat.addEventListener("state", () => chat.states.push(chat.state));
        chat.addEventListener("message", (e) => chat.events.set(
            e.message.id, (chat.events.get(e.message.id) ?? 0) + 1));
        chat.start();
    }, [name, token, ttl, stored]);
    await until(() => p.page.evaluate((n) => globalThis[n].state === "online",
                                      name), name + " to be online");
}


/* What is shown of a room, as it can be compared. */
function view(p, name, room) {
    return p.page.evaluate(async ([n, id]) => {
        const chat = globalThis[n];
        const r = chat.room(id);

        await r.load();

        while (r.hasMore) {
            await r.older(200);
        }

        return {
            waiting: chat.outbox.of(r).length, unread: r.unread,
            archived: r.archived, last: r.last,
            messages: r.view().filter((m) => m.seq).map((m) => [
                m.seq, m.id, m.senderId, m.content.text ?? "",
                Boolean(m.deletedAt), m.clientMessageId,
                m.reactions.map((x) => x.userId + x.emoji).sort()]) };
    }, [name, room]);
}


async function served(world, token, room) {
    const path = `/api/conversations/${room}`;
    const { conversation } = await world.stack.rest(token, "GET", path);
    const rows = [];

    for (let before = ""; ;) {
        const { messages, pagination } = await world.stack.rest(
            token, "GET", `${path}/messages?limit=200${before}`);

        rows.push(...messages);

        if (!pagination.hasMore) {
            break;
        }

        before = "&beforeSeq=" + messages.at(-1).seq;
    }

    return { waiting: 0, unread: conversation.unreadCount,
             archived: conversation.isArchived, last: conversation.seq,
             messages: rows.reverse().map((m) => [
                 m.seq, m.id, m.senderId, m.content.text ?? "",
                 Boolean(m.deletedAt), m.clientMessageId,
                 m.reactions.map((x) => x.userId + x.emoji).sort()]) };
}


/* Until the client has what the server has; says what differs. */
async function same(world, p, name, token, room) {
    let have, want;

    await until(async () => {
        try {
            want = await served(world, token, room);
            have = await view(p, name, room);
        } catch {
            return false;       // a part of it was killed just now
        }

        return JSON.stringify(have) === JSON.stringify(want);
    }, name + " to have what the server has").catch(() => {});
    assert.deepEqual(have, want, `${name}, seed ${SEED}`);
    return have;
}


/* One thing that somebody does; what fails for good is part of the game: the
 * message may be gone, the line cut. */
async function step(p, name, room, what, pick) {
    await p.page.evaluate(async ([n, id, w, r]) => {
        const chat = globalThis[n];
        const room_ = chat.room(id);
        const list = room_.view().filter((m) => m.id && !m.deletedAt
                                                && m.type === "text");
        const mine = list.filter((m) => m.senderId === chat.userId);
        const any = list[Math.floor(r * list.length)];
        const own = mine[Math.floor(r * mine.length)];
        const quiet = (promise) => promise && promise.catch(() => {});

        switch (w) {
        case "send":
            room_.send({ text: `${n} ${Math.floor(r * 1e9)}`,
                         replyTo: r < 0.2 ? any?.id : null });
            break;
        case "edit":
            quiet(own && room_.edit(own.id, "edited " + r));
            break;
        case "delete":
            quiet(own && r < 0.5 && room_.remove(own.id));
            break;
        case "react":
            quiet(any && room_.react(any.id, r < 0.5 ? "👍" : "❤️",
                                     r < 0.8));
            break;
        case "read":
            room_.markRead();
            break;
        case "load":
            quiet(room_.load());
            break;
        case "older":
            quiet(room_.older(5));
            break;
        }
    }, [name, room, what, pick]);
}


/* A room of ani and budi, and who can fill it as fast as it goes. */
async function crowd(world) {
    const tokens = await world.stack.tokens();
    const admin = await world.stack.mint("kepala", "admin");
    const { conversation: { id: room } } = await world.stack.rest(
        admin, "POST", "/api/conversations",
        { type: "group", title: "jauh",
          participantIds: ["kepala", "ani", "budi"] });
    const post = async (n) => {
        for (let i = 0; i < n; i += 10) {
            await Promise.all(Array.from({ length: 10 }, () =>
                world.stack.rest(
                    admin, "POST", `/api/conversations/${room}/messages`,
                    { type: "text", content: { text: "teks" } })));
        }
    };

    return { room, tokens, post };
}


export const tests = {
    "library: far behind": async (world) => {
        const { room, tokens, post } = await crowd(world);

        await post(80);

        const pages = { ani: await page(world), budi: await page(world) };

        // one has looked into the room, the other one has not
        for (const n of ["ani", "budi"]) {
            await client(pages[n], n, tokens[n]);
        }

        await pages.ani.page.evaluate(
            (id) => globalThis.ani.room(id).load(), room);

        // more than Redis keeps of a room; more than is caught up with
        for (const n of [160, 1010]) {
            pages.ani.line.cut();
            pages.budi.line.cut();
            await post(n);
            pages.ani.line.mend();
            pages.budi.line.mend();

            for (const who of ["ani", "budi"]) {
                await pages[who].page.evaluate(
                    (m) => globalThis[m].retry(), who);
                await same(world, pages[who], who, tokens[who], room);
                assert.match(pages[who].heard, n < 1000
                    ? /"compact":true/ : /"event":"resync_required"/);
            }
        }
    },

    /* What it then gets is older than where the new connection goes on. */
    "library: cut off while a room is read anew": async (world) => {
        const { room, tokens, post } = await crowd(world);
        const p = await page(world);
        const state = () => p.page.evaluate(() => globalThis.ani.state);
        const gone = () => p.heard.split('"resync_required"').length - 1;
        let open, held = 0;
        const gate = new Promise((done) => { open = done; });

        await client(p, "ani", tokens.ani);
        await p.page.evaluate(
            (id) => globalThis.ani.room(id).load(), room);
        await p.page.route("**/api/conversations/" + room, async (route) => {
            const response = await route.fetch();

            if (held++ === 0) {
                await gate;
            }

            await route.fulfill({ response }).catch(() => {});
        });

        p.line.cut();
        await post(1010);
        p.line.mend();
        await p.page.evaluate(() => globalThis.ani.retry());
        await until(() => held === 1 && gone() === 1, "the first load");

        // more than one page of the history, while nobody hears of it
        p.line.cut();
        await until(async () => await state() === "offline", "the cut");
        await post(120);
        p.line.mend();
        await p.page.evaluate(() => globalThis.ani.retry());
        await until(() => gone() === 2, "the second resync_required");
        await post(10);
        open();
        await same(world, p, "ani", tokens.ani, room);
    },

    /* The answer of a count may overtake the events that it counts. */
    "library: what is counted before it comes": async (world) => {
        const p = await page(world);
        const unread = await p.page.evaluate(async () => {
            const { Room } = await import("/writeen-room.js");
            const room = new Room({ userId: "ani", emit() {} },
                                  { id: "r", seq: 2, unreadCount: 2,
                                    participants: [] });
            const seen = [room.unread];
            const event = (seq) => ["message_received", {
                conversationId: "r", seq, message: {
                    id: "m" + seq, seq, senderId: "budi", sender: {},
                    content: { text: "x" }, createdAt: "" } }];

            room.apply("conversation_joined", {
                compact: true, seq: 5, missed: 3, cursors: [] });
            room.apply(...event(3));
            room.counted({ seq: 5, unreadCount: 5 });
            seen.push(room.unread);
            room.apply(...event(4));
            room.apply(...event(5));
            seen.push(room.unread);

            // and of one that comes live
            room.counted({ seq: 6, unreadCount: 6 });
            room.apply(...event(6));
            seen.push(room.unread);

            // what is known better than here
            room.counted({ seq: 6, unreadCount: 4 });
            seen.push(room.unread);
            return seen;
        });

        assert.deepEqual(unread, [2, 3, 5, 6, 4]);
    },

    /* The page was closed before they were acknowledged, and opened again. */
    "library: what was said an hour and two days ago": async (world) => {
        const p = await page(world);
        const token = await world.stack.mint("ani", "student", 600);
        const { conversation: { id: room } } = await world.stack.rest(
            token, "POST", "/api/conversations",
            { type: "group", title: "lama", participantIds: ["budi"] });
        const said = (cmid, hours) => [
            `writeen.queue.ani.${cmid}`, JSON.stringify({
                conversationId: room, senderId: "ani", type: "text",
                content: { text: cmid }, status: "sending", reactions: [],
                clientMessageId: cmid, order: -hours, createdAt: new Date(
                    Date.now() - hours * 3600000).toISOString() })];
        const rows = async () => (await served(world, token, room))
            .messages.map((m) => [m[3], m[5]]);

        await client(p, "back", token, null, [said("old-1", 48),
                                              said("new-1", 1)]);
        await until(async () => (await rows()).length === 1, "the newer one");
        assert.deepEqual(await rows(), [["new-1", "new-1"]]);

        const failed = await p.page.evaluate((id) => {
            const [{ clientMessageId, error }] =
                globalThis.back.outbox.of({ id });

            globalThis.back.resend(clientMessageId);
            return error.code;
        }, room);

        assert.equal(failed, "old");
        await until(async () => (await rows()).length === 2, "the older one");

        const [, [text, cmid]] = await rows();

        assert.equal(text, "old-1");
        assert.notEqual(cmid, "old-1");
        // the store may have it before its acknowledgement is here
        await until(async () => (await view(p, "back", room)).waiting === 0,
                    "nothing to wait");
    },

    "library: tokens that end": async (world) => {
        const p = await page(world);
        const fresh = await world.stack.mint("ani", "student", 600);

        // a new one is asked for a minute before
        await client(p, "long", await world.stack.mint("ani", "student", 62),
                     fresh);
        await until(() => p.page.evaluate(
            (t) => globalThis.long.token === t, fresh), "a new token");

        // without one that is the end, until there is one
        await client(p, "short", await world.stack.mint("ani", "student", 8));
        await until(() => p.page.evaluate(
            () => globalThis.short.state === "denied"), "denied");
        await p.page.evaluate((t) => globalThis.short.useToken(t), fresh);
        await until(() => p.page.evaluate(
            () => globalThis.short.state === "online"), "online again");
        assert.deepEqual(await p.page.evaluate(() => globalThis.long.states),
                         ["connecting", "online"]);
    },

    "library: everything at random": async (world) => {
        const random = randomOf(SEED);
        const tokens = await world.stack.tokens();
        const names = ["ani", "budi", "citra"];
        const { conversation } = await world.stack.rest(
            tokens.ani, "POST", "/api/conversations",
            { type: "group", title: "acak",
              participantIds: names.slice(1) });
        const room = conversation.id;
        const pages = {};

        console.log(`  BROWSER_SEED=${SEED}`);

        for (const n of names) {
            pages[n] = await page(world);
            await client(pages[n], n, tokens[n]);
        }

        const deeds = ["send", "send", "send", "edit", "delete", "react",
                       "read", "load", "older"];
        const faults = ["cut", "cut", "cut", "cut", "redis", "worker",
                        "nginx", "reload"];
        const cut = new Set();

        for (let i = 0; i < STEPS; i++) {
            const name = names[Math.floor(random() * names.length)];
            const what = deeds[Math.floor(random() * deeds.length)];

            await step(pages[name], name, room, what, random());

            if (i % 15 !== 14) {
                continue;
            }

            const fault = faults[Math.floor(random() * faults.length)];

            for (const n of cut) {
                pages[n].line.mend();
            }

            cut.clear();

            if (fault === "cut") {
                cut.add(name);
                pages[name].line.cut();
            } else if (fault === "reload") {
                world.stack.signal("nginx", "SIGHUP");
            } else {
                await world.stack.kill(fault);
            }
        }

        cut.forEach((n) => pages[n].line.mend());

        for (const n of names) {
            await pages[n].page.evaluate((m) => globalThis[m].retry(), n);
            await until(() => pages[n].page.evaluate(
                ([m, id]) => globalThis[m].state === "online"
                    && globalThis[m].outbox.of({ id }).length === 0,
                [n, room]), n + " to have sent everything");
        }

        for (const n of names) {
            const have = await same(world, pages[n], n, tokens[n], room);

            // each was told once, and none twice
            const told = await pages[n].page.evaluate(
                (m) => [...globalThis[m].events.values()], n);

            assert.ok(told.every((k) => k === 1), told.join(" "));

            const cmids = have.messages.map((m) => m[5]).filter(Boolean);

            assert.equal(new Set(cmids).size, cmids.length);
        }
    },
};
