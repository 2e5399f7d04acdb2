/* emoji.js: small pictures to write and to react with. */

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { openPopup } from "./popup.js";

export const QUICK = ["👍", "❤️", "😂", "😮", "🙏", "✅"];

const ALL = (
    "😀 😄 😁 😂 🤣 😊 🙂 🙃 😉 😍 🥰 😘 😋 😎 🤓 🤩 🥳 😏 😌 😴 🤔 🤨 😐 😬 "
    + "🙄 😮 😲 🥺 😢 😭 😤 😠 😱 😅 😇 🤗 🤭 🤫 🤯 😷 🤒 🥱 👍 👎 👌 ✌️ 🤞 👏 "
    + "🙌 🙏 💪 👋 🤝 ✍️ 👀 🧠 ❤️ 🧡 💛 💚 💙 💜 💔 💯 ✨ 🔥 🎉 🎓 📚 📖 📝 📄 "
    + "📎 📊 📈 📅 ⏰ ⌛ ✅ ❌ ❓ ❗ 💡 🔍 💻 📱 ☕ 🍵 🍜 🍚 🌞 🌙 🌧️ 🌈 🚀 🏆 🕌 "
    + "🇮🇩").split(" ");


/* Calls choose(emoji). */
export function openEmoji(anchor, choose) {
    let popup = null;

    const grid = h("div", { class: "emoji-grid", role: "none" },
        ALL.map((e) => h("button", {
            type: "button", role: "menuitem", class: "emoji",
            onclick: () => { popup.close(); choose(e); } }, e)));

    popup = openPopup(anchor, t("emoji"), grid);
    return popup;
}


/* A row of the usual ones, for the top of a menu. */
export function quickRow(choose, mine) {
    return h("div", { class: "quick", role: "none" },
        QUICK.map((e) => h("button", {
            type: "button", role: "menuitem", class: "emoji",
            "aria-label": t(mine.has(e) ? "takeBack" : "reactWith",
                            { emoji: e }),
            onclick: () => choose(e) }, e)));
}
