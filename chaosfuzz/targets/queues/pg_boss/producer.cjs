"use strict";

const { PgBoss } = require("pg-boss");
const { databaseUrl } = require("../node/handler.cjs");
const { serve } = require("../node/producer.cjs");
const { LONGEST_MS, QUEUE } = require("./settings.cjs");

const boss = new PgBoss({
  connectionString: databaseUrl(),
  supervise: false,
  schedule: false,
  migrate: false,
  registerInstance: false,
});
boss.on("error", (error) => console.error("pg-boss:", error.message));

async function create({ priority, delay_ms: delayMs, ...payload }) {
  // Once started, start() has no effect. An error of it means that no job was sent.
  await boss.start().catch((error) => {
    throw Object.assign(new Error(`cannot start: ${error.message}`), { code: "ECONNREFUSED" });
  });
  payload.duration_ms = Math.min(payload.duration_ms ?? 0, LONGEST_MS);
  const options = { priority: priority ?? 0 };
  if (delayMs) options.startAfter = new Date(Date.now() + delayMs);
  const id = await boss.send(QUEUE, payload, options);
  if (id === null) throw new Error("pg-boss made no job and gave no reason");
  return id;
}

serve(create);
