/*
 * main.js: who is here, and what is on screen.
 *
 * A token comes from the application that opens the page (#token=…, taken out
 * of the address at once) or, on a development server, from the page that
 * asks who one is.  It is kept for this tab alone.
 */

import { Writeen, claimsOf } from "/writeen.js";
import { announce, h } from "./dom.js";
import { LANGUAGES, language, setLanguage, t } from "./i18n.js";
import { Shell } from "./shell.js";
import { knownPeople, signIn } from "./signin.js";

const TOKEN = "writeen.token";
const THEMES = ["auto", "light", "dark"];

const app = document.getElementById("app");

let chat = null;
let shell = null;


export const looks = {
    get theme() { return localStorage.getItem("writeen.theme") ?? "auto"; },

    nextTheme() {
        const next = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length];

        localStorage.setItem("writeen.theme", next);
        showTheme();
        return next;
    },

    nextLanguage() {
        const next = LANGUAGES[(LANGUAGES.indexOf(language()) + 1)
                               % LANGUAGES.length];

        localStorage.setItem("writeen.language", next);
        setLanguage(next);
        show();
    },
};


function showTheme() {
    document.documentElement.dataset.theme = looks.theme;
}


function takeToken() {
    const token = new URLSearchParams(location.hash.slice(1)).get("token");

    if (token) {
        sessionStorage.setItem(TOKEN, token);
        history.replaceState(null, "", location.pathname);
    }

    return sessionStorage.getItem(TOKEN);
}


function signOut() {
    chat?.stop();
    chat = null;
    sessionStorage.removeItem(TOKEN);
    history.replaceState(null, "", location.pathname);
    show();
}


function begin(token) {
    sessionStorage.setItem(TOKEN, token);
    chat = new Writeen({ token });
    chat.addEventListener("problem", (e) => announce(e.error.message));
    chat.start();
    show();
    nameOthers(chat);
}


/* Those who never were here have no name yet; a development server's page
 * knows whom it offers. */
async function nameOthers(to) {
    for (const p of await knownPeople()) {
        to.names.set(p.id, p.name);
    }

    to.emit("rooms");
}


/* All of it anew: at first, and in another language. */
function show() {
    shell?.end();
    shell = null;
    document.title = "Writeen";

    if (chat) {
        shell = new Shell(chat, looks, signOut);
        app.replaceChildren(shell.el);
        shell.begin();
        return;
    }

    const box = h("main", { class: "signin" }, h("h1", {}, t("signInTitle")));

    app.replaceChildren(box);
    signIn(box, looks, begin);
}


setLanguage(localStorage.getItem("writeen.language"));
showTheme();

window.addEventListener("hashchange", () => {
    if (location.hash.startsWith("#token=")) {
        chat?.stop();
        begin(takeToken());
    }
});

const token = takeToken();

if (token && claimsOf(token).sub) {
    begin(token);
} else {
    show();
}
