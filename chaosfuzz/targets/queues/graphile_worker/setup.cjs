"use strict";

const { runMigrations } = require("graphile-worker");
const { databaseUrl } = require("../node/handler.cjs");

runMigrations({ connectionString: databaseUrl() }).then(
  () => process.exit(0),
  (error) => {
    console.error("set-up failed:", error);
    process.exit(1);
  },
);
