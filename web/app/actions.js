/* actions.js: what can be done with a message. */

import { h, announce } from "./dom.js";
import { openDialog } from "./dialog.js";
import { openEmoji, quickRow } from "./emoji.js";
import { dateAndTime, errorText, t } from "./i18n.js";
import { openMenu } from "./popup.js";

const LEADERS = new Set(["tutor", "admin"]);


function problem(error) {
    announce(errorText(error));
    openDialog(t("notDone"), h("p", { class: "problem" }, errorText(error)));
}


export function react(thread, m, emoji) {
    const me = thread.chat.userId;
    const there = m.reactions.some((r) => r.userId === me
                                          && r.emoji === emoji);

    return thread.room.react(m.id, emoji, !there).catch(problem);
}


function remove(thread, m) {
    const go = h("button", { type: "button", class: "primary danger" },
                 t("deleteIt"));
    const dialog = openDialog(t("deleteAsk"), h("div", { class: "form" },
        h("p", {}, t("deleteWhat")),
        h("div", { class: "row end" },
            h("button", { type: "button", onclick: () => dialog.close() },
              t("cancel")), go)));

    go.addEventListener("click", () => {
        dialog.close();
        thread.room.remove(m.id).catch(problem);
    });
}


function readers(thread, m) {
    const room = thread.room;
    const list = room.others.map((p) => {
        const c = room.cursor(p.userId);
        const status = c.read >= m.seq ? "read"
            : c.delivered >= m.seq ? "delivered" : "sent";

        return h("li", { class: "choice" }, room.nameOf(p.userId),
                 h("span", { class: "muted" }, t(status)));
    });

    openDialog(t("whoRead"), h("div", {},
        h("p", { class: "muted" }, dateAndTime(m.createdAt)),
        h("ul", {}, list)));
}


async function history(thread, m) {
    try {
        const data = await thread.chat.rest(
            "GET", `/api/conversations/${thread.id}/messages/${m.id}/history`);
        const rows = data.editHistory.map((e) => h("li", { class: "before" },
            h("p", { class: "muted" }, dateAndTime(e.editedAt)),
            h("p", { class: "text" }, e.previousContent)));

        openDialog(t("before"), h("ul", {}, rows));
    } catch (error) {
        problem(error);
    }
}


export function openActions(anchor, thread, m) {
    const me = thread.chat.userId;
    const room = thread.room;
    const mine = m.senderId === me;
    const may = room.may("write") && !room.archived;
    const leads = LEADERS.has(thread.chat.role)
                  || room.member(me)?.role === "tutor";
    const text = m.content.text;
    let menu = null;

    const choose = (emoji) => {
        menu.close();
        react(thread, m, emoji);
    };

    const items = [
        may && quickRow(choose, new Set(m.reactions.filter(
            (r) => r.userId === me).map((r) => r.emoji))),
        may && { label: t("moreEmoji"), icon: "smile",
                 run: () => openEmoji(anchor, (e) => react(thread, m, e)) },
        may && { label: t("reply"), icon: "reply",
                 run: () => thread.composer.reply(m) },
        text && navigator.clipboard && {
            label: t("copy"), icon: "copy",
            run: () => navigator.clipboard.writeText(text).then(
                () => announce(t("copied")), problem) },
        may && mine && m.type === "text" && {
            label: t("edit"), icon: "edit",
            run: () => thread.composer.edit(m) },
        m.editedAt && { label: t("before"), icon: "clock",
                        run: () => history(thread, m) },
        mine && { label: t("whoRead"), icon: "info",
                  run: () => readers(thread, m) },
        may && (mine || leads) && {
            label: t("delete"), icon: "trash", danger: true,
            run: () => remove(thread, m) },
    ].filter(Boolean);

    if (items.length) {
        menu = openMenu(anchor, t("actions"), items);
    }
}
