/*
 * popup.js: what opens beside a button: menus, and grids to choose from.
 *
 * Arrow keys go from one choice to the next, Escape and a click elsewhere
 * close it (the browser's popover does that), and the focus goes back.
 */

import { h, icon } from "./dom.js";

const GAP = 6;


function place(el, anchor) {
    const a = anchor.getBoundingClientRect();
    const r = el.getBoundingClientRect();
    const below = a.bottom + GAP + r.height <= innerHeight;
    const top = below ? a.bottom + GAP : Math.max(GAP, a.top - GAP - r.height);
    const left = Math.min(Math.max(GAP, a.right - r.width),
                          innerWidth - r.width - GAP);

    el.style.top = top + "px";
    el.style.left = Math.max(GAP, left) + "px";
}


/* The choice that is next in a direction, by where they are. */
function neighbour(all, from, key) {
    const i = all.indexOf(from);

    if (key === "Home" || key === "End") {
        return key === "Home" ? all[0] : all.at(-1);
    }

    if (key === "ArrowRight" || key === "ArrowLeft") {
        return all[(i + (key === "ArrowRight" ? 1 : -1) + all.length)
                   % all.length];
    }

    const a = from.getBoundingClientRect();
    const down = key === "ArrowDown";
    let best = null, distance = Infinity;

    for (const el of all) {
        const r = el.getBoundingClientRect();
        const dy = down ? r.top - a.top : a.top - r.top;
        const d = dy * 10 + Math.abs(r.left - a.left);

        if (dy > 4 && d < distance) {
            best = el;
            distance = d;
        }
    }

    return best ?? (down ? all[0] : all.at(-1));
}


/* content has buttons with a role of a menu's items; the first one, or the
 * one that is checked, has the focus. */
export function openPopup(anchor, label, content, { onclose } = {}) {
    const back = document.activeElement;
    const el = h("div", { class: "popup", role: "menu", popover: "auto",
                          "aria-label": label }, content);

    document.body.append(el);
    el.showPopover();
    place(el, anchor);
    anchor.setAttribute("aria-expanded", "true");

    const items = () => [...el.querySelectorAll('[role^="menuitem"]')];

    for (const item of items()) {
        item.tabIndex = -1;
    }

    (el.querySelector('[aria-checked="true"]') ?? items()[0])?.focus();

    el.addEventListener("keydown", (e) => {
        if (/^(Arrow|Home|End)/.test(e.key)) {
            e.preventDefault();
            neighbour(items(), document.activeElement, e.key)?.focus();
        } else if (e.key === "Tab") {
            e.preventDefault();
            el.hidePopover();
        }
    });

    el.addEventListener("toggle", (e) => {
        if (e.newState === "closed") {
            const had = el.contains(document.activeElement)
                        || document.activeElement === document.body;

            anchor.setAttribute("aria-expanded", "false");
            el.remove();

            if (had && back?.isConnected) {
                back.focus();
            }

            onclose?.();
        }
    });

    return { el, close: () => { if (el.isConnected) el.hidePopover(); } };
}


/* items: {label, icon, run, danger, checked}, or an element. */
export function openMenu(anchor, label, items) {
    let popup = null;

    const content = items.filter(Boolean).map((item) => {
        if (item instanceof Element) {
            return item;
        }

        return h("button", {
            type: "button",
            role: item.checked === undefined ? "menuitem" : "menuitemradio",
            "aria-checked": item.checked === undefined ? null
                : String(item.checked),
            class: "menu-item" + (item.danger ? " danger" : ""),
            onclick: () => { popup.close(); item.run(); } },
            item.icon && icon(item.icon), h("span", {}, item.label),
            item.checked && icon("check"));
    });

    popup = openPopup(anchor, label, content);
    return popup;
}
