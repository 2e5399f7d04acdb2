/*
 * files.js: files that were sent: how they look, and having them.
 *
 * Their bytes are fetched with the token and shown as blob: addresses, so
 * that no address of a file can be passed on.
 */

import { announce, h, icon } from "./dom.js";
import { openDialog } from "./dialog.js";
import { errorText, size, t } from "./i18n.js";

const KEPT = 100;           // pictures; the oldest ones are fetched again

const kept = new Map();     // file/size -> promise of an address


function address(chat, fileId, which) {
    const key = `${fileId}/${which}`;
    let url = kept.get(key);

    if (!url) {
        url = chat.file(fileId, which)
            .then((blob) => URL.createObjectURL(blob));
        url.catch(() => kept.delete(key));
        kept.set(key, url);

        if (kept.size > KEPT) {
            const [oldest, gone] = kept.entries().next().value;

            kept.delete(oldest);
            gone.then((u) => URL.revokeObjectURL(u), () => {});
        }
    }

    return url;
}


function thumbnail(chat, info, which, alt) {
    const img = h("img", { class: "thumb", alt });

    address(chat, info.fileId, which).then(
        (url) => { img.src = url; },
        () => { img.replaceWith(icon("file")); });
    return img;
}


export async function download(chat, info) {
    try {
        const url = URL.createObjectURL(await chat.file(info.fileId));
        const a = h("a", { href: url, download: info.fileName });

        document.body.append(a);
        a.click();
        a.remove();
        setTimeout(() => URL.revokeObjectURL(url), 60000);
    } catch (error) {
        announce(errorText(error));
        openDialog(info.fileName, h("p", { class: "problem" },
                                    errorText(error)));
    }
}


function preview(chat, m) {
    const info = m.content.fileInfo;
    const img = h("img", { class: "preview", alt: m.content.text
                           || info.fileName });
    const note = h("p", { class: "muted", role: "status" }, t("loading"));
    const body = h("div", { class: "preview-box" }, img, note,
        h("button", { type: "button", class: "primary",
                      onclick: () => download(chat, info) }, t("download")));

    // of a document its first page
    address(chat, info.fileId, m.type === "image" ? null : "large").then(
        (url) => {
            img.src = url;
            note.textContent = m.type === "image" ? "" : t("firstPage");
        },
        (error) => { note.textContent = errorText(error); });

    openDialog(info.fileName, body, { wide: true });
}


/* What a message of type file or image shows. */
export function fileNode(chat, m, may) {
    const info = m.content.fileInfo;
    const clean = info.scanStatus === "clean";
    const seen = clean && may && info.thumbnailUrl;
    const text = m.content.text && h("p", { class: "text" }, m.content.text);

    const facts = h("span", { class: "file-facts" },
        h("span", { class: "file-name" }, info.fileName),
        h("span", { class: "muted file-size" }, size(info.fileSize), " · ",
          h("span", { class: clean ? "scan clean" : "scan bad" },
            t(clean ? "scanClean" : "scan_" + info.scanStatus))));

    if (m.type === "image" && seen) {
        return h("div", { class: "file" },
            h("button", { type: "button", class: "picture", tabindex: "-1",
                          "aria-label": t("show", { name: info.fileName }),
                          onclick: () => preview(chat, m) },
                thumbnail(chat, info, "medium", m.content.text || "")),
            text,
            h("span", { class: "sr-only" }, info.fileName));
    }

    return h("div", { class: "file" },
        h("div", { class: "file-row" },
            seen ? h("button", { type: "button", class: "page",
                                 tabindex: "-1",
                                 "aria-label": t("show",
                                                 { name: info.fileName }),
                                 onclick: () => preview(chat, m) },
                     thumbnail(chat, info, "small", ""))
                 : icon(clean ? "file" : "warn"),
            facts,
            clean && may && h("button", {
                type: "button", class: "icon-button", tabindex: "-1",
                title: t("download"),
                "aria-label": t("downloadName", { name: info.fileName }),
                onclick: () => download(chat, info) }, icon("download"))),
        text);
}


/* A file on its way. */
export function uploadNode(el, u, chat) {
    const percent = Math.round(u.progress * 100);
    const state = u.stage === "sending" ? t("uploading", { percent })
        : u.stage === "failed"
            ? t("failedWhy", { why: errorText(u.error) })
            : t("upload_" + u.stage);

    el.className = "message mine upload";
    el.replaceChildren(h("div", { class: "message-main" },
        h("div", { class: "bubble" },
            h("div", { class: "file-row" },
                icon(u.stage === "failed" ? "warn" : "file"),
                h("span", { class: "file-facts" },
                    h("span", { class: "file-name" }, u.file.name),
                    h("span", { class: "file-size" }, size(u.file.size),
                      " · ", h("span", { class: u.stage === "failed"
                                         ? "scan bad" : "" }, state))),
                u.stage === "failed" && u.again
                    && h("button", { type: "button", class: "small",
                                     onclick: () => chat.uploads.retry(u.id) },
                         t("again")),
                h("button", { type: "button", class: "icon-button",
                              title: t("cancel"),
                              "aria-label": t("cancelUpload",
                                              { name: u.file.name }),
                              onclick: () => chat.uploads.cancel(u.id) },
                  icon("close"))),
            u.stage !== "failed" && h("progress", {
                max: "100", "aria-label": u.file.name,
                value: u.stage === "sending" ? percent : null }))));
}
