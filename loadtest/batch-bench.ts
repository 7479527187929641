/**
 * `npm run bench:batch`: rows per second and core, and the largest memory, of each step of a run of
 * the batch over ten million events, or over as many as the first argument says. Printed, and kept
 * in `loadtest/baselines/batch.json` when they are the ten million.
 */
import { benchBatch } from './bench/batch-bench.ts'
import { keepResults, printResults } from './bench/results.ts'

const EVENTS = 10_000_000
const EVENTS_PER_FRAME = 10

const events = Number(process.argv[2] ?? EVENTS)
if (!Number.isSafeInteger(events) || events < EVENTS_PER_FRAME)
  throw new TypeError(`events, at least ${EVENTS_PER_FRAME}; received ${process.argv[2]}`)
const results = benchBatch(EVENTS_PER_FRAME, events)
printResults(results)
if (events === EVENTS) console.log(`\nkept in ${keepResults('batch', results)}`)
