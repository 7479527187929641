/** Which event log the commands work on. Services on their own are on Kafka, `npm start` is not. */
import { defineConfig, setting } from '../runtime/config.ts'

export const eventLogConfig = defineConfig({
  prefix: 'EVENT',
  table: {
    log: setting.choice({
      default: 'lmdb',
      choices: ['lmdb', 'kafka'],
      doc: 'Event log that `npx backhaul` works on: the embedded one in BACKHAUL_DATA_DIR, or Kafka by the settings KAFKA_….',
    }),
  },
})
