/**
 * The load of `loadtest/k6/`, run by Node over plain sockets: the same connections, frames and
 * pace, for rates of small frames that k6 does not reach beside a gateway on the same machine.
 * Settings come in `LOAD`, lines go out and the totals are written as with k6.
 */
import { writeFileSync } from 'node:fs'
import { runAudience } from '../k6/audience.ts'
import type { LoadSettings } from '../k6/settings.ts'
import { PlainSocket } from './plain-socket.ts'

const load = JSON.parse(process.env['LOAD'] ?? '{}') as LoadSettings

runAudience(load, {
  open: (url, protocol) => new PlainSocket(url, protocol),
  second: (line) => console.log(`second ${JSON.stringify(line)}`),
  rejected: (detail) => console.error(`rejected: ${detail}`),
  over(totals) {
    writeFileSync(load.summaryPath, JSON.stringify(totals))
    const { errors, eventsSent, eventsAcknowledged, ackP99Ms } = totals
    const passed =
      errors === 0 &&
      eventsSent === eventsAcknowledged &&
      ackP99Ms <= (load.ackP99MaxMs ?? Infinity)
    // The process ends with its sockets.
    process.exitCode = passed ? 0 : 1
  },
})
