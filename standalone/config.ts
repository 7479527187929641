/** Settings of a standalone process alone. */
import { configErrors, defineConfig, setting } from '../shared/runtime/config.ts'
import { BATCH_EVERY_MIN_MS } from './limits.ts'

const HOUR_MS = 60 * 60_000

export const scheduleConfig = defineConfig({
  prefix: 'BATCH',
  table: {
    everyMs: setting.integer({
      default: 6 * HOUR_MS,
      min: 0,
      max: 7 * 24 * HOUR_MS,
      unit: 'ms',
      doc: 'How often a standalone server runs the batch, at whole multiples of this time (UTC); 0: only `npx backhaul batch run` does. `npm start -- --batch-every 1m` sets it for one start.',
    }),
  },
  check({ everyMs }) {
    if (everyMs !== 0 && everyMs < BATCH_EVERY_MIN_MS)
      throw configErrors.create('CONFIG_INVALID', {
        expected: `BATCH_EVERY_MS to be 0 or at least ${BATCH_EVERY_MIN_MS} (ms)`,
        received: `${everyMs}`,
      })
  },
})
