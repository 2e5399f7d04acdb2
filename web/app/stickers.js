/* stickers.js: the packs that the server has, and what a sticker looks like. */

import { h } from "./dom.js";
import { language, t } from "./i18n.js";
import { openPopup } from "./popup.js";

let packs = null;       // a promise of them


async function get(path) {
    const r = await fetch("/stickers/" + path);

    if (!r.ok) {
        throw new Error(`${path}: ${r.status}`);
    }

    return r.json();
}


function allPacks() {
    packs ??= get("packs.json")
        .then((list) => Promise.all(
            list.packs.map((id) => get(`${id}/pack.json`))))
        .catch(() => {
            packs = null;           // tried again the next time
            return [];
        });

    return packs;
}


function label(sticker) {
    return sticker.label[language()] ?? sticker.label.en ?? sticker.id;
}


function picture(pack, sticker) {
    return h("img", { class: "sticker", alt: label(sticker),
                      width: "128", height: "128",
                      src: `/stickers/${pack.id}/${sticker.file}` });
}


/* Calls choose({pack, id}). */
export async function openStickers(anchor, choose) {
    const list = await allPacks();
    let popup = null;

    const content = list.length === 0 ? h("p", { class: "muted" }, t("none"))
        : list.map((pack) => h("div", { class: "sticker-pack", role: "none" },
            h("p", { class: "muted" }, pack.name[language()] ?? pack.id),
            h("div", { class: "sticker-grid", role: "none" },
                pack.stickers.map((s) => h("button", {
                    type: "button", role: "menuitem", class: "sticker-choice",
                    "aria-label": label(s), title: label(s),
                    onclick: () => {
                        popup.close();
                        choose({ pack: pack.id, id: s.id });
                    } }, h("img", { alt: "", width: "64", height: "64",
                        src: `/stickers/${pack.id}/${s.file}` }))))));

    popup = openPopup(anchor, t("stickers"), content);
    return popup;
}


/* A sticker that is not known is its name. */
export function stickerNode({ pack, id } = {}) {
    const el = h("p", { class: "text sticker-text" }, t("aSticker"));

    allPacks().then((list) => {
        const found = list.find((p) => p.id === pack);
        const sticker = found?.stickers.find((s) => s.id === id);

        if (sticker) {
            el.replaceChildren(picture(found, sticker));
        }
    });

    return el;
}
