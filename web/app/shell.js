/*
 * shell.js: the frame: list on the one side, a conversation on the other; on
 * a phone one of them at a time.  What is open stands in the address
 * (#/c/<id>), so that the browser's back button does what one expects.
 */

import { announce, h, iconButton, later } from "./dom.js";
import { t } from "./i18n.js";
import { ListPane } from "./list.js";
import { newConversation } from "./newroom.js";
import { Thread } from "./thread.js";

const GRACE_MS = 1500;      // a connection that comes back at once is no news


export class Shell {
    constructor(chat, looks, signOut) {
        this.chat = chat;
        this.looks = looks;
        this.signOut = signOut;
        this.abort = new AbortController();
        this.thread = null;

        this.list = new ListPane(chat, this);
        this.banner = h("div", { class: "banner", role: "status",
                                 hidden: true });
        this.main = h("main", { class: "main" });
        this.el = h("div", { class: "shell" },
            h("aside", { class: "side" }, this.#top(), this.list.el),
            h("div", { class: "stage" }, this.banner, this.main));

        this.update = later(() => this.list.update());
    }

    #top() {
        const theme = iconButton("theme", t("theme"), () => {
            announce(t("themeNow_" + this.looks.nextTheme()));
        });

        return h("header", { class: "top" },
            h("h1", {}, "Writeen"),
            iconButton("plus", t("newConversation"),
                       () => newConversation(this.chat)),
            iconButton("lang", t("language"),
                       () => this.looks.nextLanguage()),
            theme,
            iconButton("out", t("signOut"), this.signOut));
    }

    begin() {
        const on = (target, name, f) => target.addEventListener(
            name, f, { signal: this.abort.signal });

        on(this.chat, "state", () => this.#state());
        on(this.chat, "rooms", () => { this.update(); this.#route(); });
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
            this.thread = new Thread(this.chat, room.id);
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
        if (message.senderId === this.chat.userId) {
            return;
        }

        this.thread?.arrived(room, message);
    }
}
