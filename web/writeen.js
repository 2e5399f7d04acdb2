/*
 * writeen.js: the chat for browsers, without any look of its own.
 *
 *     const chat = new Writeen({ token, url: "https://chat.example.org" });
 *     chat.addEventListener("message", (e) => show(e.room, e.message));
 *     chat.start();
 *     chat.room(id).send({ text: "Hello" });
 *
 * It connects, comes back by itself and takes up each room where it was; it
 * keeps messages that can not be sent yet, also when the page is closed, and
 * repeats them with the same clientMessageId until they are acknowledged; it
 * applies what comes so that a room here is what the server has.  What a room
 * is made of stands in writeen-room.js.
 *
 * Events, all with the fields named: state; rooms (the list changed); room
 * {room}; message {room, message} (a new one, live); presence {userId};
 * problem {error}.
 * States: idle, connecting, online, offline (coming back by itself), denied
 * (a new token is needed), closed.
 */

import { Outbox } from "./writeen-outbox.js";
import { NUMBERED, Room } from "./writeen-room.js";
import { Uploads } from "./writeen-upload.js";
import { WriteenError, newId, sleep } from "./writeen-util.js";

export { WriteenError, newId };

const ACK_MS = 8000;        // then a send is repeated
const QUIET_MS = 20000;     // then the server is asked for a sign of life
const PONG_MS = 8000;       // without it the connection counts as lost
const BACKOFF_MAX_MS = 10000;
const LIST_PAGES = 20;      // of 100 rooms
const DELIVERED_MS = 150;   // marks of one room gather for so long


class ChatEvent extends Event {
    constructor(name, fields) {
        super(name);
        Object.assign(this, fields);
    }
}


export class Writeen extends EventTarget {
    #ws = null;
    #token;
    #wanted = false;        // start() was called, and not stop()
    #attempt = 0;
    #timers = {};
    #calls = new Map();     // id -> {resolve, reject}, on this connection
    #resuming = new Set();  // rooms whose answer is awaited
    #early = new Map();     // room id -> events, until the room is known
    #loading = new Map();   // room id -> its load, the last one begun
    #listed = false;        // the list of rooms was read at least once
    #quiet = 0;

    /* token: a JWT; getToken: async, a new one when that expires; url: where
     * the server is; storage: where messages wait (null: nowhere). */
    constructor({ token, getToken = null, url = location.origin,
                  storage = globalThis.localStorage ?? null,
                  platform = "web", version = "1" }) {
        super();
        this.#token = token;
        this.getToken = getToken;
        this.url = new URL(url);
        this.storage = storage;
        this.platform = platform;
        this.version = version;
        this.state = "idle";
        this.retryAt = 0;           // when it will try again, ms
        this.rooms = new Map();
        this.presence = new Map();  // user -> {status, lastSeen}
        this.names = new Map();     // of users whom the server does not know
        this.uploads = new Uploads(this);

        const claims = claimsOf(token);
        this.userId = claims.sub;
        this.role = claims.role;
        this.name = claims.name || claims.sub;

        this.online = () => { if (this.state === "offline") this.retry(); };
        globalThis.addEventListener?.("online", this.online);
        this.outbox = new Outbox(this);
    }

