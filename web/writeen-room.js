/*
 * writeen-room.js: one conversation, as a client keeps it.
 *
 * It begins with what REST says of it and is kept right by events alone.
 * `last` is the number up to which it has everything.  Messages are loaded
 * when somebody looks (load, older); those below `first` are not here, and
 * events about them are passed over.  A compact catch-up counts when it is
 * whole: until then `last` stays where it was.
 */

const CHANGES = new Set(["message_updated", "message_deleted"]);

export const NUMBERED = new Set([...CHANGES, "message_received",
                                 "reaction_updated",
                                 "conversation_updated"]);

const PAGE = 50;
const TYPING_MS = 7000;     // the server ends it after 6 s
const TYPING_SAY_MS = 2500; // said again after so long


export class Room {
    #client;
    #typing = new Map();    // user -> {name, timer}
    #said = 0;              // when typing was last said
    #marked = 0;            // marked as read up to here, on this connection
    #due = 0;               // events of a compact catch-up still to come
    #upto = 0;
    #seen = 0;
    #below = 0;             // unread ones up to #base, as the server counted
    #count = null;          // a count of the server's that is ahead of us
    #pages = null;          // the page that is being loaded ...
    #meanwhile = [];        // ... and changes that came while it was
    #base;                  // all above is here, loaded or not

    constructor(client, conversation) {
        this.#client = client;
        this.id = conversation.id;
        this.messages = new Map();
        this.loaded = false;
        this.first = Infinity;      // lowest number that is here
        this.hasMore = true;
        this.cursors = new Map();   // user -> {read, delivered}
        this.changed = false;       // by the last event, as one can see it
        this.toDeliver = null;
        this.last = this.#seen = this.#base = conversation.seq;
        this.counted(conversation);
        this.stands(conversation);
    }

    /* ---- what it is ---- */

    stands(conversation) {
        this.conversation = { ...this.conversation, ...conversation };
        this.lastMessage = conversation.lastMessage ?? this.lastMessage
                           ?? null;
    }

    /* The server's count of what is unread, up to the number it names: good
     * when all up to there is here, since what came live is taken from it. */
    counted({ seq, unreadCount = 0 }) {
        this.#count = { seq, unreadCount };
        this.#settle();
        this.#tally();
    }

