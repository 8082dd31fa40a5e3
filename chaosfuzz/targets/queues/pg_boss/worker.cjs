"use strict";

const { PgBoss } = require("pg-boss");
const { databaseUrl, perform } = require("../node/handler.cjs");
const { QUEUE, SUPERVISION, WORK_OPTIONS } = require("./settings.cjs");

const START_ATTEMPTS = 20;

async function main() {
  const boss = new PgBoss({ connectionString: databaseUrl(), ...SUPERVISION });
  boss.on("error", (error) => console.error("pg-boss:", error.message));
  boss.on("warning", (warning) => console.error("pg-boss warns:", warning.message));
  process.once("SIGTERM", async () => {
    await boss.stop({ graceful: true });
    process.exit(0);
  });
  // Retries while the database is down, as a service manager would.
  await boss.start({ attempts: START_ATTEMPTS });
  await boss.work(QUEUE, WORK_OPTIONS, async ([job]) => {
    await perform(job.id, job.retryCount + 1, job.data);
  });
  console.log("ready");
}

main().catch((error) => {
  console.error("worker ends:", error);
  process.exit(1);
});
