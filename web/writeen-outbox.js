/*
 * writeen-outbox.js: messages that are to be sent.
 *
 * They are kept in the storage until they are acknowledged, and go out in
 * order, one at a time in each room.  What is repeated has the same
 * clientMessageId, so that it is there once.  The server remembers that for a
 * day: what may have been sent longer ago is not repeated by itself.
 */

import { newId, sleep } from "./writeen-util.js";

const REPEATED = 20 * 3600 * 1000;      // ms: 24 h, less what clocks differ by


export class Outbox {
    #client;
    #queue = new Map();     // clientMessageId -> message
    #flying = new Map();    // room id -> clientMessageId that waits for its ack
    #line = 0;              // counts connections
    #order = 0;             // of the last one, a time that always rises

    constructor(client) {
        this.#client = client;
        this.#restore();
    }

    of(room) {
        return [...this.#queue.values()].filter(
            (m) => m.conversationId === room.id);
    }

    disconnected() {
        this.#line++;
        this.#flying.clear();
    }

    #key(cmid) { return `writeen.queue.${this.#client.userId}.${cmid}`; }

    /* One key a message: several pages of one user share the storage.  Each
     * sends all of them; the server takes each once. */
    #restore() {
        const prefix = this.#key("");
        const found = [];

        for (let i = 0; i < (this.#client.storage?.length ?? 0); i++) {
            const key = this.#client.storage.key(i);

            if (key.startsWith(prefix)) {
                try {
                    found.push(JSON.parse(this.#client.storage.getItem(key)));
                } catch {
                    this.#client.storage.removeItem(key);
                }
            }
        }

        found.sort((a, b) => a.order - b.order);

        for (const m of found) {
            this.#queue.set(m.clientMessageId, m);

            if (this.#old(m) && m.status === "sending") {
                m.status = "failed";
                m.error = { code: "old",
                            message: "not known whether it was sent" };
                this.#keep(m);
            }
        }
    }

    #old(m) { return Date.now() - Date.parse(m.createdAt) > REPEATED; }

    #keep(m) {
        try {
            this.#client.storage?.setItem(this.#key(m.clientMessageId),
                                  JSON.stringify(m));
        } catch (error) {
            // full or forbidden: it waits in memory alone
            this.#client.emit("problem", { error });
        }
    }

    add(room, { type = "text", content, replyTo = null }) {
        this.#order = Math.max(this.#order + 1, Date.now());

        const m = {
            conversationId: room.id, senderId: this.#client.userId,
            sender: { name: this.#client.name, avatar: null },
            type, content, replyTo, reactions: [], status: "sending",
            clientMessageId: newId(), createdAt: new Date().toISOString(),
            order: this.#order,
        };

        this.#queue.set(m.clientMessageId, m);
        this.#keep(m);
        this.#client.emit("room", { room });
        this.pump();
        return m;
    }

    /* Failed for good, and tried again by hand. */
    resend(cmid) {
        const m = this.#queue.get(cmid);

        if (m?.status === "failed") {
            if (this.#old(m)) {
                this.discard(cmid);             // another message, now
                m.clientMessageId = newId();
                m.createdAt = new Date().toISOString();
                this.#queue.set(m.clientMessageId, m);
            }

            m.status = "sending";
            delete m.error;
            this.#keep(m);
            this.#changed(m.conversationId);
            this.pump();
        }
    }

    discard(cmid) {
        const m = this.#queue.get(cmid);

        if (m) {
            this.#queue.delete(cmid);
            this.#client.storage?.removeItem(this.#key(cmid));
            this.#changed(m.conversationId);
        }
    }

    #changed(id) {
        const room = this.#client.rooms.get(id);

        if (room) {
            this.#client.emit("room", { room });
        }
    }

    /* One at a time in each room: that is what keeps their order. */
    pump() {
        if (this.#client.state !== "online") {
            return;
        }

        for (const m of this.#queue.values()) {
            if (m.status === "sending"
                && !this.#flying.has(m.conversationId))
            {
                this.#flying.set(m.conversationId, m.clientMessageId);
                this.#sendOne(m);
            }
        }
    }

    async #sendOne(m) {
        const room = m.conversationId;
        const line = this.#line;
        let pause = 0;

        try {
            const ack = await this.#client.call("send_message", {
                conversationId: room, type: m.type, content: m.content,
                clientMessageId: m.clientMessageId,
                ...(m.replyTo ? { replyTo: m.replyTo } : {}),
            });

            this.#sent(m, ack);
        } catch (error) {
            if (!error.retryable) {
                m.status = "failed";
                m.error = { code: error.code, message: error.message };
                this.#keep(m);
                this.#changed(room);
            } else {
                pause = error.retryAfterMs ?? 500;
            }
        }

        if (this.#line !== line) {
            return;             // the next connection begins anew
        }

        if (pause) {
            await sleep(pause * (1 + Math.random() / 4));
        }

        if (this.#line === line) {
            this.#flying.delete(room);
            this.pump();
        }
    }

    #sent(m, ack) {
        this.#client.rooms.get(m.conversationId)?.upsert({
            ...m, id: ack.messageId, seq: ack.seq, status: "sent",
            createdAt: ack.createdAt,
        });
        this.discard(m.clientMessageId);
    }
}
