/* test_traces.js: what all that was done before has left in the logs. */

import assert from "node:assert/strict";


export const tests = {
    "traces: no token in a log, no alert": async (world) => {
        const logs = world.stack.logs();

        assert.match(logs, /GET \/ws HTTP/);

        for (const token of Object.values(await world.stack.tokens())) {
            const [, claims, signature] = token.split(".");

            assert.ok(!logs.includes(claims) && !logs.includes(signature));
        }

        const bad = logs.split("\n").filter(
            (l) => /\[(alert|crit|emerg)\]|Sanitizer|dead_letter/.test(l)
                   && !/exited on signal 9/.test(l));

        assert.deepEqual(bad, []);
    },
};
