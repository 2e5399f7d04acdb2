/* test_looks.js: for everybody: screen readers, two languages, light and dark,
 * phone and desktop. */

import assert from "node:assert/strict";

import { Person } from "./person.js";
import { until } from "./stack.js";

const BUDI = "Dr. Budi Santoso";
const ANI = "Ani Lestari";
const CITRA = "Citra Dewi";

const PHONE = { viewport: { width: 390, height: 780 }, hasTouch: true,
                isMobile: true };


/* A conversation with something of everything in it. */
async function full(ani, budi) {
    await ani.startWith(BUDI);
    await ani.say("Selamat pagi, Pak. Ini draf saya: https://example.org/a?b");
    await budi.open(ANI);
    await budi.act("draf saya", "React with 👍");
    await budi.act("draf saya", "Reply");
    await budi.say("Bagus. Bagian metode masih perlu diperbaiki, ya.");
    await ani.sees("Bagian metode");
    await ani.say("ups");
    await ani.act("ups", "Delete");
    await ani.page.getByRole("dialog").getByRole("button", {
        name: "Delete" }).click();
    await budi.sees("This message was deleted.");
    await ani.page.getByRole("button", { name: "Stickers" }).click();
    await ani.page.getByRole("menuitem", { name: "Thank" }).first().click();
    await budi.page.locator("img.sticker").last().waitFor();
    await until(() => ani.page.locator(".scroller").evaluate(
        (s) => s.scrollHeight - s.scrollTop - s.clientHeight < 2),
                "the end to be in sight");
}


