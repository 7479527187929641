/**
 * One run of the batch over the stores of `npx backhaul`, by the settings of the process, which kills
 * itself where it is told: `node command-to-the-kill/main.ts <failpoint> <at which passing>`. It waits for
 * the lease of one that was killed before. Prints the outcome.
 */
import { systemClock as clock } from '../../../shared/runtime/clock.ts'
import { systemRandom as random } from '../../../shared/runtime/random.ts'
import { openBatch } from '../../cli/open-batch.ts'
import { Stores } from '../../cli/stores.ts'
import { retryWithin } from '../../passing.ts'
import { killAt } from '../kill-at.ts'

const WITHIN_MS = 120_000

const [failpoint, passing = '1'] = process.argv.slice(2)
const failpoints = killAt(failpoint, Number(passing))
const stores = new Stores({ environment: process.env, readFile: () => '', clock })
const { signal } = new AbortController()
const onRetry = () => undefined
const batch = await openBatch({ stores, clock, failpoints })
const retries = { clock, random, signal, withinMs: WITHIN_MS, onRetry }
const { outcome } = await retryWithin(retries, () => batch.run())
await stores.close()
process.stdout.write(outcome)