    #settle() {
        if (this.#count && this.#count.seq <= this.last) {
            this.#below = Math.max(0, this.#count.unreadCount
                                      - this.#live(this.#count.seq));
            this.#count = null;
        }
    }

    /* Unread ones that came live, which are all here. */
    #live(upto = Infinity) {
        const me = this.#client.userId;
        const read = Math.max(this.#base, this.cursor(me).read);
        let n = 0;

        for (const m of this.messages.values()) {
            n += m.seq > read && m.seq <= upto && !m.deletedAt
                 && m.senderId !== me;
        }

        return n;
    }

    #tally() { this.unread = this.#below + this.#live(); }

    get type() { return this.conversation.type; }
    get archived() { return this.conversation.isArchived === true; }
    get settings() { return this.conversation.settings ?? {}; }

    /* No pushes from here, for whom this is. */
    get muted() {
        const { muted, mutedUntil } = this.conversation;

        return muted === true
            && (!mutedUntil || Date.parse(mutedUntil) > Date.now());
    }

    /* Those who are in it. */
    get participants() {
        return this.conversation.participants.filter((p) => !p.leftAt);
    }

    get others() {
        return this.participants.filter(
            (p) => p.userId !== this.#client.userId);
    }

    member(user) {
        return this.participants.find((p) => p.userId === user);
    }

    may(permission) {
        return this.member(this.#client.userId)?.permissions
            ?.includes(permission) ?? true;
    }

    nameOf(user) {
        const p = this.conversation.participants.find(
            (q) => q.userId === user);

        return p?.user?.name || this.#client.names.get(user) || user;
    }

    get title() {
        const c = this.conversation;

        return c.title || c.context?.topic
            || this.others.map((p) => this.nameOf(p.userId)).join(", ")
            || c.id;
    }

    cursor(user) {
        return this.cursors.get(user) ?? { read: 0, delivered: 0 };
    }

    /* Who types now: names. */
    get typing() { return [...this.#typing.values()].map((t) => t.name); }

    get activity() {
        return this.lastMessage?.sentAt ?? this.conversation.createdAt;
    }

    /* In order; what waits to be sent is last. */
    view() {
        const list = [...this.messages.values()]
            .sort((a, b) => a.seq - b.seq);

        return list.concat(this.#client.outbox.of(this));
    }

    statusOf(m) {
        let status = "sent";

        if (m.seq === undefined) {
            return m.status;
        }

        for (const p of this.others) {
            const c = this.cursor(p.userId);

            if (c.read >= m.seq) {
                return "read";
            }

            if (c.delivered >= m.seq) {
                status = "delivered";
            }
        }

        return status;
    }

    readers(m) {
        return this.others.filter(
            (p) => this.cursor(p.userId).read >= m.seq);
    }

    /* ---- history ---- */

    load() {
        return this.loaded ? Promise.resolve() : this.#page(Infinity, PAGE);
    }

    older(limit = PAGE) {
        return this.hasMore && this.loaded ? this.#page(this.first, limit)
                                           : this.load();
    }

    #page(before, limit) {
        this.#pages ??= this.#fetchPage(before, limit)
            .finally(() => { this.#pages = null; this.#meanwhile = []; });

        return this.#pages;
    }

    async #fetchPage(before, limit) {
        const from = before === Infinity ? "" : `&beforeSeq=${before}`;
        const { messages, pagination } = await this.#client.rest(
            "GET", `/api/conversations/${this.id}/messages?limit=${limit}`
                   + from);

        for (const m of messages) {
            this.first = Math.min(this.first, m.seq);

            // an event may have been faster
            if (!this.messages.has(m.id)) {
                this.messages.set(m.id, m);
            }
        }

        // what came live is here, too, and may reach further back
        this.first = Math.min(this.first, this.#base + 1);
        this.hasMore = pagination.hasMore && this.first > 1;
        this.loaded = true;

        if (!this.hasMore) {
            this.first = 0;
        }

        // the page may be older than these
        for (const [event, data] of this.#meanwhile) {
            if (event === "reaction_updated") {
                this.#reacted(data);
            } else {
                this.upsert(data.message);
            }
        }

        this.#client.emit("room", { room: this });
    }

    /* Until the message is here; false when it is in no reach. */
    async reach(id, pages = 10) {
        await this.load();

        for (let i = 0; i < pages && !this.messages.has(id)
                        && this.hasMore; i++)
        {
            await this.older(200);
        }

        return this.messages.has(id);
    }

    /* The server gave up to catch us up: what was shown is read anew. */
    async replacedBy(room) {
        room.cursors = this.cursors;

        if (this.loaded) {
            await room.load();
        }
    }

    upsert(m) {
        const known = this.messages.get(m.id);

        if (!known && m.seq < this.first && m.seq <= this.#base) {
            return false;
        }

        this.messages.set(m.id, { replyPreview: known?.replyPreview, ...m });
        return known === undefined;
    }

    /* ---- what people do ---- */

    send({ text, sticker, replyTo }) {
        this.#said = 0;             // a message ends typing

        return this.#client.outbox.add(this, sticker
            ? { type: "sticker", content: { sticker }, replyTo }
            : { type: "text", content: { text }, replyTo });
    }

    upload(file, options) {
        return this.#client.uploads.begin(this, file, options);
    }

    edit(messageId, text) {
        return this.#do("edit_message", { messageId, content: { text } });
    }

    remove(messageId) {
        return this.#do("delete_message", { messageId });
    }

    /* One's own reaction: there or not. */
    react(messageId, emoji, on = true) {
        return this.#do(on ? "add_reaction" : "remove_reaction",
                        { messageId, emoji });
    }

    /* until: a Date; none: until it is unmuted. */
    mute(until = null) { return this.#mute(true, until?.toISOString()); }

    unmute() { return this.#mute(false); }

    async #mute(muted, mutedUntil = null) {
        await this.#client.rest("PUT", `/api/conversations/${this.id}/mute`, {
            body: { muted, until: mutedUntil } });
        this.stands({ muted, mutedUntil });
        this.#client.emit("room", { room: this });
    }

    #do(event, data) {
        return this.#client.call(event, { conversationId: this.id, ...data });
    }

    /* It is on screen now. */
    open() {
        return this.#client.say("join_conversation",
                                { conversationId: this.id,
                                  afterSeq: this.last });
    }

    close() {
        this.sayTyping(false);
        this.#client.say("leave_conversation", { conversationId: this.id });
    }

    /* Everything that is here was seen. */
    markRead() {
        let newest = null;

        for (const m of this.messages.values()) {
            if (m.senderId !== this.#client.userId
                && m.seq > (newest?.seq ?? 0))
            {
                newest = m;
            }
        }

        if (newest && newest.seq > this.#marked
            && newest.seq > this.cursor(this.#client.userId).read
            && this.#client.say("mark_read", { conversationId: this.id,
                                               messageId: newest.id }))
        {
            this.#marked = newest.seq;
        }
    }

    sayTyping(isTyping) {
        const now = Date.now();

        if (isTyping ? now - this.#said < TYPING_SAY_MS : !this.#said) {
            return;
        }

        this.#said = isTyping ? now : 0;
        this.#client.say("typing", { conversationId: this.id, isTyping });
    }

    /* ---- events ---- */

    disconnected() {
        this.#marked = 0;
        this.#said = 0;

        for (const user of [...this.#typing.keys()]) {
            this.#types(user, null);
        }
    }

    /* A message that was not here before, or nothing. */
    apply(event, data) {
        let fresh = null;

        this.changed = false;

        if (NUMBERED.has(event)) {
            if (data.seq <= this.#seen && !this.#due) {
                return null;
            }

            this.#seen = data.seq;
        }

        if (this.#pages && (CHANGES.has(event)
                            || event === "reaction_updated"))
        {
            this.#meanwhile.push([event, data]);
        }

        switch (event) {
        case "message_received":
            fresh = this.#received(data);
            break;
        case "message_updated":
        case "message_deleted":
            this.#updated(event, data);
            break;
        case "reaction_updated":
            this.#reacted(data);
            break;
        case "conversation_updated":
            this.stands(data.conversation);
            this.#participant(data.participant);
            break;
        case "message_status":
            this.#status(data);
            break;
        case "conversation_joined":
            this.#joined(data);
            break;
        case "user_typing":
            this.#types(data.userId, data.isTyping ? data.userName : null);
            break;
        }

        if (NUMBERED.has(event)) {
            this.#came(1);
        }

        this.#settle();
        this.#tally();

        return fresh;
    }

    #received({ message: m }) {
        const system = m.content.systemMessage;
        const isNew = m.seq > this.last;

        if (system?.action === "user_joined") {
            this.#participant({ permissions: ["read", "write", "upload",
                                              "download"],
                                ...system.data, leftAt: null });
        } else if (system?.action === "user_left") {
            this.#participant({ userId: system.data.userId,
                                leftAt: m.createdAt });
        }

        if (system?.action === "consultation_started") {
            this.stands({ consultationStatus: "started",
                          sessionId: system.data.sessionId,
                          consultationId: system.data.consultationId });
        }

        // only who began to follow later may still have to learn the name
        const p = this.member(m.senderId);

        if (p && m.sender?.name) {
            p.user = { ...p.user, ...m.sender };
        }

        const added = this.upsert(m);

        if (isNew) {
            this.lastMessage = summary(m);
        }

        this.#types(m.senderId, null);

        return isNew && added ? m : null;
    }

    #updated(event, { message: m }) {
        // one that was sent and deleted while we were away is new here
        this.upsert(m);

        if (this.lastMessage?.sentAt === m.createdAt
            && this.lastMessage.senderId === m.senderId)
        {
            this.lastMessage = summary(m);
        }

        if (event === "message_deleted" && m.seq <= this.#base
            && m.senderId !== this.#client.userId
            && m.seq > this.cursor(this.#client.userId).read)
        {
            this.#below = Math.max(0, this.#below - 1);
        }

        // quotations of it
        for (const other of this.messages.values()) {
            if (other.replyTo === m.id && other.replyPreview) {
                other.replyPreview = { ...other.replyPreview,
                                       text: m.content.text ?? "",
                                       deletedAt: m.deletedAt };
            }
        }
    }

    #reacted({ messageId, reactions }) {
        const m = this.messages.get(messageId);

        if (m && !m.deletedAt) {
            this.messages.set(messageId, { ...m, reactions });
        }
    }

    #participant(p) {
        if (!p) {
            return;
        }

        const list = this.conversation.participants;
        const i = list.findIndex((q) => q.userId === p.userId);

        this.conversation.participants = i < 0
            ? [...list, { user: { name: p.name ?? p.userId }, ...p }]
            : list.map((q, k) => (k === i ? { ...q, ...p } : q));
    }

    #status(data) {
        if (data.status === "read") {
            data.readBy.forEach(
                (r) => this.#move(r.userId, data.seq, data.seq));
        } else if (data.status === "delivered") {
            data.deliveredTo.forEach(
                (r) => this.#move(r.userId, 0, data.seq));
        }
    }

    #joined(data) {
        this.#seen = this.last;
        this.#due = this.#upto = 0;

        if (data.compact) {
            this.#upto = data.seq;
            this.#due = data.missed;
            this.#came(0);
        }

        for (const c of data.cursors) {
            this.#move(c.userId, c.readSeq, c.deliveredSeq);
        }

        if (data.conversation) {
            this.stands(data.conversation);
        }
    }

    #came(n) {
        this.#due = Math.max(0, this.#due - n);

        if (this.#due === 0) {
            this.last = Math.max(this.last, this.#seen, this.#upto);
        }
    }

    #move(user, read, delivered) {
        const c = this.cursor(user);
        const to = { read: Math.max(c.read, read),
                     delivered: Math.max(c.delivered, delivered, read) };

        this.cursors.set(user, to);

        if (user === this.#client.userId && to.read > c.read && this.#below) {
            this.#readBelow(to.read);
        }
    }

    /* One's own cursor moved, on this device or another one. */
    #readBelow(seq) {
        const me = this.#client.userId;

        if (seq >= this.#base) {
            this.#below = 0;
        } else if (this.loaded && seq >= this.first - 1) {
            this.#below = [...this.messages.values()].filter(
                (m) => m.seq > seq && m.seq <= this.#base && !m.deletedAt
                       && m.senderId !== me).length;
        } else {
            this.#client.recount(this);
        }
    }

    #types(user, name) {
        const known = this.#typing.get(user);

        this.changed ||= Boolean(name) !== Boolean(known);
        clearTimeout(known?.timer);
        this.#typing.delete(user);

        if (name) {
            // should the end of it get lost
            const timer = setTimeout(() => {
                this.#typing.delete(user);
                this.#client.emit("room", { room: this });
            }, TYPING_MS);

            this.#typing.set(user, { name, timer });
        }
    }
}


/* As GET /api/conversations has it. */
function summary(m) {
    return { content: m.content.text || m.content.fileInfo?.fileName || "",
             senderId: m.senderId, sentAt: m.createdAt, type: m.type,
             ...(m.deletedAt ? { deletedAt: m.deletedAt } : {}),
             ...(m.content.systemMessage
                 ? { systemMessage: m.content.systemMessage } : {}),
             ...(m.content.sticker ? { sticker: m.content.sticker } : {}) };
}