export const tests = {
    "axe finds nothing serious": async (world) => {
        const ani = await world.person(ANI);
        const budi = await world.person(BUDI);

        await full(ani, budi);

        for (const scheme of ["light", "dark"]) {
            await ani.page.emulateMedia({ colorScheme: scheme });
            await world.accessible(ani, scheme + " conversation");
            await world.shot(ani, scheme);

            await ani.page.getByRole("button", {
                name: "status and settings" }).click();
            await world.accessible(ani, scheme + " settings",
                             ".popup");
            await ani.page.keyboard.press("Escape");

            const li = ani.message("Bagian metode");

            await li.hover();
            await li.getByRole("button", { name: "What to do" }).click();
            await world.accessible(ani, scheme + " actions",
                             ".popup");
            await ani.page.keyboard.press("Escape");

            for (const name of ["Emoji", "Stickers"]) {
                await ani.page.getByRole("button", { name }).click();
                await ani.page.getByRole("menu").waitFor();
                await world.accessible(ani, scheme + " " + name,
                                 ".popup");
                await ani.page.keyboard.press("Escape");
            }

            for (const name of ["New conversation", "About this"]) {
                await ani.page.getByRole("button", { name }).click();
                await ani.page.getByRole("dialog").waitFor();
                await world.accessible(ani, scheme + " " + name, "dialog");
                await ani.page.keyboard.press("Escape");
            }

            await ani.search("metode");
            await ani.page.locator("mark").first().waitFor();
            await world.accessible(ani, scheme + " search",
                             ".side");
            await ani.search("");
            await ani.page.getByText("message found")
                .waitFor({ state: "hidden" });
        }

        ani.line.cut();
        await ani.banner(true);
        await world.accessible(ani, "without connection");
    },

    "the sign-in page, and nobody": async (world) => {
        const p = await Person.at(world.browser, world.stack, "nobody");

        world.people.push(p);

        for (const scheme of ["light", "dark"]) {
            await p.page.emulateMedia({ colorScheme: scheme });
            await p.page.goto(p.line.url);
            await p.page.getByRole("button", { name: "Continue as " + ANI })
                .waitFor();
            await world.accessible(p, scheme + " sign-in");
            await world.shot(p, "signin-" + scheme);
        }

        // somebody of one's own making
        await p.page.getByText("Somebody else", { exact: true }).click();
        await p.page.getByLabel("Name").fill("Eka Putri");
        await p.page.getByLabel("Id").fill("eka_1");
        await p.page.getByRole("button", { name: "Continue", exact: true })
            .click();
        await p.page.getByRole("button", { name: "Eka Putri: status" })
            .waitFor();
        await p.page.getByText("No conversation yet").waitFor();

        // he is called by his name, though he never was here: a new person
        // that nobody knows is not
        await p.page.getByRole("button", { name: "New conversation" })
            .click();
        await p.page.getByLabel("Id of a person").fill("tidak_dikenal");
        await p.page.getByRole("checkbox", { name: CITRA }).check();
        await p.page.getByRole("button", { name: "Start" }).click();
        await p.page.getByRole("heading", { name: CITRA + ", tidak_dikenal" })
            .waitFor();

        // a token that is not good
        await p.page.goto(p.line.url + "/#token=a.eyJzdWIiOiJ4In0.c");
        await p.page.getByText("Your sign-in has expired").waitFor();
        assert.equal(await p.page.evaluate(() => location.hash), "");
        await p.page.getByRole("button", { name: "Sign in again" }).click();
        await p.page.getByRole("button", { name: "Continue as " + ANI })
            .waitFor();
    },

    "on the smallest phone": async (world) => {
        const ani = await world.person(ANI, {
            ...PHONE, viewport: { width: 320, height: 560 } });
        const budi = await world.person(BUDI);

        await ani.startWith(BUDI);
        await budi.open(ANI);
        await ani.page.locator(".head-sub").getByText("online").waitFor();
        await world.shot(ani, "smallest");

        // whose conversation it is can be read, and his status, in a line
        const size = await ani.page.evaluate(() => {
            const sub = document.querySelector(".head-sub");
            const range = document.createRange();

            range.selectNodeContents(sub);
            return { title: document.querySelector(".head-title").clientWidth,
                     lines: range.getClientRects().length };
        });

        assert.ok(size.title >= 60, `${size.title} px for the name`);
        assert.equal(size.lines, 1);
    },

    "on a phone": async (world) => {
        const ani = await world.person(ANI, PHONE);
        const { dian: token } = await world.stack.tokens();

        await world.stack.rest(token, "POST", "/api/conversations", {
            type: "group", title: "Bimbingan skripsi semester ganjil",
            participantIds: ["ani", "budi", "citra"] });

        await ani.room("Bimbingan skripsi").waitFor();
        await world.accessible(ani, "list on a phone");
        await world.shot(ani, "phone-list");
        assert.equal(await ani.page.locator(".main").isVisible(), false);

        await ani.open("Bimbingan skripsi");
        assert.equal(await ani.room("Bimbingan").isVisible(), false);

        for (const s of ["Halo semuanya", "Kapan kita bertemu?", "panjang "
                         .repeat(30) + "https://example.org/" + "x".repeat(90)])
        {
            await ani.field.fill(s);
            await ani.page.getByRole("button", { name: "Send" }).click();
        }

        await ani.sees("panjang");
        await world.accessible(ani, "conversation on a phone");
        await world.shot(ani, "phone-thread");

        // nothing sticks out
        assert.ok(await ani.page.evaluate(
            () => document.documentElement.scrollWidth <= innerWidth));

        await ani.page.getByRole("button", { name: "Search in this" })
            .click();
        await ani.search("bertemu");
        await ani.page.getByRole("link", { name: "bertemu" }).click();
        await ani.page.locator("li.message:focus").filter({
            hasText: "bertemu" }).waitFor();

        // what was found is still there, until one is done with it
        await ani.page.getByRole("link", { name: "Back to" }).click();
        await ani.page.getByRole("link", { name: "bertemu" }).waitFor();
        await ani.page.getByRole("searchbox").press("Escape");
        await ani.room("Bimbingan skripsi").waitFor();
        await ani.page.goBack();
        await ani.sees("Halo semuanya");
    },

    "in Indonesian": async (world) => {
        const p = await Person.at(world.browser, world.stack, CITRA,
                                  { locale: "id-ID",
                                    colorScheme: "dark" });

        world.people.push(p);
        await p.page.goto(p.line.url);
        await p.page.getByRole("button", { name: "Lanjut sebagai " + CITRA })
            .click();
        await p.page.getByRole("button", { name: "Percakapan baru" }).click();
        await p.page.getByRole("checkbox", { name: BUDI }).check();
        await p.page.getByRole("button", { name: "Mulai", exact: true })
            .click();
        await p.page.getByRole("textbox", { name: "Tulis pesan" })
            .fill("Selamat siang");
        await p.page.keyboard.press("Enter");
        await p.message("Selamat siang").getByRole("img", { name: "terkirim" })
            .waitFor();
        assert.equal(await p.page.evaluate(
            () => document.documentElement.lang), "id");
        await world.shot(p, "indonesian");

        // the other language, and it stays; and the other colours
        const menu = p.page.getByRole("button", { name: CITRA + ": status" });

        await menu.click();
        await p.page.getByRole("menuitem", { name: "English" }).click();
        await p.page.getByRole("textbox", { name: "Write a message" })
            .waitFor();
        await p.sees("Selamat siang");

        const paper = () => p.page.evaluate(
            () => getComputedStyle(document.body).backgroundColor);
        const dark = await paper();

        await menu.click();
        await p.page.getByRole("menuitem", { name: "Colours: as the" })
            .click();
        await until(async () => await paper() !== dark, "the light");
        await p.page.reload();
        await p.page.getByRole("textbox", { name: "Write a message" })
            .waitFor();
        assert.notEqual(await paper(), dark);
    },

    "every text is there in both languages": async (world) => {
        const p = await Person.at(world.browser, world.stack, "reader");

        world.people.push(p);
        await p.page.goto(p.line.url);

        const texts = await p.page.evaluate(async () => {
            const { en } = await import("/app/text-en.js");
            const { id } = await import("/app/text-id.js");

            return { en, id };
        });
        const holes = (s) => [...s.matchAll(/\{\w+\}/g)].map(String).sort();

        for (const [key, text] of Object.entries(texts.en)) {
            if (!key.endsWith("One")) {
                assert.ok(texts.id[key], "id: " + key);
                assert.deepEqual(holes(texts.id[key]), holes(text), key);
            }
        }

        for (const key of Object.keys(texts.id)) {
            assert.ok(texts.en[key], "en: " + key);
        }
    },
};
