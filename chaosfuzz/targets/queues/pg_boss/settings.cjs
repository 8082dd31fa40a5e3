"use strict";

const QUEUE = "q";

// A short lease and the shortest intervals of pg-boss, so that recovery fits into a run.
const QUEUE_OPTIONS = { expireInSeconds: 5, retryLimit: 2, retryDelay: 0 };
const SUPERVISION = {
  superviseIntervalSeconds: 1,
  monitorIntervalSeconds: 1,
  maintenanceIntervalSeconds: 1,
};
const WORK_OPTIONS = { pollingIntervalSeconds: 0.5, includeMetadata: true };

// A job has to end before it expires (5 s), its way to the queue and back included.
const LONGEST_MS = 3000;

module.exports = { LONGEST_MS, QUEUE, QUEUE_OPTIONS, SUPERVISION, WORK_OPTIONS };
