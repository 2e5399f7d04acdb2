/* info.js: who is in a conversation, and what can be done with all of it. */

import { avatar, h, iconButton } from "./dom.js";
import { openDialog } from "./dialog.js";
import { errorText, size, t } from "./i18n.js";


/* Those whom the server lets change a room. */
function leads(chat, room) {
    const me = room.member(chat.userId);

    return ["tutor", "admin"].includes(chat.role) || me?.role === "tutor"
        || room.conversation.metadata?.createdBy === chat.userId;
}


function person(chat, room, p) {
    const status = chat.presence.get(p.userId)?.status ?? "offline";
    const name = room.nameOf(p.userId);

    return h("li", { class: "choice" },
        h("span", { class: "face" }, avatar(p.userId, name, p.user?.avatar),
          h("span", { class: "dot " + status, "aria-hidden": "true" })),
        h("span", { class: "room-main" }, h("span", {}, name),
          h("span", { class: "muted" }, `${t(p.role)} · ${t(status)}`)));
}


export function openInfo(chat, id) {
    const room = chat.room(id);
    const path = `/api/conversations/${id}`;
    const problem = h("p", { class: "problem", role: "alert" });
    const input = h("input", { id: "info-add", autocomplete: "off",
                               autocapitalize: "none" });
    const s = room.settings;
    let dialog = null;

    const act = async (method, route, body, stay = false) => {
        try {
            await chat.rest(method, path + route, { body });

            if (!stay) {
                dialog.close();
            }

            return true;
        } catch (error) {
            problem.textContent = errorText(error);
            return false;
        }
    };

    const add = async () => {
        const userId = input.value.trim();

        if (userId && await act("POST", "/participants", { userId }, true)) {
            dialog.close();
        }
    };

    const group = room.type !== "direct";
    const may = leads(chat, room);
    const other = group ? null : room.others[0];
    const name = h("input", { id: "info-title", maxlength: "120",
                              value: room.conversation.title ?? "" });
    const button = (label, run) => h("button", { type: "button",
                                                 onclick: run }, label);

    dialog = openDialog(room.title, h("div", { class: "form" },
        h("h3", {}, t("people")),
        h("ul", {}, room.participants.map((p) => person(chat, room, p))),
        s.allowFileUpload && h("p", { class: "muted" },
            (s.allowedFileTypes ?? []).join(" ") + " · "
            + size(s.maxFileSize)),
        group && may && h("label", { for: "info-title" }, t("title")),
        group && may && h("div", { class: "row" }, name,
            iconButton("check", t("rename"), () => act(
                "PATCH", "", { title: name.value.trim() }))),
        group && may && !room.archived && h("label", { for: "info-add" },
                                            t("addSomebody")),
        group && may && !room.archived && h("div", { class: "row" }, input,
            iconButton("plus", t("addPerson"), add)),
        problem,
        h("div", { class: "row end" },
            other && (other.blockedBy
                ? button(t("unblock"), () => act("DELETE", "/block"))
                : button(t("block"), () => act("POST", "/block"))),
            group && button(t("leaveRoom"), () => act(
                "DELETE", "/participants/" + chat.userId)),
            may && (room.archived
                ? button(t("unarchive"), () => act("POST", "/unarchive"))
                : button(t("archive"), () => act("POST", "/archive"))))));
}
