/* i18n.js: the words, in English and Indonesian; times as people write them. */

import { en } from "./text-en.js";
import { id } from "./text-id.js";

const ALL = { en, id };

export const LANGUAGES = Object.keys(ALL);

let now = "en";
let words = en;


/* What was chosen, else what the browser speaks. */
export function setLanguage(choice) {
    now = ALL[choice] ? choice
        : navigator.languages.map((l) => l.slice(0, 2))
                             .find((l) => ALL[l]) ?? "en";
    words = ALL[now];
    document.documentElement.lang = now;
}


export function language() { return now; }


/* t("members", { n: 3 }): {n} in the text is filled in; with n being 1, a
 * text of the name plus "One" is taken if there is one. */
export function t(key, values = {}) {
    const text = (values.n === 1 && words[key + "One"]) || words[key];

    if (text === undefined) {
        throw new Error("no text for " + key);
    }

    return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}


/* The text of an error, by its code; what the server says, when there is
 * none. */
export function errorText(error) {
    return words["error_" + error.code] ?? error.message;
}


/* As they are written where the browser's user is, if he speaks that
 * language. */
function format(options) {
    const locale = navigator.languages.find((l) => l.slice(0, 2) === now);

    return new Intl.DateTimeFormat(locale ?? now, options);
}


export function timeOfDay(time) {
    return format({ hour: "2-digit", minute: "2-digit" })
        .format(new Date(time));
}


function dayNumber(date) {
    return Math.floor((date.getTime() - date.getTimezoneOffset() * 60000)
                      / 86400000);
}


export function day(time) {
    const date = new Date(time);
    const ago = dayNumber(new Date()) - dayNumber(date);

    if (ago === 0) {
        return t("today");
    }

    if (ago === 1) {
        return t("yesterday");
    }

    return format(ago < 7 && ago > 0
        ? { weekday: "long" }
        : { day: "numeric", month: "long", year: "numeric" }).format(date);
}


/* As short as a list wants it. */
export function when(time) {
    const date = new Date(time);
    const ago = dayNumber(new Date()) - dayNumber(date);

    if (ago === 0) {
        return timeOfDay(time);
    }

    return ago === 1 ? t("yesterday")
        : format({ day: "numeric", month: "short" }).format(date);
}


export function dateAndTime(time) {
    return format({ dateStyle: "medium", timeStyle: "short" })
        .format(new Date(time));
}


/* A day without a time: 2026-11-24. */
export function date(day) {
    return format({ dateStyle: "medium", timeZone: "UTC" })
        .format(new Date(day));
}


export function size(bytes) {
    const units = ["B", "KB", "MB", "GB"];
    let n = bytes, i = 0;

    while (n >= 1000 && i < units.length - 1) {
        n /= 1000;
        i++;
    }

    return new Intl.NumberFormat(now, { maximumFractionDigits: n < 10 && i
        ? 1 : 0 }).format(n) + " " + units[i];
}
