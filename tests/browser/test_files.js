/* test_files.js: files go up, are checked, seen and had. */

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { until } from "./stack.js";

const FILES = path.resolve(path.dirname(fileURLToPath(import.meta.url)),
                           "../unit/files");
const ANI = "Ani Lestari";
const DIAN = "Dian Pratama, M.Si.";

/* In two pieces, so that no scanner finds it here. */
const EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS"
              + "-TEST-FILE!$H+H*";


function sample(name) { return path.join(FILES, name); }


async function attach(person, ...files) {
    await person.page.locator('input[type="file"]').setInputFiles(files);
}


/* What a mouse does that drops a file. */
async function drop(person, name, text) {
    const data = await person.page.evaluateHandle(([n, s]) => {
        const d = new DataTransfer();

        d.items.add(new File([s], n, { type: "text/plain" }));
        return d;
    }, [name, text]);
    const there = person.page.locator(".thread");

    await there.dispatchEvent("dragover", { dataTransfer: data });
    await person.page.locator(".dropping").waitFor();
    await there.dispatchEvent("drop", { dataTransfer: data });
}


async function loaded(img) {
    await img.waitFor();
    await until(() => img.evaluate((i) => i.complete && i.naturalWidth > 0),
                "the picture");
}


export const tests = {
    "a picture and a document": async (world) => {
        const ani = await world.person(ANI);
        const dian = await world.person(DIAN);

        await ani.startWith(DIAN);
        await attach(ani, sample("house.jpg"), sample("paper.pdf"));
        await dian.open(ANI);

        for (const p of [ani, dian]) {
            await p.message("house.jpg").getByRole("button", {
                name: "Show house.jpg" }).waitFor();
            await loaded(p.message("house.jpg").locator("img.thumb"));
            await p.message("paper.pdf").getByText("checked for viruses")
                .waitFor();
        }

        await loaded(dian.message("paper.pdf").locator("img.thumb"));
        await world.shot(dian, "files");

        await dian.page.getByRole("button", { name: "Show house.jpg" })
            .click();
        await loaded(dian.page.getByRole("dialog").locator("img.preview"));
        await world.shot(dian, "preview");
        await dian.page.keyboard.press("Escape");

        await dian.page.getByRole("button", { name: "Show paper.pdf" })
            .click();
        await dian.page.getByRole("dialog").getByText("The first page")
            .waitFor();
        await loaded(dian.page.getByRole("dialog").locator("img.preview"));

        const [got] = await Promise.all([
            dian.page.waitForEvent("download"),
            dian.page.getByRole("dialog").getByRole("button", {
                name: "Download" }).click()]);

        assert.equal(got.suggestedFilename(), "paper.pdf");
        assert.deepEqual(fs.readFileSync(await got.path()),
                         fs.readFileSync(sample("paper.pdf")));
    },

    "what is refused says why": async (world) => {
        const ani = await world.person(ANI);

        await ani.startWith(DIAN);
        await drop(ani, "virus.txt", EICAR);
        await ani.page.getByText("infected and was not kept").waitFor();
        await drop(ani, "program.exe", "MZ");
        await ani.page.getByText("This kind of file is not allowed")
            .waitFor();
        await drop(ani, "kosong.txt", "");
        await ani.page.getByText("The file is empty.").waitFor();
        await world.shot(ani, "refused");

        // none of them would end otherwise
        assert.equal(await ani.page.getByRole("button", {
            name: "Try again" }).count(), 0);
        await ani.page.getByRole("button", { name: "Cancel virus.txt" })
            .click();
        await ani.page.getByRole("button", { name: "Cancel program.exe" })
            .click();
        await ani.page.getByRole("button", { name: "Cancel kosong.txt" })
            .click();
        await until(async () => await ani.page.locator(".upload").count()
                                === 0, "the uploads to be gone");
    },

    "a file that takes its time": async (world) => {
        const ani = await world.person(ANI);
        const dian = await world.person(DIAN);

        await ani.startWith(DIAN);
        await dian.open(ANI);
        world.stack.signalRole("files", "SIGSTOP");

        try {
            const answered = ani.page.waitForResponse(
                (r) => r.url().endsWith("/upload") && r.status() === 202);

            await drop(ani, "lambat.txt", "Bab dua.\n");
            await ani.page.getByText("being checked for viruses").waitFor();

            // chat goes on meanwhile
            await ani.say("sebentar ya");
            await dian.sees("sebentar ya");
            await answered;
            assert.equal(await dian.message("lambat.txt").count(), 0);
        } finally {
            world.stack.signalRole("files", "SIGCONT");
        }

        await dian.message("lambat.txt").waitFor();
        await until(async () => await ani.page.locator(".upload").count()
                                === 0, "the upload to be a message");
        assert.equal(await ani.message("lambat.txt").count(), 1);
    },

    "an upload waits for the connection": async (world) => {
        const ani = await world.person(ANI);
        const dian = await world.person(DIAN);

        await ani.startWith(DIAN);
        await dian.open(ANI);
        ani.line.cut();
        await ani.banner(true);
        await drop(ani, "catatan.txt", "Bab satu.\n");
        await ani.page.getByText("waits for the connection").waitFor();
        ani.line.mend();
        await dian.message("catatan.txt").waitFor();
        await ani.banner(false);
        await until(async () => await ani.page.locator(".upload").count()
                                === 0, "the upload to be a message");
        assert.equal(await ani.message("catatan.txt").count(), 1);
        assert.equal(await dian.message("catatan.txt").count(), 1);
    },
};
