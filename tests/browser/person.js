/*
 * person.js: somebody at a browser of his own, and what he does there, by the
 * names and roles that a screen reader has.
 */

import { Line, PATIENCE, until } from "./stack.js";

/* What a browser says by itself when a server is away. */
const NETWORK = /Failed to load resource|WebSocket connection to/;


export class Person {
    constructor(page, line, name) {
        this.page = page;
        this.line = line;
        this.name = name;
        this.problems = [];

        page.on("pageerror", (e) => this.problems.push(String(e.stack)));
        page.on("console", (m) => {
            if (["error", "warning"].includes(m.type())
                && !NETWORK.test(m.text()))
            {
                this.problems.push(m.text());
            }
        });
    }

    static async at(browser, stack, name, options = {}) {
        const line = await new Line(stack).open();
        const context = await browser.newContext({
            locale: "en-GB", viewport: { width: 1200, height: 760 },
            ...options });
        const page = await context.newPage();

        page.setDefaultTimeout(30000 * PATIENCE);
        return new Person(page, line, name);
    }

    async signIn() {
        await this.page.goto(this.line.url);
        await this.page.getByRole("button", {
            name: "Continue as " + this.name }).click();
        await this.listed();
    }

    async listed() {
        await this.page.getByRole("navigation").waitFor();
    }

    async startWith(...names) {
        const p = this.page;

        await p.getByRole("button", { name: "New conversation" }).click();

        for (const name of names) {
            await p.getByRole("checkbox", { name }).check();
        }

        await p.getByRole("button", { name: "Start" }).click();
        await this.field.waitFor();
    }

    room(title) {
        return this.page.getByRole("navigation")
            .getByRole("link", { name: title });
    }

    async open(title) {
        await this.room(title).click();
        await this.page.getByRole("heading", { name: title }).waitFor();
    }

    get field() {
        return this.page.getByRole("textbox", { name: "Write a message" });
    }

    async say(text) {
        await this.field.fill(text);
        await this.field.press("Enter");
    }

    message(text) {
        return this.page.locator("li.message").filter({ hasText: text });
    }

    async sees(text) {
        await this.message(text).first().waitFor();
    }

    /* The tick of one's own message. */
    async status(text, status) {
        await this.message(text).getByRole("img", { name: status, exact: true })
            .waitFor();
    }

    /* What the menu of a message has. */
    async act(text, action) {
        const li = this.message(text).first();

        await li.hover();
        await li.getByRole("button", { name: "What to do" }).click();
        await this.page.getByRole("menuitem", { name: action, exact: true })
            .click();
    }

    async gone(text) {
        await until(async () => await this.message(text).count() === 0,
                    `"${text}" to be gone`);
    }

    async search(text) {
        await this.page.getByRole("searchbox").fill(text);
    }

    /* All texts, in order. */
    texts() {
        return this.page.locator("li.message p.text").allTextContents();
    }

    async banner(there) {
        await this.page.locator(".banner").waitFor({
            state: there ? "visible" : "hidden" });
    }

    async settled(want) {
        await until(async () => JSON.stringify(await this.texts())
                                === JSON.stringify(want),
                    `${this.name}'s messages to be ${want}`)
            .catch(async (e) => {
                throw new Error(`${e.message}; they are `
                                + JSON.stringify(await this.texts()));
            });
    }

    async leave() {
        await this.page.context().close();
        await this.line.close();
    }
}
