/*
 * stack.js: what `make run` starts, on a port and in a folder of its own, and
 * lines to it that can be cut.
 */

import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)),
                          "../..");

/* How many times as long as usual is waited for what has to come, as in
 * tests/e2e/harness/net.py: only a failure takes longer. */
export const PATIENCE = Number(process.env.WRT_PATIENCE ?? 4);

const START_MS = 60000;


/* Until check() is true; what it says last is in the error. */
export async function until(check, what, timeout = 30000) {
    const ms = timeout * PATIENCE;
    const end = Date.now() + ms;

    for (;;) {
        const value = await check();

        if (value) {
            return value;
        }

        if (Date.now() > end) {
            throw new Error(`waited ${ms} ms for ${what}`);
        }

        await new Promise((done) => setTimeout(done, 25));
    }
}


/* Below those that the kernel gives to outgoing connections: one of those may
 * be taken before the server has it. */
async function freePort() {
    for (;;) {
        const port = 27000 + Math.floor(Math.random() * 2000);
        const free = await new Promise((done) => {
            const s = net.createServer();

            s.on("error", () => done(false));
            s.listen(port, "127.0.0.1", () => s.close(() => done(true)));
        });

        if (free) {
            return port;
        }
    }
}


export class Stack {
    async start(extra = {}) {
        this.port = await freePort();
        this.dir = fs.mkdtempSync(path.join(os.tmpdir(), "wrt-browser-"));

        const env = { ...process.env, PORT: String(this.port),
                      RUN_DIR: this.dir, NGINX_WORKERS: "2", WORKERS: "1",
                      ...extra };

        for (const name of ["REDIS_URL", "STORE", "SQLITE_PATH", "BIND",
                            "JWT_SECRET", "STORAGE", "STORAGE_PATH"])
        {
            if (!(name in extra)) {
                delete env[name];
            }
        }

        this.said = "";
        this.process = spawn(path.join(ROOT, "tools/run.sh"),
                             { env, stdio: ["ignore", "pipe", "pipe"],
                               detached: true });
        this.process.stdout.on("data", (d) => { this.said += d; });
        this.process.stderr.on("data", (d) => { this.said += d; });
        this.ended = new Promise((done) => this.process.on("exit", done));

        await until(() => /^ready: /m.test(this.said)
                          || this.process.exitCode !== null,
                    "ready:", START_MS);

        if (this.process.exitCode !== null) {
            throw new Error("run.sh ended: " + this.said);
        }

        return this;
    }

    async stop() {
        this.process.kill("SIGTERM");
        await this.ended;
        fs.rmSync(this.dir, { recursive: true, force: true });
    }

    pid(part) {
        return Number(fs.readFileSync(path.join(this.dir, part + ".pid"),
                                      "utf8"));
    }

    /* A signal to redis, worker or nginx. */
    signal(part, name) { process.kill(this.pid(part), name); }

    /* SIGKILL, until there is another one. */
    async kill(part) {
        const old = this.pid(part);

        process.kill(old, "SIGKILL");
        await until(() => {
            try {
                return this.pid(part) !== old;
            } catch {
                return false;
            }
        }, "another " + part);
        await until(async () => await this.health() === "ok", "health");
    }

    /* A signal to the processes of one role of the worker pool. */
    signalRole(role, name) {
        const session = this.pid("worker");
        let n = 0;

        for (const pid of fs.readdirSync("/proc").filter(Number)) {
            let stat;

            try {
                stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
            } catch {
                continue;           // it has just ended
            }

            const [, comm, rest] = /\((.*)\) (.*)/s.exec(stat);

            if (comm === role && Number(rest.split(" ")[3]) === session) {
                process.kill(Number(pid), name);
                n++;
            }
        }

        if (n === 0) {
            throw new Error("no " + role);
        }
    }

    /* All that was logged, and what the page was told of people. */
    logs() {
        const dir = path.join(this.dir, "logs");

        return fs.readdirSync(dir).map(
            (f) => fs.readFileSync(path.join(dir, f), "utf8")).join("\n")
            + this.said;
    }

    async rest(token, method, route, body) {
        const r = await fetch(`http://127.0.0.1:${this.port}${route}`, {
            method, body: body && JSON.stringify(body),
            headers: { Authorization: "Bearer " + token,
                       "Content-Type": "application/json" } });
        const answer = await r.json();

        if (!r.ok) {
            throw new Error(`${method} ${route}: ${r.status} `
                            + JSON.stringify(answer));
        }

        return answer.data;
    }

    /* The people that the sign-in page offers: id -> token. */
    async tokens() {
        const r = await fetch(
            `http://127.0.0.1:${this.port}/dev/people.json`);
        const { people } = await r.json();

        return Object.fromEntries(people.map((p) => [p.id, p.token]));
    }

    /* A token of somebody else. */
    async mint(sub, role, ttl = 3600) {
        const { stdout } = await promisify(execFile)(
            process.env.TOKEN_BIN ?? path.join(ROOT, "build/writeen-token"),
            ["--sub", sub, "--role", role, "--name", sub,
             "--ttl", String(ttl)],
            { env: { ...process.env, JWT_SECRET: undefined } });

        return stdout.trim();
    }

    async health() {
        try {
            const r = await fetch(`http://127.0.0.1:${this.port}/healthz`);

            return (await r.json()).status;
        } catch {
            return "down";
        }
    }
}


/* A way to the stack that can be cut, as a train's tunnel does it. */
export class Line {
    #server;
    #pairs = new Set();
    #cut = false;

    constructor(stack) {
        this.stack = stack;
    }

    async open() {
        this.#server = net.createServer((near) => this.#pair(near));
        await new Promise((done) => this.#server.listen(0, "127.0.0.1",
                                                        done));
        this.url = `http://127.0.0.1:${this.#server.address().port}`;
        return this;
    }

    #pair(near) {
        if (this.#cut) {
            near.destroy();
            return;
        }

        const far = net.connect(this.stack.port, "127.0.0.1");
        const pair = [near, far];

        const end = () => {
            near.destroy();
            far.destroy();
            this.#pairs.delete(pair);
        };

        this.#pairs.add(pair);
        near.pipe(far);
        far.pipe(near);

        for (const s of pair) {
            s.on("error", end);
            s.on("close", end);
        }
    }

    cut() {
        this.#cut = true;

        for (const pair of this.#pairs) {
            pair.forEach((s) => s.destroy());
        }
    }

    mend() { this.#cut = false; }

    close() {
        this.cut();
        return new Promise((done) => this.#server.close(done));
    }
}
