/*
 * thread.js: one conversation: who is in it, its messages, and writing.
 *
 * One message is in the row of tab stops; arrow keys go from one to the next,
 * so that the way from the messages to the field below is one key.
 */

import { avatar, h, icon, iconButton } from "./dom.js";
import { Composer } from "./composer.js";
import { ConsultBanner } from "./consult.js";
import { uploadNode } from "./files.js";
import { dateAndTime, day, t } from "./i18n.js";
import { openInfo } from "./info.js";
import { mute, showBell } from "./mute.js";
import { put } from "./list.js";
import { messageNode } from "./message.js";
import { messageText } from "./words.js";

const NEAR = 80;            // pixels from the end that still count as the end
const TOGETHER_MS = 300000; // messages of one sender stand together


export class Thread {
    #nodes = new Map();     // key -> {el, stamp}
    #days = new Map();      // day -> el
    #active = null;         // key of the message that has the tab stop
    #stuck = true;          // at the end, and to stay there
    #ended = false;

    constructor(chat, id, shell) {
        this.chat = chat;
        this.shell = shell;
        this.id = id;
        this.list = h("ol", { class: "messages" });
        this.note = h("p", { class: "empty", role: "status" },
                      t("loadingMessages"));
        this.older = h("button", { type: "button", class: "older",
                                   hidden: true,
                                   onclick: () => this.#older() },
                       t("older"));
        this.scroller = h("div", { class: "scroller", tabindex: "0",
                                   role: "region",
                                   "aria-label": t("messages") },
                          this.older, this.note, this.list);
        this.latest = iconButton("back", t("latest"),
                                 () => this.toEnd(true),
                                 { class: "icon-button latest",
                                   hidden: true });
        this.head = h("header", { class: "head" });
        this.tools = [
            iconButton("search", t("searchHere"),
                       () => this.shell.searchHere()),
            this.bell = h("button", { type: "button", class: "icon-button",
                                      onclick: () => mute(this) }),
            iconButton("info", t("about"),
                       () => openInfo(this.chat, this.id))];
        this.composer = new Composer(chat, this);
        this.consult = new ConsultBanner(chat, this);
        this.el = h("section", { class: "thread" }, this.head,
                    this.consult.el,
                    h("div", { class: "middle" }, this.scroller, this.latest),
                    this.composer.el);

        // pictures come later, and keyboards take room
        this.sizes = new ResizeObserver(() => {
            if (this.#stuck) {
                this.toEnd();
            }
        });
        this.sizes.observe(this.list);
        this.sizes.observe(this.scroller);

        this.scroller.addEventListener("scroll", () => this.#scrolled());
        this.list.addEventListener("contextmenu", (e) => {
            const li = e.target.closest("li[data-key]");

            // a long press
            if (li && e.pointerType === "touch") {
                e.preventDefault();
                li.querySelector(".more-button")?.click();
            }
        });
        this.list.addEventListener("keydown", (e) => this.#key(e));
        this.#drops();
        this.list.addEventListener("focusin", (e) => {
            const li = e.target.closest("li[data-key]");

            if (li) {
                this.#activate(li.dataset.key);
            }
        });
    }

    /* Files that are dropped anywhere on it. */
    #drops() {
        const files = (e) => [...e.dataTransfer?.types ?? []]
            .includes("Files");

        this.el.addEventListener("dragover", (e) => {
            if (files(e)) {
                e.preventDefault();
                this.el.classList.add("dropping");
            }
        });
        this.el.addEventListener("dragleave", (e) => {
            if (!this.el.contains(e.relatedTarget)) {
                this.el.classList.remove("dropping");
            }
        });
        this.el.addEventListener("drop", (e) => {
            this.el.classList.remove("dropping");

            if (files(e)) {
                e.preventDefault();
                this.composer.upload(e.dataTransfer.files);
            }
        });
    }

    get room() { return this.chat.room(this.id); }

    begin() {
        this.room.open();
        this.update();
        this.toEnd();
        this.#load();
        this.composer.begin();
    }

    end() {
        this.#ended = true;
        this.sizes.disconnect();
        this.composer.end();
        this.room?.close();
    }

    /* The connection is back. */
    online() {
        this.room?.open();
        this.#load();
        this.update();
    }

    async #load() {
        if (!this.room || this.room.loaded) {
            return;
        }

        try {
            await this.room.load();
            this.update();
            this.toEnd();
        } catch {
            this.note.replaceChildren(t("loadFailed"), " ",
                h("button", { type: "button", onclick: () => this.#load() },
                  t("again")));
        }
    }

    async #older() {
        if (this.loadingOlder || !this.room?.hasMore || !this.room.loaded) {
            return;
        }

        this.loadingOlder = true;

        try {
            await this.room.older();
        } catch {
            // the button is still there
        }

        this.loadingOlder = false;
        this.update();
    }

    /* ---- where one looks ---- */

    get atEnd() {
        const s = this.scroller;

        return s.scrollHeight - s.scrollTop - s.clientHeight < NEAR;
    }

    toEnd(smooth = false) {
        this.#stuck = true;
        this.scroller.scrollTo({
            top: this.scroller.scrollHeight,
            behavior: smooth && !matchMedia("(prefers-reduced-motion)")
                .matches ? "smooth" : "instant" });
    }

    #scrolled() {
        const top = this.scroller.scrollTop;

        // what grows below is no way up
        if (this.atEnd || top < this.top) {
            this.#stuck = this.atEnd;
        }

        this.top = top;
        this.latest.hidden = this.#stuck;

        if (top < 200) {
            this.#older();
        }

        if (this.atEnd) {
            this.#read();
        }
    }

