"use strict";

const TASK = "probe";
const OPTIONS = { concurrency: 2, pollInterval: 2000 };

// The second attempt comes e s after the first has failed; a third would come e^2 s later.
const MAX_ATTEMPTS = 2;

module.exports = { MAX_ATTEMPTS, OPTIONS, TASK };
