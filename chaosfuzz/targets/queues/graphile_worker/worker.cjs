"use strict";

const { EventEmitter } = require("node:events");
const { setTimeout: sleep } = require("node:timers/promises");
const { run } = require("graphile-worker");
const { databaseUrl, perform } = require("../node/handler.cjs");
const { OPTIONS, TASK } = require("./settings.cjs");

const RETRY_MS = 500;

async function main() {
  const events = new EventEmitter();
  // Ready: it listens for new jobs and has looked for waiting ones.
  const listens = new Promise((resolve) => events.once("pool:listen:success", resolve));
  const polls = new Promise((resolve) => events.once("worker:getJob:start", resolve));
  Promise.all([listens, polls]).then(() => console.log("ready"));
  const runner = await start({
    ...OPTIONS,
    connectionString: databaseUrl(),
    events,
    taskList: {
      [TASK]: (payload, helpers) => perform(helpers.job.id, helpers.job.attempts, payload),
    },
  });
  await runner.promise;
}

// Retries while the database is down, as a service manager would.
async function start(options) {
  for (;;) {
    try {
      return await run(options);
    } catch (error) {
      console.error("cannot start yet:", error.message || error.code);
      await sleep(RETRY_MS);
    }
  }
}

main().catch((error) => {
  console.error("worker ends:", error);
  process.exit(1);
});
