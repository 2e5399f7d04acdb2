/*
 * consult.js: a consultation: what it is about, beginning and ending it, and
 * what it came to.
 */

import { announce, h } from "./dom.js";
import { openDialog } from "./dialog.js";
import { date, dateAndTime, errorText, t } from "./i18n.js";

const MINUTE_MS = 60000;


export function leadsConsult(chat, room) {
    return ["tutor", "admin", "service"].includes(chat.role)
        || room.member(chat.userId)?.role === "tutor";
}


function act(chat, room, what, body) {
    return chat.rest("POST", `/api/consultations/${
        room.conversation.consultationId}/${what}`, { body: body ?? {} });
}


/* From now, as people say it. */
function untilThen(time) {
    const minutes = Math.round((Date.parse(time) - Date.now()) / MINUTE_MS);
    const format = new Intl.RelativeTimeFormat(
        document.documentElement.lang, { numeric: "auto" });

    return Math.abs(minutes) < 90 ? format.format(minutes, "minute")
        : Math.abs(minutes) < 36 * 60
            ? format.format(Math.round(minutes / 60), "hour")
            : format.format(Math.round(minutes / 1440), "day");
}


/* ---- the summary ---- */

function list(title, items) {
    return items.length > 0 && [
        h("h3", {}, title),
        h("ul", { class: "points" }, items.map((i) => h("li", {}, i)))];
}


function rating(chat, room, ratings) {
    const mine = ratings?.find((r) => r.userId === chat.userId);

    if (mine) {
        return h("p", {}, t("ratedBy", { n: mine.rating }));
    }

    const problem = h("p", { class: "problem", role: "alert" });
    const comment = h("input", { id: "rate-comment", maxlength: "500" });
    const form = h("form", { class: "form" },
        h("fieldset", { class: "stars" },
            h("legend", {}, t("rateIt")),
            [1, 2, 3, 4, 5].map((n) => h("label", { class: "star" },
                h("input", { type: "radio", name: "rating", required: true,
                             value: String(n) }),
                h("span", { "aria-hidden": "true" }, "★".repeat(n)),
                h("span", { class: "sr-only" }, t("ratedBy", { n }))))),
        h("label", { for: "rate-comment" }, t("comment")), comment, problem,
        h("button", { class: "primary" }, t("rate")));

    form.addEventListener("submit", async (e) => {
        const n = Number(new FormData(form).get("rating"));

        e.preventDefault();

        try {
            await act(chat, room, "satisfaction", {
                rating: n, ...(comment.value ? { comment: comment.value }
                                             : {}) });
            form.replaceWith(h("p", { role: "status" },
                               t("ratedBy", { n })));
        } catch (error) {
            problem.textContent = errorText(error);
        }
    });

    return form;
}


function itemText(room, item) {
    const who = item.userId && room.nameOf(item.userId);

    const facts = [who, item.due && date(item.due.date)].filter(Boolean);

    return [item.text, facts.length > 0
            && h("span", { class: "muted" }, " · " + facts.join(", "))];
}


export async function openSummary(chat, room) {
    const id = room.conversation.consultationId;
    let data;

    try {
        data = await chat.rest("GET", `/api/consultations/${id}/summary`);
    } catch (error) {
        openDialog(t("summary"), h("p", { class: "problem" },
                                   errorText(error)));
        return;
    }

    const s = data.summary ?? {};
    const session = data.session ?? {};
    const details = s.actionDetails ?? (s.actionItems ?? []).map(
        (text) => ({ text }));

    openDialog(t("summary"), h("div", { class: "summary" },
        h("p", { class: "muted" }, [
            session.startTime && dateAndTime(session.startTime),
            session.duration !== undefined && session.duration !== null
                && t("minutes", { n: Math.round(session.duration) }),
            t("messagesN", { n: s.totalMessages ?? 0 }),
            t("filesN", { n: s.filesShared ?? 0 }),
        ].filter(Boolean).join(" · ")),
        list(t("topics"), s.keyTopics ?? []),
        list(t("actionItems"), details.map((i) => itemText(room, i))),
        list(t("openQuestions"), (s.unansweredQuestions ?? []).map(
            (q) => itemText(room, q))),
        session.status === "completed"
            && room.member(chat.userId)
            && rating(chat, room, session.ratings)));
}