    #read() {
        if (document.visibilityState === "visible" && document.hasFocus()
            && this.atEnd)
        {
            this.room.markRead();
        }
    }

    /* To a message that may have to be loaded first. */
    async show(messageId) {
        if (!await this.room.reach(messageId)) {
            return;
        }

        this.update();

        const li = this.#nodes.get(messageId)?.el;

        this.#stuck = false;
        li?.scrollIntoView({ block: "center" });
        li?.focus({ preventScroll: true });
        li?.classList.add("flash");
        setTimeout(() => li?.classList.remove("flash"), 2000);
    }

    #activate(key) {
        const before = this.#nodes.get(this.#active)?.el;

        if (before) {
            before.tabIndex = -1;
        }

        this.#active = key;

        const el = this.#nodes.get(key)?.el;

        if (el) {
            el.tabIndex = 0;
        }
    }

    #key(e) {
        const li = e.target.closest("li[data-key]");

        if (!li || e.target !== li) {
            return;
        }

        const all = [...this.list.querySelectorAll("li[data-key]")];
        const i = all.indexOf(li);
        const to = { ArrowUp: all[i - 1], ArrowDown: all[i + 1],
                     Home: all[0], End: all.at(-1) }[e.key];

        if (to) {
            e.preventDefault();
            to.focus();
        } else if (e.key === "Enter" || e.key === " ") {
            e.preventDefault();
            li.querySelector(".more-button")?.click();
        }
    }

    /* ---- what is shown ---- */

    update() {
        const room = this.room;

        if (!room || this.#ended) {
            return;
        }

        const stay = this.#stuck;
        const anchor = stay ? null : this.#anchor();

        this.#head(room);
        this.consult.update(room);
        this.composer.update();
        this.#messages(room);
        this.older.hidden = !room.loaded || !room.hasMore;
        this.note.hidden = this.list.children.length > 0;

        if (room.loaded) {
            this.note.textContent = t("noMessages");
        }

        if (stay) {
            this.toEnd();
        } else if (anchor?.el.isConnected) {
            this.scroller.scrollTop += anchor.el.getBoundingClientRect().top
                                       - anchor.top;
        }

        this.latest.hidden = this.atEnd;
        this.#read();
    }

    /* The first message in sight: it stays where it is. */
    #anchor() {
        const top = this.scroller.getBoundingClientRect().top;

        for (const el of this.list.children) {
            const r = el.getBoundingClientRect();

            if (r.bottom > top) {
                return { el, top: r.top };
            }
        }

        return null;
    }

    #head(room) {
        const other = room.type === "direct" ? room.others[0] : null;
        const p = other && this.chat.presence.get(other.userId);
        const status = p?.status
            ?? (room.conversation.isOnline ? "online" : "offline");
        let sub = other
            ? status === "offline" && p?.lastSeen
                ? t("lastSeen", { when: dateAndTime(p.lastSeen) })
                : t(status)
            : t("members", { n: room.participants.length });

        if (room.typing.length) {
            sub = t(room.typing.length > 1 ? "areTyping" : "isTyping",
                    { names: room.typing.join(", ") });
        }

        const stamp = JSON.stringify([room.title, sub, status, room.muted]);

        if (stamp === this.headStamp) {
            return;
        }

        this.headStamp = stamp;

        const back = h("a", { class: "icon-button to-list", href: "#/",
                              "aria-label": t("back"), title: t("back") },
                       icon("back"));
        const had = document.activeElement;
        const focused = this.head.contains(had);

        showBell(this.bell, room.muted);
        this.head.replaceChildren(
            back,
            h("span", { class: "face" },
                avatar(other?.userId ?? room.id, room.title,
                       other?.user?.avatar),
                other && h("span", { class: "dot " + status,
                                     "aria-hidden": "true" })),
            h("div", { class: "head-text" },
                h("h2", { class: "head-title" }, room.title),
                h("p", { class: "head-sub" + (room.typing.length
                                              ? " typing" : "") }, sub)),
            ...this.tools);

        if (focused) {
            (had.isConnected ? had : back).focus();
        }
    }

    #messages(room) {
        const rows = [];
        const seen = new Set();
        let before = null, lastDay = null;

        for (const m of room.view()) {
            const key = m.id ?? "c:" + m.clientMessageId;
            const today = day(m.createdAt);

            if (today !== lastDay) {
                rows.push(this.#day(today));
                lastDay = today;
                before = null;
            }

            const together = before && before.senderId === m.senderId
                && before.type !== "system" && m.type !== "system"
                && Date.parse(m.createdAt) - Date.parse(before.createdAt)
                   < TOGETHER_MS;

            rows.push(this.#node(key, m, room, together));
            seen.add(key);
            before = m;
        }

        for (const u of this.chat.uploads.of(room)) {
            rows.push(this.#upload(u));
            seen.add("u:" + u.id);
        }

        for (const key of this.#nodes.keys()) {
            if (!seen.has(key)) {
                this.#nodes.delete(key);
            }
        }

        put(this.list, rows);

        if (!this.#nodes.has(this.#active)) {
            const last = rows.findLast((r) => r.dataset.key)?.dataset.key;

            if (last) {
                this.#activate(last);
            }
        }
    }

    #day(text) {
        if (!this.#days.has(text)) {
            this.#days.set(text, h("li", { class: "day" },
                                   h("span", {}, text)));
        }

        return this.#days.get(text);
    }

    #node(key, m, room, together) {
        const facts = {
            m, together, status: room.statusOf(m),
            mine: m.senderId === this.chat.userId,
            name: m.sender?.name || room.nameOf(m.senderId),
            group: room.type !== "direct",
            quoted: m.replyTo ? this.#quoted(room, m) : null,
        };
        const stamp = JSON.stringify(facts);
        let node = this.#nodes.get(key);

        if (!node) {
            // what was sent takes the place of what waited
            node = this.#nodes.get("c:" + m.clientMessageId)
                   ?? { el: h("li", { tabindex: "-1" }), stamp: null };
            this.#nodes.set(key, node);
            node.el.dataset.key = key;
        }

        if (node.stamp !== stamp) {
            node.stamp = stamp;
            messageNode(node.el, facts, this);
        }

        return node.el;
    }

    #upload(u) {
        const key = "u:" + u.id;
        const stamp = JSON.stringify([u.stage, u.error?.code,
                                      Math.round(u.progress * 100)]);
        let node = this.#nodes.get(key);

        if (!node) {
            node = { el: h("li"), stamp: null };
            this.#nodes.set(key, node);
        }

        if (node.stamp !== stamp) {
            node.stamp = stamp;
            uploadNode(node.el, u, this.chat);
        }

        return node.el;
    }

    #quoted(room, m) {
        const original = room.messages.get(m.replyTo) ?? m.replyPreview;

        if (!original) {
            return { id: m.replyTo, name: "", text: "…" };
        }

        return { id: m.replyTo,
                 name: original.sender?.name || room.nameOf(
                     original.senderId),
                 text: messageText(
                     typeof original.text === "string"
                         ? { ...original, content: original.text } : original,
                     (u) => room.nameOf(u)) };
    }
}