    get token() { return this.#token; }

    start() {
        this.#wanted = true;
        this.#connect();
    }

    stop() {
        this.#wanted = false;
        globalThis.removeEventListener?.("online", this.online);
        this.#forget(new WriteenError("closed", "the chat was closed"));
        this.#ws?.close(1000);
        this.#ws = null;
        this.uploads.stop();
        this.#become("closed");
    }

    /* At once instead of when it is due. */
    retry() {
        if (this.#wanted && this.state === "offline") {
            this.#connect();
        }
    }

    /* A new token, for what follows; a live connection takes it over. */
    useToken(token) {
        this.#token = token;

        if (this.state === "online") {
            this.call("refresh_token", { token }).catch(() => {});
        } else if (this.#wanted) {
            this.#connect();
        }
    }

    emit(name, fields = {}) {
        this.dispatchEvent(new ChatEvent(name, fields));
    }

    room(id) { return this.rooms.get(id); }

    /* ---- REST ---- */

    /* The answer's data; a WriteenError otherwise.  What may be repeated
     * without harm is repeated when the server is busy. */
    async rest(method, path, { body, signal, raw = false } = {}) {
        const again = method !== "POST";

        for (let attempt = 0; ; attempt++) {
            let error;

            try {
                return await this.#fetch(method, path, body, signal, raw);
            } catch (e) {
                if (signal?.aborted || !(e instanceof WriteenError)) {
                    throw e;
                }

                error = e;
            }

            if (error.status === 401) {
                await this.#expired();
            }

            if (!again || !error.retryable || attempt === 3) {
                throw error;
            }

            await sleep(error.retryAfterMs ?? 300 * 2 ** attempt);
        }
    }

    async #fetch(method, path, body, signal, raw) {
        const headers = { Authorization: "Bearer " + this.#token };
        let r;

        if (body !== undefined) {
            headers["Content-Type"] = "application/json";
            body = JSON.stringify(body);
        }

        try {
            r = await fetch(new URL(path, this.url),
                            { method, headers, body, signal,
                              credentials: "omit" });
        } catch (e) {
            if (signal?.aborted) {
                throw e;
            }

            throw new WriteenError("offline", "the server cannot be reached",
                                   { retryable: true });
        }

        if (r.ok && raw) {
            return r;
        }

        const answer = await r.json().catch(() => ({}));

        if (r.ok) {
            return answer.data;
        }

        throw WriteenError.ofAnswer(r.status, answer,
                                    r.headers.get("Retry-After"));
    }

    /* ---- the connection ---- */

    #connect() {
        clearTimeout(this.#timers.retry);

        const old = this.#ws;
        this.#ws = null;
        old?.close();
        this.#become("connecting");

        const url = new URL("/ws", this.url);
        url.protocol = url.protocol.replace("http", "ws");
        url.searchParams.set("platform", this.platform);
        url.searchParams.set("version", this.version);

        if (this.rooms.size) {
            url.searchParams.set("resume", "1");
        }

        // In a subprotocol, so that it stands in no address.
        const ws = new WebSocket(url, ["writeen.v1",
                                       "bearer." + this.#token]);
        this.#ws = ws;

        ws.onmessage = (e) => {
            if (this.#ws === ws) {
                this.#quiet = Date.now();
                this.#event(JSON.parse(e.data));
            }
        };

        ws.onclose = (e) => {
            if (this.#ws === ws) {
                this.#lost(e);
            }
        };
    }

    async #lost(close) {
        const wasOpen = this.#quiet > 0;
        const hint = /(\d+) ?ms/.exec(close.reason);

        this.#ws = null;
        this.#forget(new WriteenError("offline", "the connection was lost",
                                      { retryable: true }));

        if (!this.#wanted) {
            return;
        }

        const pause = close.code === 1012 && hint
            ? Number(hint[1])
            : Math.min(BACKOFF_MAX_MS, 250 * 2 ** this.#attempt)
              * (0.5 + Math.random());

        this.#attempt++;
        this.retryAt = Date.now() + pause;
        this.#become("offline");

        if (close.code === 4401) {
            await this.#expired();
        } else if (close.code === 4403) {
            this.#become("denied");
        } else if (!wasOpen && this.#attempt > 1) {
            // A browser does not say why a handshake was refused.
            await this.rest("GET", "/api/unread").catch(() => {});
        }

        if (this.#wanted && this.state === "offline") {
            clearTimeout(this.#timers.retry);
            this.#timers.retry = setTimeout(() => this.#connect(),
                                            this.retryAt - Date.now());
        }
    }

    /* The token is no longer good. */
    async #expired() {
        const token = await this.getToken?.().catch(() => null);

        if (token && token !== this.#token) {
            this.useToken(token);
        } else if (this.#wanted && this.state !== "denied") {
            const ws = this.#ws;
            this.#ws = null;
            ws?.close();
            this.#become("denied");
        }
    }

