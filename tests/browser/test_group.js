/* test_group.js: a room's life: people come and go, it is archived. */

import assert from "node:assert/strict";

import { until } from "./stack.js";

const ANI = "Ani Lestari";
const CITRA = "Citra Dewi";
const DIAN = "Dian Pratama, M.Si.";


async function about(person) {
    await person.page.getByRole("button", { name: "About this" }).click();
    return person.page.getByRole("dialog");
}


function system(person, text) {
    return person.page.locator("li.system").filter({ hasText: text })
        .waitFor();
}


export const tests = {
    "a group": async (world) => {
        const ani = await world.person(ANI);
        const citra = await world.person(CITRA);
        const dian = await world.person(DIAN);
        const p = ani.page;

        await p.getByRole("button", { name: "New conversation" }).click();
        await p.getByRole("checkbox", { name: CITRA }).check();
        await p.getByLabel("Title").fill("Kelompok A");
        await p.getByRole("button", { name: "Start" }).click();
        await ani.say("Selamat datang");
        await citra.open("Kelompok A");
        await citra.sees("Selamat datang");

        // one more, who is told and sees what was said
        let dialog = await about(ani);

        await dialog.getByLabel("Add somebody").fill("dian");
        await dialog.getByRole("button", { name: "Add" }).click();
        await dian.open("Kelompok A");
        await dian.sees("Selamat datang");
        await system(citra, DIAN + " joined.");
        await dian.say("Halo!");
        await citra.message("Halo!").getByText(DIAN).waitFor();
        await until(async () => /3 people/.test(await citra.page.locator(
            ".head-sub").textContent()), "3 people");

        // who has read it
        await dian.act("Halo!", "Who has read it");
        dialog = dian.page.getByRole("dialog");
        await dialog.getByText(CITRA).getByText("read").waitFor();
        await dian.page.keyboard.press("Escape");

        // another title
        dialog = await about(ani);
        await dialog.getByRole("textbox", { name: "Title" })
            .fill("Kelompok B");
        await dialog.getByRole("button", { name: "Change the title" })
            .click();
        await citra.page.getByRole("heading", { name: "Kelompok B" })
            .waitFor();

        // out of it
        dialog = await about(dian);
        await dialog.getByRole("button", { name: "Leave" }).click();
        await dian.room("Kelompok B").waitFor({ state: "detached" });
        await system(citra, DIAN + " left.");

        // archived: nothing can be written, until it is opened again
        dialog = await about(ani);
        await dialog.getByRole("button", { name: "Archive" }).click();
        await citra.page.getByText("This conversation is archived.")
            .waitFor();
        await citra.field.waitFor({ state: "hidden" });
        await citra.page.getByText("Archived", { exact: true }).click();
        await citra.room("Kelompok B").waitFor();
        dialog = await about(ani);
        await dialog.getByRole("button", { name: "Open again" }).click();
        await citra.field.waitFor();
        await citra.say("Masih ada");
        await ani.sees("Masih ada");
    },

    "muted, by keys alone": async (world) => {
        const ani = await world.person(ANI);
        const citra = await world.person(CITRA);
        const keys = ani.page.keyboard;
        const button = (name) => ani.page.getByRole("button", {
            name, exact: true });
        const row = () => ani.room(CITRA).first();
        const says = (text) => until(async () => (await ani.page.locator(
            "#live").textContent()).startsWith(text), text);

        await ani.startWith(CITRA);
        await ani.say("Halo");
        await button("Mute this conversation").focus();
        await keys.press("Enter");
        await ani.page.getByRole("menu", { name: "Mute this conversation" })
            .waitFor();
        assert.equal(await ani.page.evaluate(
            () => document.activeElement.textContent), "For 8 hours");
        await world.accessible(ani, "mute", ".popup");

        // by none of them
        await keys.press("Escape");
        await ani.page.getByRole("menu").waitFor({ state: "detached" });
        await button("Mute this conversation").waitFor();

        await keys.press("Enter");
        await keys.press("ArrowDown");
        await keys.press("ArrowDown");
        await keys.press("Enter");
        await says("Muted:");
        await button("Unmute this conversation").waitFor();
        await row().getByRole("img", { name: "Muted" }).waitFor();
        await world.accessible(ani, "muted");
        await world.shot(ani, "muted");

        // the keys stay where they were, also when somebody types
        await citra.open(ANI);
        await Promise.all([
            ani.page.locator(".head-sub.typing").waitFor(),
            citra.field.pressSequentially("Hai")]);
        assert.equal(await ani.page.evaluate(
            () => document.activeElement.ariaLabel),
                     "Unmute this conversation");

        // it lasts, for her alone, and is not counted
        await ani.page.goto(ani.line.url + "/#/");
        await ani.page.reload();
        await row().getByRole("img", { name: "Muted" }).waitFor();

        const title = await ani.page.title();

        await citra.say("Hai juga");
        await row().getByText("Hai juga").waitFor();
        await row().getByRole("img", {
            name: "1 unread" }).waitFor();
        assert.equal(await ani.page.title(), title);
        assert.equal(await citra.page.getByRole("img", { name: "Muted" })
            .count(), 0);

        await row().click();
        await button("Unmute this conversation").click();
        await says("No longer muted.");
        await row().getByRole("img", { name: "Muted" })
            .waitFor({ state: "detached" });

        // for a while, in the other language
        await ani.page.getByRole("button", { name: "status and settings" })
            .click();
        await ani.page.getByRole("menuitem", { name: "Bahasa Indonesia" })
            .click();
        await button("Bisukan percakapan ini").click();
        await ani.page.getByRole("menuitem", { name: "Selama 8 jam" })
            .click();
        await button("Bunyikan lagi percakapan ini").waitFor();
        await row().getByRole("img", { name: "Dibisukan" })
            .waitFor();
        await button("Bunyikan lagi percakapan ini").click();
        await button("Bisukan percakapan ini").waitFor();
    },

    "somebody is blocked": async (world) => {
        const ani = await world.person(ANI);
        const dian = await world.person(DIAN);

        await dian.startWith(ANI);
        await dian.say("Halo");
        await ani.open(DIAN);
        await ani.sees("Halo");

        let dialog = await about(ani);

        await dialog.getByRole("button", { name: "Block" }).click();
        await dian.page.getByText("you were blocked").waitFor();
        await dian.field.waitFor({ state: "hidden" });
        dialog = await about(ani);
        await dialog.getByRole("button", { name: "Unblock" }).click();
        await dian.say("Halo lagi");
        await ani.sees("Halo lagi");
    },
};
