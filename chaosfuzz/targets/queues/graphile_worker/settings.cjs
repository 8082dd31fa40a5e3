"use strict";

const TASK = "probe";
const OPTIONS = { concurrency: 2, pollInterval: 2000 };

// Of each job: the second comes e s after the first has failed, the third would e^2 s later.
const MAX_ATTEMPTS = 2;

module.exports = { MAX_ATTEMPTS, OPTIONS, TASK };