/* ---- the banner ---- */

export class ConsultBanner {
    #stamp = null;

    constructor(chat, thread) {
        this.chat = chat;
        this.thread = thread;
        this.problem = h("p", { class: "problem", role: "alert" });
        this.box = h("div", { class: "consult-main" });
        this.el = h("section", { class: "consult", hidden: true,
                                 "aria-label": t("consultation") },
                    this.box, this.problem);
    }

    update(room) {
        const c = room.conversation;
        const there = room.type === "consultation";

        this.el.hidden = !there;

        if (!there) {
            return;
        }

        const x = c.context ?? {};
        const soon = x.scheduledAt && untilThen(x.scheduledAt);
        const stamp = JSON.stringify([c.consultationStatus, x, soon,
                                      c.consultationId]);

        if (stamp === this.#stamp) {
            return;
        }

        this.#stamp = stamp;

        const status = c.consultationStatus ?? "confirmed";
        const open = this.box.querySelector("details")?.open ?? false;

        this.box.replaceChildren(
            h("div", { class: "consult-text" },
                h("p", { class: "consult-title" },
                    h("span", { class: "chip " + status },
                      t("consult_" + status)),
                    " ", h("strong", {}, x.topic ?? c.title ?? "")),
                h("p", { class: "muted" }, [x.course,
                    x.scheduledAt && `${dateAndTime(x.scheduledAt)}`
                        + (status === "confirmed" ? ` (${soon})` : ""),
                ].filter(Boolean).join(" · ")),
                x.agenda && h("details", { open },
                    h("summary", {}, t("agenda")),
                    h("p", { class: "text" }, x.agenda))),
            h("div", { class: "row" }, this.#buttons(room, status)));
    }

    #buttons(room, status) {
        const leads = leadsConsult(this.chat, room)
                      && room.conversation.consultationStatus;
        const button = (label, run, first) => h("button", {
            type: "button", class: first ? "primary" : "small",
            onclick: run }, label);
        const does = (what) => () => this.#do(room, what);

        return [
            leads && ["confirmed", "ended"].includes(status)
                && button(t("consultStart"), does("start"),
                          status === "confirmed"),
            leads && status === "started"
                && button(t("consultEnd"), does("end"), true),
            leads && status === "confirmed"
                && button(t("consultCancel"), does("cancel")),
            status === "ended" && button(t("summary"),
                () => openSummary(this.chat, this.thread.room), true),
        ].filter(Boolean);
    }

    async #do(room, what) {
        this.problem.textContent = "";

        try {
            const { conversation } = await act(this.chat, room, what);

            // others are told by an event, and so are we
            announce(t("consult_" + conversation.consultationStatus));
        } catch (error) {
            this.problem.textContent = errorText(error);
        }
    }
}


/* The fields that a new consultation has beside its people. */
export function consultFields() {
    const field = (name, label, props = {}) => [
        h("label", { for: "consult-" + name }, label),
        h(props.rows ? "textarea" : "input",
          { id: "consult-" + name, name, ...props })];

    return h("fieldset", { class: "form", hidden: true },
        h("legend", { class: "sr-only" }, t("consultation")),
        field("topic", t("topic"), { maxlength: "200" }),
        field("course", t("course"), { maxlength: "200" }),
        field("scheduledAt", t("time"), { type: "datetime-local" }),
        field("agenda", t("agenda"), { rows: "3", maxlength: "2000" }));
}


/* What stands in them, as the server takes it. */
export function consultContext(form) {
    const data = new FormData(form);
    const out = {};

    for (const name of ["topic", "course", "agenda"]) {
        if (data.get(name)?.trim()) {
            out[name] = data.get(name).trim();
        }
    }

    if (data.get("scheduledAt")) {
        out.scheduledAt = new Date(data.get("scheduledAt")).toISOString();
    }

    return out;
}


