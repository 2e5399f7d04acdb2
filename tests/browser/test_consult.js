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
        assert.equal(await banner(citra).getByRole("button").count(), 0);
    },
};
