/*
 * composer.js: where one writes: text, emoji, stickers, files; as a reply, or
 * anew what one wrote.  What is not sent yet is kept for the tab.
 */

import { announce, h, icon, iconButton } from "./dom.js";
import { openDialog } from "./dialog.js";
import { openEmoji } from "./emoji.js";
import { errorText, t } from "./i18n.js";
import { openStickers } from "./stickers.js";
import { messageText } from "./words.js";

const STOPS_MS = 4000;      // without a key one does not type any more


export class Composer {
    #about = null;          // {reply: message} or {edit: message}

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
        this.files = h("input", { type: "file", multiple: true, hidden: true,
                                  "aria-label": t("attach") });
        this.attach = iconButton("attach", t("attach"),
                                 () => this.files.click());
        this.bar = h("div", { class: "about", hidden: true });

        const menu = { "aria-haspopup": "menu", "aria-expanded": "false" };

        this.form = h("form", { class: "composer" }, this.attach, this.files,
            iconButton("smile", t("emoji"), (e) => openEmoji(
                e.currentTarget, (c) => this.#insert(c)), menu),
            iconButton("sticker", t("stickers"), (e) => openStickers(
                e.currentTarget, (s) => this.#sticker(s)), menu),
            this.field, this.button);
        this.closed = h("p", { class: "composer-closed", hidden: true });
        this.el = h("footer", {}, this.bar, this.form, this.closed);

        this.form.addEventListener("submit", (e) => {
            e.preventDefault();
            this.#submit();
        });
        this.files.addEventListener("change", () => {
            this.upload(this.files.files);
            this.files.value = "";
        });
        this.field.addEventListener("keydown", (e) => this.#key(e));
        this.field.addEventListener("input", () => this.#typed());
        this.field.addEventListener("paste", (e) => {
            if (e.clipboardData.files.length) {
                e.preventDefault();
                this.upload(e.clipboardData.files);
            }
        });
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
            : room.member(this.chat.userId)?.blockedBy ? t("blockedYou")
            : room.may("write") ? "" : t("error_forbidden");

        this.form.hidden = why !== "";
        this.closed.hidden = why === "";
        this.closed.textContent = why;
        this.attach.hidden = !room.may("upload")
                             || room.settings.allowFileUpload === false;
        this.files.accept = (room.settings.allowedFileTypes ?? []).join(",");
        this.#editGone(room);
    }

    /* What is being changed was deleted: what was written meanwhile stays, to
     * be sent as a message of its own or not. */
    #editGone(room) {
        const edit = this.#about?.edit;

        if (!edit || !room.view().find((m) => m.id === edit.id)?.deletedAt) {
            return;
        }

        if (this.field.value.trim() !== edit.content.text) {
            sessionStorage.setItem(this.key, this.field.value);
        }

        this.#set(null);
        announce(t("editGone"));
    }

    /* ---- replying, editing ---- */

    reply(m) { this.#set({ reply: m }); }

    edit(m) {
        this.#set({ edit: m });
        this.field.value = m.content.text;
        this.#grow();
    }

    #set(about) {
        const wasEdit = this.#about?.edit;

        this.#about = about;

        if (wasEdit) {
            this.field.value = sessionStorage.getItem(this.key) ?? "";
            this.#grow();
        }

        const m = about?.reply ?? about?.edit;

        this.bar.hidden = !m;

        if (m) {
            const nameOf = (u) => this.thread.room.nameOf(u);

            this.bar.replaceChildren(
                icon(about.edit ? "edit" : "reply"),
                h("div", { class: "about-text" },
                    h("span", { class: "quote-name" }, about.edit
                        ? t("editing")
                        : t("replyingTo", { name: m.sender?.name
                                                  || nameOf(m.senderId) })),
                    h("span", { class: "quote-text" },
                      messageText(m, nameOf))),
                iconButton("close", t("stopThat"), () => {
                    this.#set(null);
                    this.field.focus();
                }));
        }

        if (about) {
            this.field.focus();
        }
    }

    /* ---- writing ---- */

    #key(e) {
        const phone = matchMedia("(pointer: coarse)").matches;

        if (e.key === "Enter" && !e.shiftKey && !e.isComposing && !phone) {
            e.preventDefault();
            this.#submit();
        } else if (e.key === "Escape" && this.#about) {
            e.preventDefault();
            this.#set(null);
        } else if (e.key === "ArrowUp" && this.field.value === "") {
            const mine = this.thread.room.view().findLast(
                (m) => m.senderId === this.chat.userId && m.id
                       && m.type === "text" && !m.deletedAt);

            if (mine) {
                e.preventDefault();
                this.edit(mine);
            }
        }
    }

    #typed() {
        const room = this.thread.room;

        if (!this.#about?.edit) {
            sessionStorage.setItem(this.key, this.field.value);
        }

        this.#grow();
        clearTimeout(this.timer);
        room.sayTyping(this.field.value.trim() !== "");
        this.timer = setTimeout(() => this.thread.room?.sayTyping(false),
                                STOPS_MS);
    }

    #insert(text) {
        const f = this.field;

        f.setRangeText(text, f.selectionStart, f.selectionEnd, "end");
        f.focus();
        this.#typed();
    }

    #grow() {
        this.field.style.height = "auto";
        this.field.style.height = Math.min(this.field.scrollHeight + 2, 160)
                                  + "px";
    }

    #done() {
        this.field.value = "";
        sessionStorage.removeItem(this.key);
        clearTimeout(this.timer);
        this.#set(null);
        this.#grow();
        this.thread.toEnd();
        this.field.focus();
    }

    get #replyTo() { return this.#about?.reply?.id ?? null; }

    async #submit() {
        const text = this.field.value.trim();
        const edit = this.#about?.edit;

        if (text === "") {
            return;
        }

        if (!edit) {
            this.thread.room.send({ text, replyTo: this.#replyTo });
            this.#done();
            return;
        }

        if (text !== edit.content.text) {
            try {
                await this.thread.room.edit(edit.id, text);
            } catch (error) {
                announce(errorText(error));
                openDialog(t("notDone"), h("p", { class: "problem" },
                                           errorText(error)));
                return;         // what was written is still there
            }
        }

        this.#set(null);
        this.thread.room.sayTyping(false);
    }

    #sticker(sticker) {
        this.thread.room.send({ sticker, replyTo: this.#replyTo });
        this.#set(null);
        this.thread.toEnd();
        this.field.focus();
    }

    upload(files) {
        for (const file of files) {
            this.thread.room.upload(file, { replyTo: this.#replyTo });
        }

        this.#set(null);
        this.thread.toEnd();
    }
}
