"use strict";

const { makeWorkerUtils } = require("graphile-worker");
const { databaseUrl } = require("../node/handler.cjs");
const { serve } = require("../node/producer.cjs");
const { MAX_ATTEMPTS, TASK } = require("./settings.cjs");

let utils = null;

async function create({ priority, delay_ms: delayMs, ...payload }) {
  utils ??= await makeWorkerUtils({ connectionString: databaseUrl() });
  // graphile-worker runs the lowest number first, chaosfuzz the highest.
  const spec = { maxAttempts: MAX_ATTEMPTS, priority: -(priority ?? 0) };
  if (delayMs) spec.runAt = new Date(Date.now() + delayMs);
  const job = await utils.addJob(TASK, payload, spec);
  return job.id;
}

serve(create);
