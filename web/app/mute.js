/* mute.js: no pushes from a conversation, for a while or for good. */

import { announce, icon } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { openMenu } from "./popup.js";

const HOURS = [8, 168];


/* The button says what it does, and so how things stand. */
export function showBell(bell, muted) {
    const label = t(muted ? "unmute" : "mute");

    bell.title = label;
    bell.setAttribute("aria-label", label);
    bell.replaceChildren(icon(muted ? "bellOff" : "bell"));

    if (muted) {
        bell.removeAttribute("aria-haspopup");
        bell.removeAttribute("aria-expanded");
    } else {
        bell.setAttribute("aria-haspopup", "menu");
    }
}


export function mute({ room, bell }) {
    const done = (said) => () => announce(t(said));
    const failed = (error) => announce(errorText(error));
    const run = (until) => room.mute(until).then(done("mutedSaid"), failed);

    if (room.muted) {
        room.unmute().then(done("unmutedSaid"), failed);
        return;
    }

    openMenu(bell, t("mute"), [
        ...HOURS.map((n) => ({
            label: t("mute_" + n),
            run: () => run(new Date(Date.now() + n * 3600000)) })),
        { label: t("mute_always"), run: () => run(null) },
    ]);
}
