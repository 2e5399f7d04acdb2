/* writeen-util.js: what the parts of writeen.js share. */


/* code: as the server's, or offline, timeout, closed, aborted. */
export class WriteenError extends Error {
    constructor(code, message, { status = 0, field = null,
                                 retryable = false,
                                 retryAfterMs = null } = {}) {
        super(message);
        this.name = "WriteenError";
        this.code = code;
        this.status = status;
        this.field = field;
        this.retryable = retryable;
        this.retryAfterMs = retryAfterMs;
    }

    static ofAnswer(status, answer, after) {
        return new WriteenError(
            answer.error?.code ?? "http_" + status,
            answer.message ?? `the server answered ${status}`,
            { status, field: answer.error?.field ?? null,
              retryable: status === 429 || status >= 500,
              retryAfterMs: after ? Number(after) * 1000 : null });
    }

    static ofEvent(data) {
        return new WriteenError(
            data.code, data.message,
            { field: data.field ?? null, retryable: data.retryable,
              retryAfterMs: data.retryAfterMs ?? null });
    }
}


/* 24 hex digits.  Not crypto.randomUUID(): that is for https alone. */
export function newId() {
    return Array.from(crypto.getRandomValues(new Uint8Array(12)),
                      (b) => b.toString(16).padStart(2, "0")).join("");
}


export function sleep(ms) {
    return new Promise((done) => setTimeout(done, ms));
}
