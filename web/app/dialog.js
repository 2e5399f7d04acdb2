/* dialog.js: what stands above the page until it is closed. */

import { h, iconButton } from "./dom.js";
import { t } from "./i18n.js";

let count = 0;


/* Escape closes it, the focus goes back to where it came from: the browser
 * does both. */
export function openDialog(title, content, { wide = false } = {}) {
    const id = "dialog-title-" + ++count;
    const dialog = h("dialog", { class: wide ? "dialog wide" : "dialog",
                                 "aria-labelledby": id },
        h("header", { class: "dialog-top" },
            h("h2", { id }, title),
            iconButton("close", t("close"), () => dialog.close())),
        h("div", { class: "dialog-body" }, content));

    dialog.addEventListener("click", (e) => {
        if (e.target === dialog) {
            dialog.close();
        }
    });
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
}
