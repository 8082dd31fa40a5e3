// The handler of a task, which writes to the ledger; the same for every Node queue.
"use strict";

const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");

const component = process.env.CHAOSFUZZ_COMPONENT ?? "worker-1";
let ledger = null;

// One write to a file opened for appending keeps the lines of several processes apart.
function record(fields) {
  ledger ??= fs.openSync(required("CHAOSFUZZ_LEDGER"), "a");
  const line = JSON.stringify({
    ...fields,
    component,
    pid: process.pid,
    at_ns: Number(process.hrtime.bigint()),
  });
  fs.writeSync(ledger, `${line}\n`);
}

// Runs one attempt; throws if the payload asks this attempt to fail.
async function perform(task, attempt, payload) {
  const run = { task: String(task), token: payload.token, attempt };
  record({ event: "start", ...run });
  await sleep(payload.duration_ms ?? 0);
  const fails = attempt <= (payload.failures ?? 0);
  record({ event: "end", ...run, result: fails ? "failed" : "finished" });
  if (fails) throw new Error(`attempt ${attempt} of ${task} fails as asked`);
}

function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set; chaosfuzz sets it for every component`);
    process.exit(2);
  }
  return value;
}

// The user's own environment may hold a DATABASE_URL of another database.
function databaseUrl() {
  return process.env.CHAOSFUZZ_DSN || required("DATABASE_URL");
}

module.exports = { databaseUrl, perform };
