/* test_chat.js: two people chat, each at a browser of his own. */

import assert from "node:assert/strict";

import { until } from "./stack.js";

const BUDI = "Dr. Budi Santoso";
const ANI = "Ani Lestari";


export const tests = {
    "two people chat": async (world) => {
        const ani = await world.person(ANI);
        const budi = await world.person(BUDI);

        await ani.startWith(BUDI);
        await ani.say("Selamat pagi, Pak.");
        await ani.sees("Selamat pagi, Pak.");

        // he is told, and it counts as received
        await budi.room(ANI).getByRole("img", { name: "1 unread message" })
            .waitFor();
        await ani.status("Selamat pagi, Pak.", "delivered");
        await until(async () => /^\(1\)/.test(await budi.page.title()),
                    "the title to count it");

        await budi.open(ANI);
        await budi.sees("Selamat pagi, Pak.");
        await ani.status("Selamat pagi, Pak.", "read");
        await until(async () => await budi.page.title() === "Writeen",
                    "nothing to be unread");

        // typing is seen while it lasts, and ends with the message
        await Promise.all([
            ani.page.getByText(BUDI + " is typing…").first().waitFor(),
            budi.field.pressSequentially("Pagi, Ani. <b>Bab 3?</b>")]);
        await budi.field.press("Enter");
        await ani.sees("Pagi, Ani. <b>Bab 3?</b>");
        await until(async () => await ani.page.getByText("is typing…")
            .count() === 0, "typing to end");

        for (let i = 0; i < 20; i++) {
            await ani.say("baris " + i);
        }

        const want = ["Selamat pagi, Pak.", "Pagi, Ani. <b>Bab 3?</b>",
                      ...Array.from({ length: 20 }, (_, i) => "baris " + i)];

        await budi.settled(want);
        await ani.settled(want);
        await world.shot(ani, "chat");

        // a page that is loaded anew has all of it
        await ani.page.reload();
        await ani.settled(want);
    },

    "a line is cut and mended": async (world) => {
        const ani = await world.person("Citra Dewi");
        const budi = await world.person(BUDI);

        await ani.startWith(BUDI);
        await ani.say("satu");
        await budi.open("Citra Dewi");
        await budi.sees("satu");

        ani.line.cut();
        await ani.banner(true);
        await ani.say("dua");
        await ani.status("dua", "sending");
        await ani.say("tiga");
        await budi.say("sementara itu");
        await budi.status("sementara itu", "sent");
        await world.shot(ani, "offline");

        ani.line.mend();

        // it may come back by itself just now, and take the button along
        await Promise.any([
            ani.page.getByRole("button", { name: "Try now" }).click(),
            ani.banner(false)]);
        await ani.banner(false);

        const want = ["satu", "sementara itu", "dua", "tiga"];

        await budi.settled(want);
        await ani.settled(want);
        await ani.status("tiga", "read");
    },

    "what waits outlives the page": async (world) => {
        const ani = await world.person("Dian Pratama, M.Si.");
        const budi = await world.person(BUDI);

        await ani.startWith(BUDI);
        await ani.say("pertama");
        await ani.status("pertama", "delivered");

        // the page is there, the chat is not
        await ani.page.route("**/ws?*", (route) => route.abort());
        ani.line.cut();
        await ani.banner(true);
        await ani.say("ditulis di kereta");
        ani.line.mend();
        await ani.page.reload();
        await budi.open("Dian Pratama, M.Si.");
        await budi.settled(["pertama", "ditulis di kereta"]);
        await ani.settled(["pertama", "ditulis di kereta"]);
    },

    "nginx reloads and dies meanwhile": async (world) => {
        const ani = await world.person(ANI);
        const budi = await world.person("Dian Pratama, M.Si.");
        const want = [];

        await ani.startWith("Dian Pratama, M.Si.");

        for (const [i, name] of ["SIGHUP", "SIGKILL"].entries()) {
            await ani.say(`sebelum ${i}`);
            await ani.status(`sebelum ${i}`, "delivered");
            world.stack.signal("nginx", name);
            await ani.say(`selama ${i}`);
            want.push(`sebelum ${i}`, `selama ${i}`);
            await ani.status(`selama ${i}`, "delivered");
        }

        await budi.open(ANI);
        await budi.settled(want);
        await ani.settled(want);
        await ani.status("selama 1", "read");
    },
};
