/* test_consult.js: a consultation, from its confirmation to its summary. */

import assert from "node:assert/strict";

const BUDI = "Dr. Budi Santoso";
const CITRA = "Citra Dewi";


export const tests = {
    "a consultation": async (world) => {
        const budi = await world.person(BUDI);
        const citra = await world.person(CITRA);
        const p = budi.page;
        const banner = (who) => who.page.getByRole("region", {
            name: "Consultation" });

        await p.getByRole("button", { name: "New conversation" }).click();
        await p.getByRole("checkbox", { name: CITRA }).check();
        await p.getByRole("checkbox", { name: "Consultation" }).check();
        await p.getByLabel("Topic").fill("Bab 3: metode");
        await p.getByLabel("Course").fill("Skripsi");
        await p.getByLabel("When").fill("2030-01-15T09:30");
        await p.getByLabel("Agenda").fill("Sampel\nKuesioner");
        await p.getByRole("button", { name: "Start" }).click();
        await banner(budi).getByText("Confirmed").waitFor();

        await citra.open("Bab 3: metode");
        await banner(citra).getByText("Skripsi").waitFor();
        await banner(citra).getByText("Agenda").click();
        await banner(citra).getByText("Kuesioner").waitFor();
        assert.match(await banner(citra).textContent(), /2030/);

        // only who leads it may begin it; both are told
        assert.equal(await banner(citra).getByRole("button").count(), 0);
        await banner(budi).getByRole("button", { name: "Start" }).click();

        for (const who of [budi, citra]) {
            await banner(who).getByText("Under way").waitFor();
            await who.page.locator("li.system").filter({
                hasText: "The consultation has begun." }).waitFor();
        }

        await citra.say("Berapa responden untuk kuesioner, Pak?");
        await budi.sees("Berapa responden");
        await budi.say("Kuesioner perlu 150 responden. "
                       + "Tolong kirim kuesioner besok.");
        await citra.sees("150 responden");
        await citra.say("Apakah perlu uji coba?");
        await budi.sees("uji coba");
        await world.shot(citra, "consultation");
        await world.accessible(citra, "consultation");

        await banner(budi).getByRole("button", { name: "End" }).click();
        await banner(citra).getByText("Ended").waitFor();
        await banner(citra).getByRole("button", { name: "Summary" }).click();

        const summary = citra.page.getByRole("dialog");

        await summary.getByText("3 messages").waitFor();
        await summary.getByText("Tolong kirim kuesioner besok").waitFor();
        await summary.getByText("Apakah perlu uji coba?").waitFor();
        await world.shot(citra, "summary");
        await world.accessible(citra, "summary", "dialog");
        await citra.page.emulateMedia({ colorScheme: "dark" });
        await world.accessible(citra, "dark summary", "dialog");
        await summary.getByRole("radio", { name: "4 of 5" }).check();
        await summary.getByRole("button", { name: "Send the rating" })
            .click();
        await summary.getByRole("status").getByText("4 of 5").waitFor();
        await citra.page.keyboard.press("Escape");

        // it is kept
        await citra.page.reload();
        await banner(citra).getByRole("button", { name: "Summary" }).click();
        await summary.getByText("4 of 5").waitFor();
    },
};
