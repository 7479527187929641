/** `smoke`: whether an event that goes in comes out. */
import { readFileSync } from 'node:fs'
import { systemRandom } from '../../../shared/runtime/random.ts'
import { usage } from '../arguments.ts'
import { type Command, EXIT } from '../command.ts'
import { SMOKE_WAIT_SECONDS, SMOKE_WAIT_SECONDS_MAX } from '../limits.ts'
import { smoke as run } from '../smoke/smoke.ts'
import { smokeToken } from '../smoke/token.ts'

export const smoke: Command = {
  name: 'smoke',
  summary: 'send a session to a gateway and read it back from serving',
  about: `Sends the events of one short session, of content backhaul-smoke-test, over a WebSocket, waits for
their acknowledgement, and asks serving until it has all of them. With BACKHAUL_AUTH_MODE=hs256 it makes a
token of its own by BACKHAUL_AUTH_SECRET. Needs no data folder.`,
  examples: [
    'smoke --gateway ws://127.0.0.1:8080/v1/events --serving http://127.0.0.1:8081 --wait 5',
  ],
  options: {
    gateway: { value: 'URL', doc: 'WebSocket of the gateway, with its path.' },
    serving: { value: 'URL', doc: 'Address of serving, without a path.' },
    'token-file': { value: 'FILE', doc: 'File with a token of scopes write and read.' },
    wait: {
      value: 'SECONDS',
      doc: `How long both ways together may take; ${SMOKE_WAIT_SECONDS} by default.`,
    },
  },
  positionals: [],
  async run({ stores, clock, progress, signal }, given) {
    const gatewayUrl = address(given.required('gateway'), 'gateway', ['ws:', 'wss:'])
    const servingUrl = address(given.required('serving'), 'serving', ['http:', 'https:'])
    const range = { max: SMOKE_WAIT_SECONDS_MAX, default: SMOKE_WAIT_SECONDS }
    const waitMs = 1_000 * given.count('wait', range)
    const file = given.text('token-file')
    const givenToken = file === undefined ? undefined : readToken(file)
    const token = await smokeToken(givenToken, stores.settings.common, clock)
    const sessionId = systemRandom.uuid()
    progress.show('an event on its way')
    const report = await run({ gatewayUrl, servingUrl, token, sessionId, waitMs, clock, signal })
    const { acknowledgedAfterMs, readableAfterMs } = report
    return {
      exitCode: EXIT.done,
      json: report,
      text: `session ${sessionId} was acknowledged after ${acknowledgedAfterMs} ms and readable ${readableAfterMs} ms later`,
    }
  },
}

function address(text: string, option: string, protocols: readonly string[]): string {
  if (URL.canParse(text) && protocols.includes(new URL(text).protocol)) return text
  throw usage(`--${option} to be a URL with ${protocols.join(' or ')}`, text)
}

function readToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    throw usage('--token-file to name a readable file', path)
  }
}
