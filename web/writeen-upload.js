/*
 * writeen-upload.js: files on their way.
 *
 * An upload is sending, processing (scanned and stored by the server), failed
 * or gone: when its message is there, that takes its place.  One whose
 * connection broke is sent again under the same clientMessageId, so that it
 * ends in one message.
 */

import { WriteenError, newId } from "./writeen-util.js";

const POLL_MS = 3000;


export class Uploads {
    #client;
    #all = new Map();       // clientMessageId -> upload

    constructor(client) {
        this.#client = client;
    }

    of(room) {
        return [...this.#all.values()].filter((u) => u.roomId === room.id);
    }

    /* Why the server would refuse it, by what is known here. */
    #refusal(room, file) {
        const s = room.settings;
        const type = /\.[^.]*$/.exec(file.name)?.[0].toLowerCase() ?? "";

        if (s.allowFileUpload === false) {
            return new WriteenError("uploads_off",
                                    "files can not be sent here");
        }

        if (file.size === 0) {
            return new WriteenError("empty_file", "the file is empty");
        }

        if (s.maxFileSize && file.size > s.maxFileSize) {
            return new WriteenError("too_large", "the file has more than "
                                                 + s.maxFileSize + " bytes");
        }

        if (s.allowedFileTypes && !s.allowedFileTypes.includes(type)) {
            return new WriteenError("unsupported_type", "allowed are "
                                    + s.allowedFileTypes.join(" "));
        }

        return null;
    }

    /* stage: sending, processing, waiting (for a connection), failed; again:
     * whether another try may have another end. */
    begin(room, file, { description = "", replyTo = null } = {}) {
        const u = { id: newId(), roomId: room.id, file, description, replyTo,
                    stage: "sending", progress: 0, error: null, again: false,
                    uploadId: null, request: null, timer: null,
                    createdAt: new Date().toISOString() };

        this.#all.set(u.id, u);

        const error = this.#refusal(room, file);

        if (error) {
            this.#to(u, "failed", { error });
        } else {
            this.#send(u);
        }

        return u;
    }

    retry(id) {
        const u = this.#all.get(id);

        if (u?.stage === "failed") {
            u.id = newId();             // that one was answered
            this.#all.delete(id);
            this.#all.set(u.id, u);
            this.#send(u);
        }
    }

    cancel(id) {
        const u = this.#all.get(id);

        if (u) {
            u.request?.abort();
            clearTimeout(u.timer);
            this.#all.delete(id);
            this.#changed(u);
        }
    }

    stop() {
        for (const id of [...this.#all.keys()]) {
            this.cancel(id);
        }
    }

    /* There is a connection again. */
    online() {
        for (const u of this.#all.values()) {
            if (u.stage === "waiting") {
                this.#send(u);
            } else if (u.stage === "processing") {
                this.#ask(u);
            }
        }
    }

    #changed(u) {
        const room = this.#client.room(u.roomId);

        if (room) {
            this.#client.emit("room", { room });
        }
    }

    #to(u, stage, fields = {}) {
        Object.assign(u, { stage, ...fields });
        this.#changed(u);
    }

    /* XMLHttpRequest, because fetch() does not tell how far it is. */
    #send(u) {
        const form = new FormData();
        const r = new XMLHttpRequest();

        form.append("clientMessageId", u.id);

        if (u.description) {
            form.append("description", u.description);
        }

        if (u.replyTo) {
            form.append("replyTo", u.replyTo);
        }

        form.append("file", u.file, u.file.name);

        u.request = r;
        r.open("POST", new URL(`/api/conversations/${u.roomId}/upload`,
                               this.#client.url));
        r.setRequestHeader("Authorization", "Bearer " + this.#client.token);
        r.responseType = "json";

        r.upload.onprogress = (e) => {
            if (e.lengthComputable && u.stage === "sending") {
                this.#to(u, "sending", { progress: e.loaded / e.total });
            }
        };

        // all of it is there: now it is scanned
        r.upload.onload = () => {
            if (u.stage === "sending") {
                this.#to(u, "processing", { progress: 1 });
            }
        };

        r.onload = () => this.#answered(u, r);
        r.onerror = () => this.#broke(u);
        r.ontimeout = () => this.#broke(u);

        this.#to(u, "sending", { progress: 0, error: null });
        r.send(form);
    }

    #broke(u) {
        this.#to(u, "waiting", { request: null });

        if (this.#client.state === "online") {
            u.timer = setTimeout(() => {
                if (u.stage === "waiting") {
                    this.#send(u);
                }
            }, POLL_MS);
        }
    }

    #answered(u, r) {
        u.request = null;

        const data = r.response?.data;

        if (r.status === 202 && data?.upload) {
            u.uploadId = data.upload.id;
            this.#to(u, "processing");
            this.#ask(u);
        } else if (r.status >= 200 && r.status < 300 && data?.message) {
            this.#client.room(u.roomId)?.upsert(data.message);
            this.arrived(u.id);
        } else {
            const error = WriteenError.ofAnswer(
                r.status, r.response ?? {}, r.getResponseHeader("Retry-After"));

            if (error.retryable) {
                this.#to(u, "waiting", { error });
                u.timer = setTimeout(() => this.#send(u),
                                     error.retryAfterMs ?? POLL_MS);
            } else {
                const again = !["infected", "unsupported_type",
                                "too_large"].includes(error.code);

                this.#to(u, "failed", { error, again });
            }
        }
    }

    /* Events tell, but one may be lost with a connection. */
    async #ask(u) {
        clearTimeout(u.timer);

        if (!u.uploadId) {
            return;             // its request is still open
        }

        const data = await this.#client.rest(
            "GET", `/api/uploads/${u.uploadId}`).catch(() => null);

        if (!this.#all.has(u.id)) {
            return;
        }

        if (data) {
            this.progress({ uploadId: u.uploadId, ...data.upload });
        }

        if (u.stage === "processing") {
            u.timer = setTimeout(() => this.#ask(u), POLL_MS);
        }
    }

    /* An upload_progress event. */
    progress({ uploadId, stage, status, error }) {
        for (const u of this.#all.values()) {
            if (u.uploadId !== uploadId) {
                continue;
            }

            if ((stage ?? status) === "failed") {
                this.#to(u, "failed", { error: new WriteenError(
                    error?.code ?? "failed", error?.message ?? "failed") });
            } else if ((stage ?? status) === "completed") {
                this.arrived(u.id);
            }
        }
    }

    /* Its message is there. */
    arrived(id) {
        const u = this.#all.get(id);

        if (u) {
            clearTimeout(u.timer);
            this.#all.delete(id);
            this.#changed(u);
        }
    }
}
