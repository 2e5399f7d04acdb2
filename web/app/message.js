/* message.js: how a message looks. */

import { openActions, react } from "./actions.js";
import { avatar, h, icon, iconButton } from "./dom.js";
import { fileNode } from "./files.js";
import { t, timeOfDay, dateAndTime, errorText } from "./i18n.js";
import { stickerNode } from "./stickers.js";
import { systemText } from "./words.js";

const LINK = /https?:\/\/[^\s<>"]+[^\s<>"'.,:;!?)\]}]/g;

const TICKS = { sending: "clock", sent: "check", delivered: "checks",
                read: "checks", failed: "warn" };


/* Text with its links; nothing in it is taken for HTML. */
export function richText(text) {
    const out = [];
    let end = 0;

    for (const match of text.matchAll(LINK)) {
        out.push(text.slice(end, match.index),
                 h("a", { href: match[0], target: "_blank",
                          rel: "noopener noreferrer nofollow" }, match[0]));
        end = match.index + match[0].length;
    }

    out.push(text.slice(end));
    return out;
}


function ticks(status) {
    return h("span", { class: "ticks " + status, role: "img",
                       "aria-label": t(status), title: t(status) },
             icon(TICKS[status]));
}


function meta({ m, mine, status }) {
    return h("span", { class: "meta" },
        m.editedAt && !m.deletedAt && h("span", {}, t("edited")),
        h("time", { datetime: m.createdAt, title: dateAndTime(m.createdAt) },
          timeOfDay(m.createdAt)),
        mine && ticks(status));
}


function quote(quoted, thread) {
    return h("button", { type: "button", class: "quote", tabindex: "-1",
                         onclick: () => thread.show(quoted.id) },
        h("span", { class: "quote-name" }, quoted.name),
        h("span", { class: "quote-text" }, quoted.text));
}


function content({ m }, thread) {
    if (m.deletedAt) {
        return h("p", { class: "text gone" }, t("deleted"));
    }

    if (m.type === "sticker") {
        return stickerNode(m.content.sticker);
    }

    if (m.content.fileInfo) {
        return fileNode(thread.chat, m, thread.room.may("download"));
    }

    return h("p", { class: "text" }, richText(m.content.text ?? ""));
}


function failed({ m }, chat) {
    return h("p", { class: "failure" },
        t("failedWhy", { why: errorText(m.error) }), " ",
        h("button", { type: "button",
                      onclick: () => chat.resend(m.clientMessageId) },
          t("retry")),
        h("button", { type: "button",
                      onclick: () => chat.discard(m.clientMessageId) },
          t("discard")));
}


/* Who reacted, one button for each emoji; it is also how one does. */
function reactions({ m }, thread) {
    const all = new Map();

    for (const r of m.reactions ?? []) {
        all.set(r.emoji, [...all.get(r.emoji) ?? [], r.userId]);
    }

    if (all.size === 0) {
        return null;
    }

    return h("div", { class: "reactions" }, [...all].map(([emoji, users]) => {
        const mine = users.includes(thread.chat.userId);
        const names = users.map((u) => thread.room.nameOf(u)).join(", ");

        return h("button", {
            type: "button", class: "reaction", tabindex: "-1",
            "aria-pressed": String(mine), title: names,
            onclick: () => react(thread, m, emoji) },
            emoji + (users.length > 1 ? " " + users.length : ""),
            h("span", { class: "sr-only" }, t("reactedBy", { names })));
    }));
}


function tools({ m }, thread) {
    if (m.id === undefined || m.deletedAt) {
        return null;
    }

    return h("div", { class: "tools" },
        iconButton("more", t("actions"),
                   (e) => openActions(e.currentTarget, thread, m),
                   { tabindex: "-1", class: "icon-button more-button",
                     "aria-haspopup": "menu", "aria-expanded": "false" }));
}


/* Fill el, an li, with the message that the facts are of. */
export function messageNode(el, facts, thread) {
    const { m, mine, together, name, group, quoted, status } = facts;
    const system = m.content?.systemMessage;

    if (system) {
        el.className = "system";
        el.replaceChildren(h("span", {}, systemText(
            system, (u) => thread.room.nameOf(u))));
        return;
    }

    el.className = "message" + (mine ? " mine" : "")
                   + (together ? " together" : "")
                   + (m.type === "sticker" && !m.deletedAt ? " pure" : "");
    el.replaceChildren(...[
        !mine && group && h("span", { class: "message-face" },
            !together && avatar(m.senderId, name, m.sender?.avatar)),
        h("div", { class: "message-main" },
            h("div", { class: "bubble" + (m.deletedAt ? " deleted" : "") },
                (group && !mine && !together)
                    ? h("span", { class: "sender" }, name)
                    : h("span", { class: "sr-only" }, name + ": "),
                quoted && quote(quoted, thread),
                h("div", { class: "line" }, content(facts, thread),
                  meta(facts))),
            reactions(facts, thread),
            status === "failed" && failed(facts, thread.chat)),
        tools(facts, thread),
    ].filter(Boolean));
}
