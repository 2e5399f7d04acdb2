/*
 * run.js [name...]: the tests of the browser client, in a real Chromium, with
 * everything that `make run` starts behind it.
 *
 * Each test_*.js exports tests: { name: async (world) => {} }.  They run one
 * after the other on one stack and in one browser, each with people of its
 * own.  A test also fails when a page reports an error of its own (a
 * violation of the content security policy is one).  Screenshots are in
 * build/browser/, those of a failed test with its name.
 */

import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { Person } from "./person.js";
import { PATIENCE, Stack } from "./stack.js";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, "../..");
const DEPS = path.resolve(process.env.BROWSER_DEPS
                          ?? path.join(ROOT, "build/deps/browser"));
const RESULTS = process.env.TEST_RESULTS
                ?? path.join(ROOT, "build/test-results");
const SHOTS = path.join(ROOT, "build/browser");
const TEST_MS = Number(process.env.BROWSER_TEST_MS ?? 120000 * PATIENCE);

const require = createRequire(DEPS + "/");
const { chromium } = require("playwright-core");


class World {
    constructor(browser, stack, name) {
        this.browser = browser;
        this.stack = stack;
        this.name = name;
        this.people = [];
        this.axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"),
                                   "utf8");
    }

    /* One of the people of the sign-in page, signed in. */
    async person(name, options) {
        const p = await Person.at(this.browser, this.stack, name, options);

        this.people.push(p);
        await p.signIn();
        return p;
    }

    async shot(person, name) {
        await person.page.screenshot({ path: path.join(SHOTS,
                                                       name + ".png") });
    }

    /* What axe finds that is serious, in all of the page or a part of it. */
    async accessible({ page }, what, part = "html") {
        if (!await page.evaluate(() => Boolean(globalThis.axe))) {
            await page.evaluate(this.axe);
        }

        const found = await page.evaluate(
            (where) => globalThis.axe.run(where, {
                resultTypes: ["violations"] }), part);
        const bad = found.violations
            .filter((v) => ["serious", "critical"].includes(v.impact))
            .map((v) => `${what}: ${v.id}: ${v.help}\n`
                + v.nodes.slice(0, 3).map((n) => `  ${n.html.slice(0, 200)}\n`
                                                 + `  ${n.failureSummary}`)
                    .join("\n"));

        assert.ok(found.passes.length > 3, what + ": axe saw nothing");
        assert.equal(bad.join("\n"), "");
    }

    async end(failed) {
        const problems = [];

        for (const [i, p] of this.people.entries()) {
            if (failed) {
                await this.shot(p, `failed-${this.name}-${i}`)
                    .catch(() => {});
            }

            problems.push(...p.problems.map((s) => `${p.name}: ${s}`));
            await p.leave();
        }

        return problems;
    }
}


async function run(browser, stack, name, test) {
    const world = new World(browser, stack, name.replace(/\W+/g, "-"));
    const begin = Date.now();
    let error = null, timer;

    const limit = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error("took too long")), TEST_MS);
    });

    try {
        await Promise.race([test(world), limit]);
    } catch (e) {
        error = e;
    }

    clearTimeout(timer);

    const problems = await world.end(error !== null);

    if (!error && problems.length) {
        error = new Error("the page reported:\n" + problems.join("\n"));
    }

    console.log(`${error ? "not ok" : "ok"}: ${name} `
                + `(${((Date.now() - begin) / 1000).toFixed(1)} s)`);

    if (error) {
        console.log(`  ${error.stack}\n${problems.join("\n")}`);
    }

    return error === null;
}


async function main() {
    const files = fs.readdirSync(HERE).filter((f) => /^test_.*\.js$/.test(f));
    const wanted = process.argv.slice(2);
    const tests = [];

    for (const f of files.sort()) {
        const { tests: some } = await import(
            pathToFileURL(path.join(HERE, f)));

        tests.push(...Object.entries(some).filter(
            ([name]) => !wanted.length
                        || wanted.some((w) => name.includes(w))));
    }

    fs.rmSync(SHOTS, { recursive: true, force: true });
    fs.mkdirSync(SHOTS, { recursive: true });
    fs.mkdirSync(RESULTS, { recursive: true });

    const stack = await new Stack().start();
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        args: ["--headless", "--no-sandbox", "--disable-gpu",
               "--disable-quic", "--no-first-run",
               "--disable-background-networking",
               "--disable-component-update", "--disable-sync"] });
    let passed = 0;

    for (const [name, test] of tests) {
        passed += await run(browser, stack, name, test);
    }

    await browser.close();
    await stack.stop();

    const failed = tests.length - passed;

    fs.writeFileSync(path.join(RESULTS, "browser.txt"),
                     `passed=${passed} failed=${failed}\n`);
    console.log(`browser: ${passed} passed, ${failed} failed`);
    process.exit(failed || !passed ? 1 : 0);
}


await main();
