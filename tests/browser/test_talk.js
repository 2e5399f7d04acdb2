/* test_talk.js: what people do with messages besides sending them. */

import assert from "node:assert/strict";

import { until } from "./stack.js";

const BUDI = "Dr. Budi Santoso";
const ANI = "Ani Lestari";
const CITRA = "Citra Dewi";


export const tests = {
    "replies, reactions, edits, deletions": async (world) => {
        const ani = await world.person(ANI);
        const citra = await world.person(CITRA);

        await ani.startWith(CITRA);
        await ani.say("Bab tiga sudah saya kirim.");
        await citra.open(ANI);
        await citra.sees("Bab tiga");

        await citra.act("Bab tiga", "Reply");
        await citra.page.getByText("Reply to " + ANI).waitFor();
        await citra.say("Terima kasih!");
        await ani.message("Terima kasih!").getByRole("button", {
            name: "Bab tiga sudah saya kirim." }).waitFor();

        // one's own reaction is pressed, and goes with another click
        await ani.act("Terima kasih!", "React with ❤️");
        await citra.message("Terima kasih!").getByRole("button", {
            name: "❤️ by " + ANI, pressed: false }).click();
        const both = ani.message("Terima kasih!").getByRole("button", {
            name: /❤️ 2 by .*, / });
        await both.waitFor();
        await both.click();
        await ani.message("Terima kasih!").getByRole("button", {
            name: "❤️ by " + CITRA, pressed: false,
            exact: true }).waitFor();

        // the quotation follows what is quoted
        await ani.act("Bab tiga sudah saya kirim.", "Edit");
        await until(async () => await ani.field.inputValue()
                                === "Bab tiga sudah saya kirim.",
                    "the text to be in the field");
        await ani.say("Bab empat sudah saya kirim.");
        await citra.message("Bab empat").getByText("edited").waitFor();
        await citra.message("Terima kasih!").getByRole("button", {
            name: "Bab empat" }).waitFor();
        await citra.act("edited", "What it said before");
        await citra.page.getByRole("dialog").getByText("Bab tiga").waitFor();
        await citra.page.keyboard.press("Escape");
        await world.shot(citra, "talk");

        await citra.act("Terima kasih!", "Delete");
        await citra.page.getByRole("dialog").getByRole("button", {
            name: "Delete" }).click();
        await ani.sees("This message was deleted.");
        await ani.gone("Terima kasih!");
    },

    "what is being edited is deleted meanwhile": async (world) => {
        const ani = await world.person(ANI);
        const budi = await world.person(BUDI);
        const bar = ani.page.getByText("Edit the message");

        await ani.startWith(BUDI);
        await ani.say("Bab satu");
        await ani.say("Bab dua");
        await budi.open(ANI);
        await budi.sees("Bab dua");

        for (const [text, written, left] of [
                ["Bab satu", "Bab satu, lengkap", "Bab satu, lengkap"],
                ["Bab dua", null, "Bab satu, lengkap"]]) {
            await ani.act(text, "Edit");
            await bar.waitFor();
            if (written) {
                await ani.field.fill(written);
            }
            await budi.act(text, "Delete");
            await budi.page.getByRole("dialog").getByRole("button", {
                name: "Delete" }).click();
            await bar.waitFor({ state: "hidden" });
            assert.equal(await ani.field.inputValue(), left);
        }

        await ani.field.press("Enter");
        await budi.sees("Bab satu, lengkap");
    },

    "emoji, stickers and keys alone": async (world) => {
        const ani = await world.person(ANI);
        const citra = await world.person(CITRA);
        const keys = ani.page.keyboard;

        await ani.startWith(CITRA);
        await ani.page.getByRole("button", { name: "Stickers" }).click();
        await ani.page.getByRole("menuitem", { name: "Hello!" }).click();
        await citra.open(ANI);

        const sticker = citra.page.getByRole("img", { name: "Hello!" });

        await sticker.last().waitFor();
        await until(() => sticker.last().evaluate((i) => i.naturalWidth > 0),
                    "the sticker's picture");

        // from the field to the last message and its menu, no mouse
        await ani.say("Papan tombol");
        await ani.sees("Papan tombol");
        await ani.page.getByRole("button", { name: "Emoji" }).press("Enter");
        await ani.page.getByRole("menu").waitFor();
        await keys.press("ArrowRight");
        await keys.press("Enter");
        await until(async () => await ani.field.inputValue() === "😄",
                    "the emoji to be written");
        await keys.press("Enter");
        await citra.sees("😄");
        await ani.message("😄").last().focus();
        await keys.press("ArrowUp");
        await until(async () => /Papan tombol/.test(await ani.page.evaluate(
            () => document.activeElement.textContent)), "the focus up");
        await keys.press("Enter");
        await ani.page.getByRole("menu").waitFor();
        await keys.press("Escape");
        await until(async () => /Papan tombol/.test(await ani.page.evaluate(
            () => document.activeElement.textContent)), "the focus back");
    },

    "searching, and going there": async (world) => {
        const ani = await world.person(ANI);
        const { ani: token } = await world.stack.tokens();
        const { conversation } = await world.stack.rest(
            token, "POST", "/api/conversations",
            { type: "group", title: "Perpustakaan",
              participantIds: ["citra"] });
        const path = `/api/conversations/${conversation.id}/messages`;

        for (let i = 0; i < 120; i++) {
            await world.stack.rest(token, "POST", path, {
                type: "text", content: {
                    text: i === 3 ? "kutipan <i>langka</i> & lain"
                                  : "baris " + i } });
        }

        await ani.search("langka");

        const hit = ani.page.getByRole("link", { name: "langka" });

        await hit.waitFor();
        assert.equal(await hit.locator("mark").textContent(), "langka");
        assert.match(await hit.textContent(), /<i>langka<\/i> & lain/);
        await hit.click();
        await ani.page.locator("li.message:focus").filter({
            hasText: "langka" }).waitFor();
        assert.equal((await ani.texts()).at(-1), "baris 119");
        assert.equal((await ani.texts()).length, 120);
        await ani.page.getByRole("button", { name: "Older messages" })
            .waitFor({ state: "hidden" });
        await world.shot(ani, "search");

        // the same where all of it has to be fetched
        await ani.page.goto(ani.line.url);
        await ani.search("langka");
        await hit.click();
        await ani.page.locator("li.message:focus").filter({
            hasText: "langka" }).waitFor();
        assert.equal((await ani.texts()).length, 120);

        await ani.search("tidak-ada-kata-ini");
        await ani.page.getByText("Nothing found.").waitFor();

        // what holds no word is no mistake of the program's
        await ani.search("😀 ?!");
        await ani.page.getByText("Write a word to search for").waitFor();
    },

    "presence, and looking offline": async (world) => {
        const ani = await world.person(ANI);
        const citra = await world.person(CITRA);
        const menu = citra.page.getByRole("button", {
            name: "status and settings" });

        await ani.startWith(CITRA);
        await ani.room(CITRA).getByRole("img", { name: "online" }).waitFor();
        await menu.click();
        await citra.page.getByRole("menuitemradio", { name: "busy" }).click();
        await ani.room(CITRA).getByRole("img", { name: "busy" }).waitFor();
        await menu.click();
        await citra.page.getByRole("menuitemradio", {
            name: "busy", checked: true }).waitFor();
        await citra.page.getByRole("menuitemradio", { name: "invisible" })
            .click();
        await ani.room(CITRA).getByRole("img", { name: "offline" })
            .waitFor();
        await menu.click();
        await citra.page.getByRole("menuitemradio", { name: "online" })
            .click();
        await ani.room(CITRA).getByRole("img", { name: "online" }).waitFor();
    },
};
