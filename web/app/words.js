/* words.js: messages in one line of text. */

import { t } from "./i18n.js";


export function systemText({ action, data = {} }, nameOf) {
    const name = data.name || (data.userId ? nameOf(data.userId) : "");

    switch (action) {
    case "user_joined":
    case "user_left":
    case "file_shared":
    case "consultation_started":
    case "consultation_ended":
        return t("sys_" + action, { name });
    default:
        return t("sys_other", { name, action: String(action) });
    }
}


/* m: a message, or a conversation's lastMessage. */
export function messageText(m, nameOf) {
    const content = typeof m.content === "string" ? { text: m.content }
                                                  : m.content ?? {};
    const system = content.systemMessage ?? m.systemMessage;

    if (m.deletedAt) {
        return t("deleted");
    }

    if (system) {
        return systemText(system, nameOf);
    }

    if (m.type === "sticker") {
        return t("aSticker");
    }

    return content.text || content.fileInfo?.fileName
        || (m.type === "image" ? t("anImage")
            : m.type === "file" ? t("aFile") : "");
}
