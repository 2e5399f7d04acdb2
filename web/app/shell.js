/*
 * shell.js: the frame: list on the one side, a conversation on the other; on
 * a phone one of them at a time.  What is open stands in the address
 * (#/c/<id>), so that the browser's back button does what one expects.
 */

import { announce, avatar, h, iconButton, later } from "./dom.js";
import { t } from "./i18n.js";
import { ListPane } from "./list.js";
import { openMenu } from "./popup.js";
import { newConversation } from "./newroom.js";
import { SearchPane } from "./search.js";
import { Thread } from "./thread.js";
import { messageText } from "./words.js";

const STATUSES = ["online", "away", "busy", "offline"];

const GRACE_MS = 1500;      // a connection that comes back at once is no news


export class Shell {
    constructor(chat, looks, signOut) {
        this.chat = chat;
        this.looks = looks;
        this.signOut = signOut;
        this.abort = new AbortController();
        this.thread = null;

        this.list = new ListPane(chat, this);
        this.search = new SearchPane(chat, this);
        this.banner = h("div", { class: "banner", role: "status",
                                 hidden: true });
        this.main = h("main", { class: "main" });
        this.el = h("div", { class: "shell" },
            h("aside", { class: "side" }, this.#top(), this.search.el,
              this.list.el, this.search.box),
            h("div", { class: "stage" }, this.banner, this.main));

        this.update = later(() => {
            this.list.update();
            this.dot.className = "dot " + this.status;
        });
    }

    #top() {
        this.me = h("button", { type: "button", class: "me",
                                "aria-haspopup": "menu",
                                "aria-expanded": "false",
                                "aria-label": t("myMenu", {
                                    name: this.chat.name }),
                                onclick: () => this.#menu() },
                    avatar(this.chat.userId, this.chat.name),
                    this.dot = h("span", { class: "dot offline",
                                           "aria-hidden": "true" }));

        return h("header", { class: "top" }, this.me,
            h("h1", {}, "Writeen"),
            iconButton("plus", t("newConversation"),
                       () => newConversation(this.chat)));
    }

    get status() {
        return this.chat.state !== "online" ? "offline"
            : this.chat.presence.get(this.chat.userId)?.status ?? "online";
    }

    #menu() {
        const theme = this.looks.theme;

        openMenu(this.me, t("myMenu", { name: this.chat.name }), [
            h("p", { class: "menu-title", role: "none" },
              t("signedInAs", { name: this.chat.name })),
            ...STATUSES.map((s) => ({
                label: s === "offline" ? t("invisible") : t(s),
                checked: s === this.status,
                run: () => this.chat.setPresence(s).catch(() => {}) })),
            h("hr", { role: "separator" }),
            { label: t("themeNow_" + theme), icon: "theme",
              run: () => announce(t("themeNow_"
                                    + this.looks.nextTheme())) },
            { label: t("language"), icon: "lang",
              run: () => this.looks.nextLanguage() },
            h("hr", { role: "separator" }),
            { label: t("signOut"), icon: "out", run: this.signOut },
        ]);
    }

    searchHere() {
        const id = this.openId;

        // on a phone searching, in the list, is not in sight
        if (matchMedia("(max-width: 719px)").matches) {
            location.hash = "#/";
            this.#route();
        }

        this.search.inRoom(id);
    }

    /* A message, in whatever conversation. */
    show(roomId, messageId) {
        if (location.hash !== "#/c/" + roomId) {
            location.hash = "#/c/" + roomId;
        }

        this.#route();
        this.thread?.show(messageId);
    }

    begin() {
        const on = (target, name, f) => target.addEventListener(
            name, f, { signal: this.abort.signal });

        on(this.chat, "state", () => this.#state());
        on(this.chat, "rooms", () => {
            this.update();
            this.#route();
            this.thread?.update();
        });
        on(this.chat, "room", (e) => {
            this.update();

            if (e.room.id === this.thread?.id) {
                this.thread.update();
            }
        });
        on(this.chat, "presence", () => {
            this.update();
            this.thread?.update();
        });
        on(this.chat, "message", (e) => this.#message(e));
        on(window, "hashchange", () => this.#route());
        on(document, "visibilitychange", () => this.thread?.update());
        on(window, "focus", () => this.thread?.update());

        this.#state();
        this.#route();
        this.update();
    }

    end() {
        this.abort.abort();
        this.thread?.end();
        this.search.end();
        clearTimeout(this.timer);
    }

    /* ---- which conversation ---- */

    #route() {
        const id = /^#\/c\/([A-Za-z0-9_-]+)/.exec(location.hash)?.[1];
        const room = id && this.chat.room(id);

        this.el.dataset.pane = id ? "thread" : "list";

        if (this.thread && this.thread.id === room?.id) {
            return;
        }

        this.thread?.end();
        this.thread = null;

        if (room) {
            this.thread = new Thread(this.chat, room.id, this);
            this.main.replaceChildren(this.thread.el);
            this.thread.begin();
        } else {
            this.main.replaceChildren(
                h("p", { class: "empty" }, t("chooseOne")));
        }

        this.update();
    }

    get openId() { return this.thread?.id ?? null; }

    /* ---- the connection ---- */

    #state() {
        const state = this.chat.state;

        clearTimeout(this.timer);

        if (state === "online") {
            this.banner.hidden = true;
            this.banner.replaceChildren();
            this.thread?.online();
            this.update();
        } else if (state === "denied") {
            this.#say(t("expired"),
                      h("button", { type: "button", onclick: this.signOut },
                        t("signInAgain")));
        } else if (this.banner.hidden) {
            this.timer = setTimeout(() => this.#away(), GRACE_MS);
        } else {
            this.#away();
        }
    }

    #away() {
        const before = this.chat.rooms.size > 0;

        this.#say(t(before ? "reconnecting" : "connecting"),
                  h("button", { type: "button",
                                onclick: () => this.chat.retry() },
                    t("tryNow")));
    }

    #say(text, button) {
        if (this.banner.firstChild?.textContent !== text) {
            this.banner.replaceChildren(h("span", {}, text), button);
        }

        this.banner.hidden = false;
    }

    #message({ room, message }) {
        if (message.senderId === this.chat.userId
            || (room.muted && room.id !== this.openId))
        {
            return;
        }

        const text = messageText(message, (u) => room.nameOf(u));

        announce(message.type === "system" ? text : t("says", {
            name: message.sender?.name || room.nameOf(message.senderId),
            text }));
    }
}
