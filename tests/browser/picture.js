/*
 * picture.js: makes docs/client.png, the picture of the client in README.md:
 * node tests/browser/picture.js (with fonts-noto-color-emoji installed).
 */

import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { Person } from "./person.js";
import { Stack } from "./stack.js";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)),
                          "../..");
const DEPS = path.resolve(process.env.BROWSER_DEPS
                          ?? path.join(ROOT, "build/deps/browser"));
const { chromium } = createRequire(DEPS + "/")("playwright-core");

const ANI = "Ani Lestari";
const BUDI = "Dr. Budi Santoso";
const CITRA = "Citra Dewi";
const DIAN = "Dian Pratama, M.Si.";


async function group(by, title, ...names) {
    const p = by.page;

    await p.getByRole("button", { name: "New conversation" }).click();
    for (const name of names) {
        await p.getByRole("checkbox", { name }).check();
    }
    await p.getByLabel("Title").fill(title);
    await p.getByRole("button", { name: "Start" }).click();
    await by.field.waitFor();
}


/* What else is in the list. */
async function others(ani, citra, dian) {
    await group(dian, "Statistika, kelas B", ANI, CITRA);
    await dian.say("Materi minggu ini sudah saya unggah.");
    await ani.open("Statistika");
    await ani.sees("Materi");
    await ani.say("Terima kasih, Bu!");
    await ani.page.getByRole("button", { name: "Mute" }).click();
    await ani.page.getByRole("menuitem").last().click();
    await dian.startWith(ANI);
    await dian.say("Revisi babmu sudah bagus.");
    await ani.room("Revisi").click();
    await ani.sees("Revisi");
    await citra.startWith(ANI);
    await citra.say("Besok jadi belajar bersama?");
    await citra.say("Di perpustakaan, jam 10.");
}


async function talk(ani, budi) {
    const p = budi.page;

    await p.getByRole("button", { name: "New conversation" }).click();
    await p.getByRole("checkbox", { name: ANI }).check();
    await p.getByRole("checkbox", { name: "Consultation" }).check();
    await p.getByLabel("Topic").fill("Bab 3: metode penelitian");
    await p.getByLabel("Course").fill("Skripsi");
    await p.getByRole("button", { name: "Start" }).click();
    await ani.open("Bab 3");
    await p.getByRole("region", { name: "Consultation" })
        .getByRole("button", { name: "Start" }).click();

    await ani.say("Selamat pagi, Pak. Ini draf bab 3 saya.");
    await budi.sees("Selamat pagi");
    await ani.page.locator('input[type="file"]').setInputFiles(
        path.join(ROOT, "tests/unit/files/paper.pdf"));
    await budi.message("paper.pdf").locator("img.thumb").waitFor();
    await budi.act("Selamat pagi", "React with 👍");
    await budi.act("paper.pdf", "Reply");
    await budi.say("Terima kasih. Sampelnya berapa responden? "
                   + "Tolong kirim kuesionernya besok.");
    await ani.sees("Sampelnya");
    await ani.say("150 responden, Pak. Saya kirim besok pagi.");
    await budi.sees("150 responden");
    await budi.act("150 responden", "React with 🙏");
    await ani.status("150 responden", "read");
    await budi.say("Baik. Sampai jumpa hari Kamis!");
    await ani.act("Sampai jumpa", "React with ❤️");
    await ani.page.getByRole("button", { name: "Stickers" }).click();
    await ani.page.getByRole("menuitem", { name: "Thank" }).first().click();
    await budi.page.locator("img.sticker").last().waitFor();
    await ani.field.fill("");
    await budi.field.pressSequentially("Oh ya, ");
    await ani.page.locator(".head-sub.typing").waitFor();
}


async function main(stack, browser) {
    const people = [];

    for (const name of [ANI, BUDI, CITRA, DIAN]) {
        const person = await Person.at(browser, stack, name, {
            viewport: { width: 1180, height: 840 },
            timezoneId: "Asia/Jakarta" });

        await person.signIn();
        people.push(person);
    }

    const [ani, budi, citra, dian] = people;

    await others(ani, citra, dian);
    await talk(ani, budi);
    await ani.page.evaluate(() => document.activeElement.blur());
    await ani.page.locator(".head-sub.typing").waitFor();
    await ani.page.screenshot({ path: path.join(ROOT, "docs/client.png") });
}


const stack = await new Stack().start();
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu"] });

try {
    await main(stack, browser);
} finally {
    await browser.close();
    await stack.stop();
}

process.exit(0);