    /* What was of the connection that ended. */
    #forget(error) {
        for (const t of Object.values(this.#timers)) {
            clearTimeout(t);
        }

        this.#timers = {};
        this.#quiet = 0;
        this.#resuming.clear();
        // What waited for a load is told again, after the room's last number.
        this.#loading.clear();
        this.#early.clear();
        this.outbox.disconnected();

        for (const call of this.#calls.values()) {
            call.reject(error);
        }

        this.#calls.clear();

        for (const room of this.rooms.values()) {
            room.disconnected();
        }
    }

    #become(state) {
        if (this.state !== state) {
            this.state = state;
            this.emit("state");
        }
    }

    /* Silence is no proof of a connection: proxies and phones keep dead ones
     * open. */
    #watch() {
        clearTimeout(this.#timers.watch);

        this.#timers.watch = setTimeout(async () => {
            const ws = this.#ws;

            if (Date.now() - this.#quiet >= QUIET_MS) {
                try {
                    await this.call("ping", {}, PONG_MS);
                } catch {
                    if (this.#ws === ws && ws) {
                        ws.onclose = null;
                        ws.close();
                        this.#lost({ code: 1006, reason: "" });
                        return;
                    }
                }
            }

            if (this.#ws === ws) {
                this.#watch();
            }
        }, QUIET_MS / 2);
    }

    /* ---- out ---- */

    #send(event, data, id) {
        if (this.#ws?.readyState !== 1) {
            return false;
        }

        this.#ws.send(JSON.stringify(id ? { event, data, id }
                                        : { event, data }));
        return true;
    }

    /* Said once; lost when there is no connection. */
    say(event, data) { return this.#send(event, data); }

    /* An event and its answer. */
    call(event, data, timeout = ACK_MS) {
        const id = newId();

        return new Promise((resolve, reject) => {
            const timer = setTimeout(
                () => settle(reject, new WriteenError(
                    "timeout", "no answer in time", { retryable: true })),
                timeout);

            const settle = (how, value) => {
                clearTimeout(timer);
                this.#calls.delete(id);
                how(value);
            };

            this.#calls.set(id, { resolve: (v) => settle(resolve, v),
                                  reject: (e) => settle(reject, e) });

            if (!this.#send(event, data, id)) {
                settle(reject, new WriteenError(
                    "offline", "there is no connection",
                    { retryable: true }));
            }
        });
    }

    /* Failed for good, and tried again by hand; or given up. */
    resend(cmid) { this.outbox.resend(cmid); }
    discard(cmid) { this.outbox.discard(cmid); }

    /* ---- in ---- */

    #event({ event, data }) {
        const call = data.id && this.#calls.get(data.id);

        if (call) {
            if (event === "error") {
                call.reject(WriteenError.ofEvent(data));
            } else if (["ack", "message_status", "pong"].includes(event)) {
                call.resolve(data);
            }
        }

        switch (event) {
        case "connected":
            this.#connected(data);
            return;
        case "user_presence":
            this.presence.set(data.userId, data);
            this.emit("presence", { userId: data.userId });
            return;
        case "token_expiring":
            this.getToken?.().then((t) => t && this.useToken(t), () => {});
            return;
        case "upload_progress":
            this.uploads.progress(data);
            return;
        case "resync_required":
            this.#load(data.conversationId, true);
            return;
        case "error":
            this.#refused(data);
            return;
        }

        const id = data.conversationId;

        if (id === undefined) {
            return;
        }

        const room = this.rooms.get(id);

        if (room && !this.#loading.has(id)) {
            this.#apply(room, event, data);
        } else if (NUMBERED.has(event) || event === "conversation_created") {
            this.#early.get(id)?.push([event, data])
                ?? this.#early.set(id, [[event, data]]);

            if (this.#listed) {
                this.#load(id);
            }
        }
    }

    #apply(room, event, data) {
        const fresh = room.apply(event, data);

        if (event === "conversation_joined") {
            for (const user of data.online ?? []) {
                const p = this.presence.get(user);

                if (!p || p.status === "offline") {
                    this.presence.set(user, { userId: user,
                                              status: "online" });
                }
            }

            if (this.#resuming.delete(room.id)) {
                this.#ready();
            }

            if (data.compact) {
                this.#count(room);
            }

            // a mark may have been lost with the connection
            if (room.toDeliver) {
                this.#delivered(room, room.toDeliver);
            }
        }

        if (!room.member(this.userId)) {
            this.rooms.delete(room.id);
            this.emit("rooms");
        }

        if (fresh) {
            this.#fresh(room, fresh);
        }

        if (event !== "user_typing" || room.changed) {
            this.emit("room", { room });
        }
    }

    /* A message that was not here. */
    #fresh(room, m) {
        const mine = m.senderId === this.userId;

        if (mine) {
            this.outbox.discard(m.clientMessageId);
            this.uploads.arrived(m.clientMessageId);
        } else {
            this.#delivered(room, m);
        }

        this.emit("message", { room, message: m });
        this.emit("rooms");
    }

    #delivered(room, m) {
        room.toDeliver = m;

        this.#timers["delivered" + room.id] ??= setTimeout(() => {
            delete this.#timers["delivered" + room.id];

            if (room.toDeliver.seq > room.cursor(this.userId).delivered) {
                this.say("mark_delivered",
                         { conversationId: room.id,
                           messageId: room.toDeliver.id });
            }
        }, DELIVERED_MS);
    }

    #refused(data) {
        const id = data.conversationId;
        const joins = data.event === "resume"
                      || data.event === "join_conversation";

        if (joins && data.retryable) {
            this.#ws?.close();              // start over
        } else if (joins && id && this.#resuming.delete(id)) {
            this.rooms.delete(id);          // not in it any more
            this.emit("rooms");
            this.#ready();
        }
    }

    #connected(data) {
        this.userId = data.userId;
        this.role = data.role;
        this.#quiet = Date.now();
        this.#watch();

        if (data.resume) {
            this.#resume([...this.rooms.values()]);
        }

        this.#list();
    }

    #resume(rooms) {
        if (rooms.length === 0) {
            this.#send("resume", { conversations: {} });
            return;
        }

        // a message has room for about 64 KB
        for (let i = 0; i < rooms.length; i += 500) {
            const part = rooms.slice(i, i + 500);
            part.forEach((r) => this.#resuming.add(r.id));
            this.#send("resume", { conversations: Object.fromEntries(
                part.map((r) => [r.id, r.last])) });
        }
    }

    /* All rooms are as they are on the server: what waits may go out. */
    #ready() {
        if (this.#listed && this.#resuming.size === 0
            && this.state === "connecting")
        {
            this.#attempt = 0;
            this.#become("online");
            this.outbox.pump();
            this.uploads.online();
        }
    }

    /* Rooms that are not known yet.  Events of them wait meanwhile. */
    async #list() {
        const ws = this.#ws;
        const found = [];

        try {
            for (const archived of ["false", "true"]) {
                for (let page = 1; page <= LIST_PAGES; page++) {
                    const { conversations } = await this.rest(
                        "GET", `/api/conversations?page=${page}&limit=100`
                               + `&archived=${archived}`);

                    found.push(...conversations);

                    if (conversations.length < 100) {
                        break;
                    }
                }
            }
        } catch {
            // the worker pool may be away while the sockets are not
            if (this.#ws === ws) {
                this.#timers.list = setTimeout(() => this.#list(), 1000);
            }

            return;
        }

        if (this.#ws !== ws) {
            return;
        }

        // no event says it: another device may have
        for (const { id, muted, mutedUntil } of found) {
            this.rooms.get(id)?.stands({ muted, mutedUntil });
        }

        const fresh = found.filter((c) => !this.rooms.has(c.id))
                           .map((c) => this.#add(c));

        this.#listed = true;

        if (fresh.length) {
            this.#resume(fresh);
        }

        this.emit("rooms");

        for (const id of this.#early.keys()) {
            this.#load(id);
        }

        this.#ready();

        for (const room of fresh.filter((r) => r.unread).slice(0, 20)) {
            this.#newest(room);
        }
    }

    /* What came while nobody was here was delivered now. */
    async #newest(room) {
        const data = await this.rest(
            "GET", `/api/conversations/${room.id}/messages?limit=1`)
            .catch(() => null);

        if (data?.messages[0] && data.messages[0].senderId !== this.userId) {
            this.#delivered(room, data.messages[0]);
        }
    }

    #add(conversation) {
        const room = new Room(this, conversation);
        const early = this.#early.get(room.id) ?? [];

        this.rooms.set(room.id, room);
        this.#early.delete(room.id);
        this.#loading.delete(room.id);

        for (const [event, data] of early) {
            if (NUMBERED.has(event) && data.seq > room.last) {
                this.#apply(room, event, data);
            }
        }

        return room;
    }

    /* A room from the beginning: one that is new to us or, anew, one that is
     * too far behind. */
    async #load(id, anew = false) {
        if (!anew && (this.#loading.has(id) || this.rooms.has(id))) {
            return;
        }

        const load = {};

        if (anew) {
            // One that is under way may have read what was before.
            this.#early.delete(id);
        }

        this.#loading.set(id, load);

        while (this.#loading.get(id) === load) {
            try {
                const { conversation } = await this.rest(
                    "GET", `/api/conversations/${id}`);

                if (this.#loading.get(id) === load) {
                    this.#loaded(conversation);
                }
            } catch (error) {
                if (error.status === 404 && this.#loading.get(id) === load) {
                    this.#loading.delete(id);
                    this.#early.delete(id);
                    this.rooms.delete(id);
                    this.#resuming.delete(id);
                    this.emit("rooms");
                    this.#ready();
                    return;
                }

                await sleep(1000);
            }
        }
    }

    async #loaded(conversation) {
        const old = this.rooms.get(conversation.id);
        const room = this.#add(conversation);

        this.#resume([room]);
        this.emit("rooms");

        for (let read = !old; !read && this.rooms.get(room.id) === room; ) {
            read = await old.replacedBy(room)
                .then(() => true, () => sleep(1000));
        }

        this.emit("room", { room });
    }

    /* Unread, as the server counts it. */
    async #count(room) {
        const data = await this.rest(
            "GET", `/api/conversations/${room.id}`).catch(() => null);

        if (data) {
            room.counted(data.conversation);
            this.emit("room", { room });
            this.emit("rooms");
        }
    }

    recount(room) { return this.#count(room); }

    /* ---- what is no room's ---- */

    create(conversation) {
        return this.#made("/api/conversations", conversation);
    }

    /* A consultation, with its context; the id is made here. */
    confirm(consultation, id = newId()) {
        return this.#made(`/api/consultations/${id}/confirm`, consultation);
    }

    async #made(path, body) {
        const data = await this.rest("POST", path, { body });
        const id = data.conversation.id;

        if (!this.rooms.has(id)) {
            this.#add(data.conversation);
            this.#resume([this.rooms.get(id)]);
            this.emit("rooms");
        }

        return this.rooms.get(id);
    }

    search(q, { conversationId, page = 1, signal } = {}) {
        const query = new URLSearchParams({ q, page, limit: 30 });

        if (conversationId) {
            query.set("conversationId", conversationId);
        }

        return this.rest("GET", `/api/search?${query}`, { signal });
    }

    setPresence(status) { return this.call("set_presence", { status }); }

    /* The bytes of a file, or of a thumbnail of it. */
    async file(fileId, size = null) {
        const r = await this.rest(
            "GET", size ? `/api/files/${fileId}/thumbnails/${size}`
                        : `/api/files/${fileId}/download`, { raw: true });

        return r.blob();
    }
}


/* What a token says of who has it; the server alone checks it. */
export function claimsOf(token) {
    try {
        const text = token.split(".")[1].replace(/-/g, "+")
                                        .replace(/_/g, "/");
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

        return JSON.parse(new TextDecoder().decode(bytes));
    } catch {
        return {};
    }
}
