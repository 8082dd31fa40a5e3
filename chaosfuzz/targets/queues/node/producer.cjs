// Creates a task for each JSON line on standard input, and survives outages of the database.
"use strict";

const readline = require("node:readline");

const ANSWER_TIMEOUT_MS = 20_000;
// Errors of PostgreSQL that refuse a connection, so that no statement has run.
const REFUSED_STATES = new Set(["57P03", "53300", "28000", "28P01", "3D000"]);
const NEVER_CONNECTED = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND"]);

// An answer is certain if nothing was committed: without a connection, or after an ERROR of the
// server. A FATAL error or a lost connection may have come after the commit.
function isCertain(error) {
  const causes = [error, error.cause, ...(error.errors ?? [])].filter(Boolean);
  return causes.some(
    (cause) =>
      NEVER_CONNECTED.has(cause.code) ||
      REFUSED_STATES.has(cause.code) ||
      (cause.severity === "ERROR" && !String(cause.code).startsWith("57P")),
  );
}

class LateError extends Error {}

function within(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    const message = `no answer within ${ANSWER_TIMEOUT_MS} ms`;
    timer = setTimeout(() => reject(new LateError(message)), ANSWER_TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// `create` takes the request and returns the queue's id of the new task.
async function serve(create) {
  // Standard output is reserved for answers.
  console.error("ready");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let token = null;
    let answer;
    try {
      const request = JSON.parse(line);
      token = request.token;
      answer = { ok: true, id: String(await within(create(request))), token };
    } catch (error) {
      answer = { ok: false, error: String(error.message || error), certain: isCertain(error), token };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

module.exports = { serve };
