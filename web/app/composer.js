/* composer.js: where one writes.  What is not sent yet is kept for the tab. */

import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

const STOPS_MS = 4000;      // without a key one does not type any more


export class Composer {
    constructor(chat, thread) {
        this.chat = chat;
        this.thread = thread;
        this.key = "writeen.draft." + thread.id;
        this.field = h("textarea", { rows: "1", class: "field",
                                     "aria-label": t("write"),
                                     placeholder: t("write"),
                                     maxlength: "8000" });
        this.button = h("button", { class: "send", title: t("send"),
                                    "aria-label": t("send") }, icon("send"));
        this.form = h("form", { class: "composer" }, this.field, this.button);
        this.closed = h("p", { class: "composer-closed", hidden: true });
        this.el = h("footer", {}, this.form, this.closed);

        this.form.addEventListener("submit", (e) => {
            e.preventDefault();
            this.#submit();
        });
        this.field.addEventListener("keydown", (e) => this.#key(e));
        this.field.addEventListener("input", () => this.#typed());
    }

    begin() {
        this.field.value = sessionStorage.getItem(this.key) ?? "";
        this.#grow();

        // a keyboard that pops up would hide the messages
        if (!matchMedia("(pointer: coarse)").matches) {
            this.field.focus();
        }
    }

    end() { clearTimeout(this.timer); }

    update() {
        const room = this.thread.room;
        const why = room.archived ? t("error_conversation_archived")
            : room.may("write") ? "" : t("error_forbidden");

        this.form.hidden = why !== "";
        this.closed.hidden = why === "";
        this.closed.textContent = why;
    }

    #key(e) {
        const phone = matchMedia("(pointer: coarse)").matches;

        if (e.key === "Enter" && !e.shiftKey && !e.isComposing && !phone) {
            e.preventDefault();
            this.#submit();
        }
    }

    #typed() {
        const room = this.thread.room;

        sessionStorage.setItem(this.key, this.field.value);
        this.#grow();
        clearTimeout(this.timer);
        room.sayTyping(this.field.value.trim() !== "");
        this.timer = setTimeout(() => this.thread.room?.sayTyping(false),
                                STOPS_MS);
    }

    #grow() {
        this.field.style.height = "auto";
        this.field.style.height = Math.min(this.field.scrollHeight, 160)
                                  + "px";
    }

    #clear() {
        this.field.value = "";
        sessionStorage.removeItem(this.key);
        clearTimeout(this.timer);
        this.#grow();
    }

    #submit() {
        const text = this.field.value.trim();

        if (text === "") {
            return;
        }

        this.thread.room.send({ text });
        this.#clear();
        this.thread.toEnd();
        this.field.focus();
    }
}
