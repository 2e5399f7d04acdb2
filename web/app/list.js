/* list.js: the conversations, newest activity first. */

import { avatar, h, icon } from "./dom.js";
import { t, when } from "./i18n.js";
import { messageText } from "./words.js";


export class ListPane {
    #rows = new Map();      // room id -> {el, stamp}

    constructor(chat, shell) {
        this.chat = chat;
        this.shell = shell;
        this.current = h("ul", { class: "rooms" });
        this.old = h("ul", { class: "rooms" });
        this.more = h("details", { class: "archive", hidden: true },
                      h("summary", {}, t("archived")), this.old);
        this.empty = h("p", { class: "empty", hidden: true },
                       t("noConversations"));
        this.el = h("nav", { class: "list", "aria-label": t("conversations") },
                    this.current, this.empty, this.more);
    }

    update() {
        const rooms = [...this.chat.rooms.values()]
            .sort((a, b) => (a.activity < b.activity ? 1 : -1));
        const now = rooms.filter((r) => !r.archived);
        const old = rooms.filter((r) => r.archived);

        for (const id of this.#rows.keys()) {
            if (!this.chat.rooms.has(id)) {
                this.#rows.delete(id);
            }
        }

        put(this.current, now.map((r) => this.#row(r)));
        put(this.old, old.map((r) => this.#row(r)));
        this.more.hidden = old.length === 0;
        this.empty.hidden = rooms.length > 0 || this.chat.state !== "online";
        this.#title(now.reduce((n, r) => n + (r.muted ? 0 : r.unread), 0));
    }

    #title(n) {
        document.title = n ? `(${n}) Writeen` : "Writeen";
    }

    #row(room) {
        const other = room.type === "direct" ? room.others[0] : null;
        const presence = other
            ? this.chat.presence.get(other.userId)?.status
              ?? (room.conversation.isOnline ? "online" : "offline")
            : null;
        const facts = {
            title: room.title, unread: room.unread, presence,
            typing: room.typing, last: this.#last(room),
            when: room.activity ? when(room.activity) : "",
            open: this.shell.openId === room.id, muted: room.muted,
        };
        const stamp = JSON.stringify(facts);
        let row = this.#rows.get(room.id);

        if (!row) {
            row = { el: h("li"), stamp: null };
            this.#rows.set(room.id, row);
        }

        if (row.stamp !== stamp) {
            const focused = row.el.contains(document.activeElement);

            row.stamp = stamp;
            row.el.replaceChildren(this.#link(room, facts, other));

            if (focused) {
                row.el.firstChild.focus();
            }
        }

        return row.el;
    }

    #last(room) {
        const m = room.lastMessage;

        if (!m) {
            return room.type === "consultation"
                ? room.conversation.context?.course ?? "" : "";
        }

        const text = messageText(m, (u) => room.nameOf(u));

        return m.senderId === this.chat.userId && m.type !== "system"
            ? t("you", { text }) : text;
    }

    #link(room, facts, other) {
        return h("a", { href: "#/c/" + room.id, class: "room",
                        "aria-current": facts.open ? "page" : null },
            h("span", { class: "face" },
                avatar(other?.userId ?? room.id, facts.title,
                       other?.user?.avatar),
                facts.presence && h("span", {
                    class: "dot " + facts.presence, role: "img",
                    "aria-label": t(facts.presence) })),
            h("span", { class: "room-main" },
                h("span", { class: "room-title" }, facts.title),
                h("span", { class: "room-last" + (facts.typing.length
                                                  ? " typing" : "") },
                    facts.typing.length
                        ? t("isTyping", { names: facts.typing[0] })
                        : facts.last)),
            h("span", { class: "room-side" },
                h("span", { class: "room-when" },
                  facts.muted && h("span", { role: "img", class: "room-muted",
                                             "aria-label": t("muted") },
                                   icon("bellOff")), facts.when),
                facts.unread > 0 && h("span", {
                    class: "badge", role: "img",
                    "aria-label": t("unread", { n: facts.unread }) },
                    facts.unread > 99 ? "99+" : String(facts.unread))));
    }
}


/* These children in this order; what stands right is not touched, so that
 * nothing loses the focus. */
export function put(parent, children) {
    const keep = new Set(children);

    for (const c of [...parent.children]) {
        if (!keep.has(c)) {
            c.remove();
        }
    }

    children.forEach((c, i) => {
        if (parent.children[i] !== c) {
            parent.insertBefore(c, parent.children[i] ?? null);
        }
    });
}
