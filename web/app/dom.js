/* dom.js: elements, icons, and who is told what without seeing it. */

const SVG = "http://www.w3.org/2000/svg";

/* Outlines of 24 by 24. */
const ICONS = {
    bell: "M6 17V11a6 6 0 0 1 12 0v6l2 1H4zM10 21h4",
    bellOff: "M6 17V11a6 6 0 0 1 9-5.2M18 10v7l2 1H8M10 21h4M4 4l16 17",
    attach: "M20 11.5 12 19.5a5 5 0 0 1-7-7l8.5-8.5a3.3 3.3 0 0 1 4.7 4.7"
            + "L9.7 17a1.7 1.7 0 0 1-2.4-2.4L14.5 7.5",
    back: "M15 5l-7 7 7 7",
    check: "M4 12.5l5 5L20 6.5",
    checks: "M1.5 12.5l4.5 4.5L15.5 7M10.5 15.5l1.5 1.5L22 7",
    clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.5 2",
    close: "M6 6l12 12M18 6L6 18",
    copy: "M9 9h10v11H9zM5 15V4h10",
    download: "M12 4v11M7 11l5 5 5-5M5 20h14",
    edit: "M4 20h4L19 9l-4-4L4 16zM13.5 6.5l4 4",
    file: "M6 3h8l5 5v13H6zM14 3v5h5",
    info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 7.5v.5",
    lang: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c5 5 5 13 0 18"
          + "M12 3c-5 5-5 13 0 18",
    more: "M5 12h.01M12 12h.01M19 12h.01",
    out: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
    plus: "M12 5v14M5 12h14",
    reply: "M10 6L4 12l6 6M4 12h10a6 6 0 0 1 6 6",
    search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20",
    send: "M4 12L20 4l-5 16-4-6zM11 14l4-5",
    smile: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8.5 14a4 4 0 0 0 7 0"
           + "M9 9.5v.01M15 9.5v.01",
    sticker: "M5 4h14v9l-6 7H5zM13 20v-7h6",
    theme: "M12 3a9 9 0 1 0 9 9 7 7 0 0 1-9-9z",
    trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
    warn: "M12 4l9 16H3zM12 10v4M12 17v.01",
};


/* h("a", { class: "x", href: "#", onclick: f }, "text", element, ...):
 * properties that begin with "on" are listeners, null and false are left
 * out. */
export function h(tag, props, ...children) {
    const el = document.createElement(tag);

    for (const [key, value] of Object.entries(props ?? {})) {
        if (value === null || value === undefined || value === false) {
            continue;
        }

        if (key.startsWith("on")) {
            el.addEventListener(key.slice(2), value);
        } else if (key === "class") {
            el.className = value;
        } else {
            el.setAttribute(key, value === true ? "" : value);
        }
    }

    el.append(...children.flat().filter(
        (c) => c !== null && c !== undefined && c !== false));
    return el;
}


export function icon(name) {
    const svg = document.createElementNS(SVG, "svg");
    const path = document.createElementNS(SVG, "path");

    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
}


/* A button that is a picture; the label is what it is called. */
export function iconButton(name, label, onclick, props = {}) {
    return h("button", { type: "button", class: "icon-button", title: label,
                         "aria-label": label, onclick, ...props },
             icon(name));
}


/* The first letters of a name, in a colour of its own. */
export function avatar(id, name, url) {
    const words = name.trim().split(/\s+/).filter(Boolean);
    const letters = (words.length > 1
        ? [...words[0]][0] + [...words.at(-1)][0]
        : [...(words[0] ?? "?")].slice(0, 2).join("")).toUpperCase();
    // in the style, because it is no text
    const el = h("span", { class: "avatar", "aria-hidden": "true",
                           "data-letters": letters });
    let hue = 0;

    for (const c of id) {
        hue = (hue * 31 + c.charCodeAt(0)) % 360;
    }

    el.style.setProperty("--hue", hue);

    if (url && url.startsWith("https:")) {
        const img = h("img", { src: url, alt: "", loading: "lazy",
                               referrerpolicy: "no-referrer" });

        img.addEventListener("error", () => img.remove());
        el.append(img);
    }

    return el;
}


/* For those who listen instead of looking. */
export function announce(text) {
    document.getElementById("live").textContent = text;
}


/* f, once, when what goes on now is done. */
export function later(f) {
    let due = false;

    return () => {
        if (!due) {
            due = true;
            queueMicrotask(() => { due = false; f(); });
        }
    };
}
