"use strict";

const { PgBoss } = require("pg-boss");
const { databaseUrl } = require("../node/handler.cjs");
const { QUEUE, QUEUE_OPTIONS } = require("./settings.cjs");

async function main() {
  const boss = new PgBoss({
    connectionString: databaseUrl(),
    supervise: false,
    schedule: false,
    registerInstance: false,
  });
  boss.on("error", (error) => console.error("pg-boss:", error.message));
  await boss.start();
  await boss.createQueue(QUEUE, QUEUE_OPTIONS);
  await boss.stop({ graceful: false });
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error("set-up failed:", error);
    process.exit(1);
  },
);
