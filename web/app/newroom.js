/* newroom.js: starting a conversation. */

import { consultContext, consultFields } from "./consult.js";
import { h, iconButton } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { knownPeople } from "./signin.js";
import { openDialog } from "./dialog.js";


/* People that this page has seen: on a development server all of them, and
 * those of one's own conversations. */
async function candidates(chat) {
    const found = new Map();

    for (const p of await knownPeople()) {
        found.set(p.id, p.name);
    }

    for (const room of chat.rooms.values()) {
        for (const p of room.others) {
            const name = room.nameOf(p.userId);

            // a room has no name of who never was here
            if (name !== p.userId || !found.has(p.userId)) {
                found.set(p.userId, name);
            }
        }
    }

    found.delete(chat.userId);
    return [...found].sort((a, b) => a[1].localeCompare(b[1]));
}


function named(field) {
    const title = field.value.trim();

    return title ? { title } : {};
}


export async function newConversation(chat) {
    const people = await candidates(chat);
    const problem = h("p", { class: "problem", role: "alert" });
    const boxes = h("div", { class: "choices" });
    const input = h("input", { id: "new-id", autocomplete: "off",
                               autocapitalize: "none",
                               pattern: "[A-Za-z0-9_\\-]{1,64}",
                               title: t("signInBad") });
    const title = h("input", { id: "new-title", maxlength: 120 });

    const choice = (id, name, on) => boxes.append(
        h("label", { class: "choice" },
            h("input", { type: "checkbox", name: "who", value: id,
                         checked: on }),
            h("span", {}, name), name !== id
                && h("span", { class: "muted" }, id)));

    const add = () => {
        const id = input.value.trim();

        if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) {
            problem.textContent = t("signInBad");
            return;
        }

        problem.textContent = "";
        choice(id, id, true);
        input.value = "";
    };

    const consult = h("input", { type: "checkbox" });
    const fields = consultFields();

    consult.addEventListener("change", () => {
        fields.hidden = !consult.checked;
    });

    people.forEach(([id, name]) => choice(id, name, false));

    const form = h("form", { class: "form" },
        h("fieldset", {}, h("legend", {}, t("withWhom")), boxes,
            h("label", { for: "new-id" }, t("personId")),
            h("div", { class: "row" }, input,
                iconButton("plus", t("addPerson"), add))),
        h("label", { for: "new-title" }, t("titleOptional")), title,
        ["tutor", "admin"].includes(chat.role)
            && h("label", { class: "choice" }, consult,
                 h("span", {}, t("consultation"))),
        fields, problem,
        h("button", { class: "primary" }, t("create")));

    const dialog = openDialog(t("newConversation"), form);

    form.addEventListener("submit", async (e) => {
        e.preventDefault();

        if (input.value.trim()) {
            add();
        }

        const ids = new FormData(form).getAll("who");

        if (ids.length === 0) {
            problem.textContent = t("withWhom");
            return;
        }

        try {
            const room = consult.checked
                ? await chat.confirm({ participantIds: ids,
                                       ...named(title),
                                       context: consultContext(form) })
                : await chat.create(ids.length === 1 && !title.value.trim()
                    ? { type: "direct", participantIds: ids }
                    : { type: "group", participantIds: ids,
                        ...named(title) });

            dialog.close();
            location.hash = "#/c/" + room.id;
        } catch (error) {
            problem.textContent = errorText(error);
        }
    });
}
