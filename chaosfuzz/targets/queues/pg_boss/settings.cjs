"use strict";

const QUEUE = "q";

// A short lease and the closest supervision that pg-boss allows, so that recovery fits a run.
const QUEUE_OPTIONS = { expireInSeconds: 5, retryLimit: 2, retryDelay: 0 };
const SUPERVISION = {
  superviseIntervalSeconds: 1,
  monitorIntervalSeconds: 1,
  maintenanceIntervalSeconds: 1,
};
const WORK_OPTIONS = { pollingIntervalSeconds: 0.5, includeMetadata: true };

// With its way to the queue and back a job has to end before it expires, whatever is asked for.
const LONGEST_MS = 3000;

module.exports = { LONGEST_MS, QUEUE, QUEUE_OPTIONS, SUPERVISION, WORK_OPTIONS };
