/*
 * signin.js: who one is, on a development server.
 *
 * `make run` with its own development secret serves /dev/people.json: people
 * with tokens, and that secret, with which anybody may make more of them.
 * Anywhere else there is no such file, and the application that opens the
 * page has to bring the token.
 */

import { avatar, h, iconButton } from "./dom.js";
import { t } from "./i18n.js";

const DAY_S = 86400;
const DEV = "writeen.dev";


async function people() {
    try {
        const r = await fetch("/dev/people.json", { cache: "no-store" });

        return r.ok ? await r.json() : null;
    } catch {
        return null;
    }
}


function base64url(bytes) {
    return btoa(String.fromCharCode(...new Uint8Array(bytes)))
        .replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}


/* As build/writeen-token does it. */
async function mint(secret, claims) {
    const text = new TextEncoder();
    const now = Math.floor(Date.now() / 1000);
    const body = [{ alg: "HS256", typ: "JWT" },
                  { ...claims, iat: now, exp: now + 30 * DAY_S }]
        .map((o) => base64url(text.encode(JSON.stringify(o)))).join(".");
    const key = await crypto.subtle.importKey(
        "raw", text.encode(secret), { name: "HMAC", hash: "SHA-256" }, false,
        ["sign"]);

    return body + "." + base64url(
        await crypto.subtle.sign("HMAC", key, text.encode(body)));
}


function someoneElse(secret, begin) {
    const field = (name, label, props) => [
        h("label", { for: "signin-" + name }, label),
        h("input", { id: "signin-" + name, name, required: true,
                     autocomplete: "off", ...props })];
    const form = h("form", { class: "signin-form" },
        field("name", t("signInName"), { maxlength: 80 }),
        field("sub", t("signInId"), { pattern: "[A-Za-z0-9_\\-]{1,64}",
                                      title: t("signInBad"),
                                      autocapitalize: "none" }),
        h("label", { for: "signin-role" }, t("signInRole")),
        h("select", { id: "signin-role", name: "role" },
            h("option", { value: "student" }, t("student")),
            h("option", { value: "tutor" }, t("tutor"))),
        h("button", { class: "primary" }, t("signInGo")));

    form.addEventListener("submit", async (e) => {
        e.preventDefault();
        begin(await mint(secret, Object.fromEntries(new FormData(form))));
    });

    return h("details", {}, h("summary", {}, t("signInOther")), form);
}


export async function signIn(box, looks, begin) {
    const dev = await people();

    if (!dev) {
        box.append(h("p", {}, t("signInNone")));
    } else {
        sessionStorage.setItem(DEV, "1");
        box.append(
            h("p", {}, t("signInLead")),
            h("ul", { class: "signin-people" }, dev.people.map((p) =>
                h("li", {}, h("button", {
                    type: "button", class: "person",
                    onclick: () => begin(p.token) },
                    avatar(p.id, p.name),
                    h("span", { class: "person-name" },
                      t("signInAs", { name: p.name })), " ",
                    h("span", { class: "muted" }, t(p.role)))))));

        // a secret can be used where the browser has the means: on https
        // and on this machine
        if (crypto.subtle) {
            box.append(someoneElse(dev.secret, begin));
        }

        box.append(h("p", { class: "muted" }, t("signInHint")));
    }

    box.append(h("div", { class: "signin-looks" },
        iconButton("lang", t("language"), () => looks.nextLanguage()),
        iconButton("theme", t("theme"), () => looks.nextTheme())));
}


/* Who can be written to, where one signed in with that page. */
export async function knownPeople() {
    return sessionStorage.getItem(DEV)
        ? (await people())?.people ?? [] : [];
}
