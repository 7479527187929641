/** The gateway on its own, without any broker. */
import { afterEach, expect, test } from 'vitest'
import { claimPort } from '../shared/http/listen.ts'
import { endMainProcesses, MainProcess } from './testing/main-process.ts'
import { until } from './testing/test-gateway.ts'

afterEach(endMainProcesses)

const freePort = () =>
  claimPort({ host: '127.0.0.1', port: 0 }, (code) => new Error(`no free port: ${code}`))

test.each([
  ['CONFIG_UNKNOWN', 'GATEWAY_PROCESES', { GATEWAY_PROCESES: '2' }],
  ['CONFIG_INVALID', 'KAFKA_BROKERS', { KAFKA_BROKERS: 'broker' }],
  ['GATEWAY_KEYS_REQUIRED', 'BACKHAUL_SEAL_KEY', { BACKHAUL_SEAL_KEY: '' }],
  ['GATEWAY_AUTH_REQUIRED', 'GATEWAY_HOST', { GATEWAY_HOST: '0.0.0.0' }],
])('%s is one line naming %s, and exit 1', async (code, setting, environment) => {
  const main = new MainProcess(await freePort(), {
    BACKHAUL_LOG_LEVEL: 'silent',
    ...environment,
  })
  expect(await main.ended).toBe(1)
  expect(main.stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(main.stderr).toContain(code)
  expect(main.stderr).toContain(setting)
})

test.each([1, 2])(
  'with no broker to reach, %i process(es) live, are unready, say so once, and stop with 0',
  async (processes) => {
    const main = new MainProcess(await freePort(), {
      GATEWAY_PROCESSES: `${processes}`,
      KAFKA_BROKERS: `127.0.0.1:${await freePort()}`,
      KAFKA_CONNECT_TIMEOUT_MS: '500',
      KAFKA_REQUEST_TIMEOUT_MS: '1000',
    })
    await until(async () => (await main.ask('/healthz'))?.status === 200)
    const line = /the event log does not answer/g
    await until(() => [...main.stderr.matchAll(line)].length === processes)
    await until(async () => {
      const answer = await main.ask('/readyz')
      return answer?.status === 503 && answer.json['code'] === 'GATEWAY_LOG_UNAVAILABLE'
    })
    const told = (await main.ask('/metrics'))?.text.match(/^backhaul_process_start_time_seconds /gm)
    expect(told).toHaveLength(1)
    expect((await main.ask('/elsewhere'))?.json['code']).toBe('GATEWAY_ADMIN_PATH_UNKNOWN')
    main.signal('SIGTERM')
    expect(await main.ended).toBe(0)
    expect([...main.stderr.matchAll(line)]).toHaveLength(processes)
  },
)
