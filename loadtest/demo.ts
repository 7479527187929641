/**
 * `npm run demo`: everything on one machine, with a simulated evening of viewers on it. With
 * `--url` the audience goes to a gateway that runs already.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BackhaulError } from '../shared/runtime/errors.ts'
import { systemClock } from '../shared/runtime/clock.ts'
import { StopStack } from '../shared/runtime/lifecycle.ts'
import { stopOnSignals } from '../shared/runtime/stop-signals.ts'
import { systemRandom } from '../shared/runtime/random.ts'
import { AudiencePlayer } from './simulator/audience-player.ts'
import { BAD_CDN } from './simulator/catalogue.ts'
import { ClientPool } from './simulator/client-pool.ts'
import {
  arrivalsBefore,
  simulateSession,
  type AudienceOptions,
} from './simulator/simulate-audience.ts'
import { planEndMs } from './simulator/session-plan.ts'

/** The page shows half an hour. */
const PAST_MS = 30 * 60_000
/** Device clocks of the audience: most are right, some are wrong by days. */
const CLOCK_OFFSETS_MS = [0, 0, 0, 0, 0, 1_700, -45_000, 3 * 86_400_000]
const CONNECTIONS_PER_CLOCK = 2
const QUEUE_FRAMES_MAX = 64
const STATUS_INTERVAL_MS = 30_000
const LAST_FLUSH_MS = 5_000
const PROBLEM_INTERVAL_MS = 5_000

interface DemoArguments {
  readonly sessions: number
  readonly seed: number
  readonly url: string | undefined
  readonly token: string | undefined
}

const USAGE = `npm run demo -- [--sessions N] [--seed N] [--url http://host:port [--token TOKEN]]`

function readArguments(): DemoArguments {
  const { values } = parseArgs({
    options: {
      sessions: { type: 'string', default: '2000' },
      seed: { type: 'string', default: '1' },
      url: { type: 'string' },
      token: { type: 'string' },
    },
  })
  const { url, token } = values
  if (url !== undefined && !/^https?:\/\//.test(url))
    throw new TypeError(`--url must begin with http:// or https://, received ${url}`)
  return {
    sessions: readCount('sessions', values.sessions, 1, 50_000),
    seed: readCount('seed', values.seed, 0, 2 ** 31 - 1),
    url,
    token,
  }
}

function readCount(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max)
    throw new TypeError(`--${name} must be a whole number from ${min} to ${max}, received ${text}`)
  return value
}

/** Starts everything in this process, on a data folder of its own unless one is configured. */
async function startServices(
  stack: StopStack,
): Promise<{ gatewayUrl: string; servingUrl: string }> {
  const { startStandalone } = await import('../standalone/start.ts')
  let dataDir = process.env['BACKHAUL_DATA_DIR']
  if (dataDir === undefined) {
    const folder = await mkdtemp(join(tmpdir(), 'backhaul-demo-'))
    dataDir = folder
    stack.add('demo folder', () => rm(folder, { recursive: true, force: true }))
  }
  const running = await startStandalone({
    environment: { ...process.env, BACKHAUL_DATA_DIR: dataDir },
    clock: systemClock,
    random: systemRandom,
  })
  stack.add('standalone', () => running.stop())
  return running
}

/** As many arrivals per mean session length as there are to be sessions at once (Little's law). */
function steadyAudience({ sessions, seed }: DemoArguments): AudienceOptions {
  const startAtMs = systemClock.nowMs() - PAST_MS
  const draft = { seed, sessions, startAtMs, arrivalSpanMs: 1, clockOffsetsMs: CLOCK_OFFSETS_MS }
  const sample = Array.from({ length: 500 }, (_, index) => simulateSession(draft, index).plan)
  const totalMs = sample.reduce((sum, plan) => sum + planEndMs(plan) - plan.startAtMs, 0)
  return { ...draft, arrivalSpanMs: Math.round(totalMs / sample.length) }
}

function startAudience(args: DemoArguments, gatewayUrl: string, stack: StopStack): void {
  const pool = new ClientPool({
    url: `${gatewayUrl.replace(/^http/, 'ws').replace(/\/$/, '')}/v1/events`,
    token: args.token,
    clockOffsetsMs: CLOCK_OFFSETS_MS,
    connectionsPerClock: CONNECTIONS_PER_CLOCK,
    clock: systemClock,
    random: systemRandom,
    // Short, so that the present never waits behind the past.
    limits: { queueFramesMax: QUEUE_FRAMES_MAX },
    onProblem: seldom(({ code, detail }) => console.log(`connection: ${code} (${detail})`)),
    onRejected: seldom(([first]) => console.log(`refused: ${first?.code} ${first?.detail}`)),
  })
  const audience = steadyAudience(args)
  const player = new AudiencePlayer({
    sessionAt: (index) => simulateSession(audience, index),
    pastSessions: arrivalsBefore(audience, systemClock.nowMs()),
    offer: (frame) => pool.offer(frame),
    clock: systemClock,
  })
  pool.connect()
  player.start()
  const cancelStatus = systemClock.every(STATUS_INTERVAL_MS, () => printStatus(player, pool))
  stack.add('audience', async () => {
    cancelStatus()
    player.stop()
    await pool.flush(LAST_FLUSH_MS)
    printStatus(player, pool)
    pool.close()
  })
}

function printStatus(player: AudiencePlayer, pool: ClientPool): void {
  const { active, begun, caughtUp } = player.status
  const { eventsAccepted, eventsAcknowledged, eventsRejected, framesResent } = pool.metrics
  console.log(
    `${active} sessions playing, ${begun} begun; events: ${eventsAccepted} sent, ` +
      `${eventsAcknowledged} acknowledged, ${eventsRejected} refused; ${framesResent} frames sent again` +
      (caughtUp ? '' : '; still filling in the past'),
  )
}

/** A gateway that is away would otherwise fill the screen. */
function seldom<Value>(print: (value: Value) => void): (value: Value) => void {
  let lastAtMs = Number.NEGATIVE_INFINITY
  return (value) => {
    const nowMs = systemClock.monotonicMs()
    if (nowMs - lastAtMs < PROBLEM_INTERVAL_MS) return
    lastAtMs = nowMs
    print(value)
  }
}

async function main(): Promise<void> {
  const args = readArguments()
  const stack = new StopStack()
  try {
    await start(args, stack)
  } catch (error) {
    await stack.stop()
    throw error
  }
  stopOnSignals(stack, {
    clock: systemClock,
    announce: (signal) => console.log(`\n${signal}: the audience leaves …`),
    stopped: () => undefined,
    failed: (error) => console.error(error),
  })
}

async function start(args: DemoArguments, stack: StopStack): Promise<void> {
  const services = args.url === undefined ? await startServices(stack) : undefined
  const gatewayUrl = args.url ?? services?.gatewayUrl ?? ''
  startAudience(args, gatewayUrl, stack)
  console.log(
    [
      `An audience of about ${args.sessions} sessions at once (seed ${args.seed}) plays to ${gatewayUrl}.`,
      `It plays in real time, and its last ${PAST_MS / 60_000} minutes are filled in, newest first.`,
      `One CDN treats its viewers badly: ${BAD_CDN}. Find it${services === undefined ? '.' : ` at ${services.servingUrl}`}`,
      'Ctrl-C stops it.',
    ].join('\n'),
  )
}

main().catch((error: unknown) => {
  if (error instanceof BackhaulError) console.error(`${error.message}. ${error.spec.action}`)
  else if (error instanceof TypeError) console.error(`${error.message}\n${USAGE}`)
  else console.error(error)
  process.exit(1)
})
