/* search.js: looking for messages, in all conversations or in one. */

import { avatar, h, icon } from "./dom.js";
import { errorText, t, when } from "./i18n.js";

const PAUSE_MS = 250;       // after a key


/* An excerpt as the server makes it: text with entities, and <mark> around
 * what was found; nothing else in it is taken for HTML. */
function excerpt(html) {
    const text = (s) => s.replace(/&(lt|gt|amp|quot|#39|#x27);/g, (_, e) => ({
        lt: "<", gt: ">", amp: "&", quot: '"', "#39": "'", "#x27": "'" })[e]);

    return html.split(/(<mark>.*?<\/mark>)/s).map((part) => {
        const m = /^<mark>(.*)<\/mark>$/s.exec(part);

        return m ? h("mark", {}, text(m[1])) : text(part);
    });
}


export class SearchPane {
    #abort = null;

    constructor(chat, shell) {
        this.chat = chat;
        this.shell = shell;
        this.input = h("input", { type: "search", class: "search-field",
                                  placeholder: t("search"),
                                  "aria-label": t("search"),
                                  maxlength: "200" });
        this.here = h("input", { type: "checkbox" });
        this.scope = h("label", { class: "choice scope", hidden: true },
                       this.here, h("span", {}, t("onlyHere")));
        this.status = h("p", { class: "empty", role: "status" });
        this.results = h("ul", { class: "rooms" });
        this.box = h("div", { class: "list", hidden: true }, this.status,
                     this.results);
        this.el = h("div", { class: "search", role: "search" },
                    h("div", { class: "search-row" }, icon("search"),
                      this.input), this.scope);

        this.input.addEventListener("input", () => this.#soon());
        this.here.addEventListener("change", () => this.#search());
        this.input.addEventListener("keydown", (e) => {
            if (e.key === "Escape" && this.input.value) {
                e.preventDefault();
                this.clear();
            }
        });
    }

    clear() {
        this.input.value = "";
        this.#search();
    }

    end() {
        clearTimeout(this.timer);
        this.#abort?.abort();
    }

    /* Look in the conversation that is open, or was until now. */
    inRoom(id) {
        this.room = id;
        this.here.checked = true;
        this.input.focus();
        this.#search();
    }

    #soon() {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.#search(),
                                this.input.value ? PAUSE_MS : 0);
    }

    async #search() {
        const q = this.input.value.trim();
        const open = this.shell.openId ?? this.room;

        clearTimeout(this.timer);
        this.#abort?.abort();
        this.box.hidden = q === "";
        this.shell.list.el.hidden = q !== "";
        this.scope.hidden = q === "" || !open;

        if (q === "") {
            this.results.replaceChildren();
            return;
        }

        const abort = this.#abort = new AbortController();
        let found;

        try {
            found = await this.chat.search(q, {
                conversationId: open && this.here.checked ? open : null,
                signal: abort.signal });
        } catch (error) {
            if (!abort.signal.aborted) {
                // nothing to look for: "?!", an emoji
                this.status.textContent = error.field === "q"
                    ? t("searchWords") : errorText(error);
                this.status.hidden = false;
                this.results.replaceChildren();
            }

            return;
        }

        if (abort.signal.aborted) {
            return;
        }

        const n = found.results.length;

        this.status.textContent = n ? t("found", { n }) : t("nothingFound");
        this.results.replaceChildren(
            ...found.results.map((r) => this.#result(r)));
    }

    #result({ message, conversation, highlights }) {
        const room = this.chat.room(conversation.id);
        const name = message.sender?.name || message.senderId;
        const text = highlights?.[0] ?? null;
        const where = room?.title ?? conversation.title ?? "";

        return h("li", {}, h("a", {
            href: "#/c/" + conversation.id, class: "room result",
            onclick: (e) => {
                e.preventDefault();
                this.shell.show(conversation.id, message.id);
            } },
            avatar(message.senderId, name),
            h("span", { class: "room-main" },
                h("span", { class: "room-title" }, name, where !== name
                  && h("span", { class: "muted" }, " · " + where)),
                h("span", { class: "excerpt" },
                  text ? excerpt(text) : message.content.text ?? "")),
            h("span", { class: "room-side" },
                h("span", { class: "room-when" },
                  when(message.createdAt)))));
    }
}
