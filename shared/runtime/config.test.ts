import { expect, test } from 'vitest'
import {
  configErrors,
  defineConfig,
  environmentName,
  readConfig,
  refuseUnknownSettings,
  setting,
} from './config.ts'

const spec = defineConfig({
  prefix: 'DEMO',
  table: {
    laneFlushMs: setting.integer({ default: 5, min: 0, max: 100, unit: 'ms', doc: 'Linger.' }),
    laneDeadlineMs: setting.integer({ default: 50, min: 1, max: 1000, unit: 'ms', doc: 'End.' }),
    mode: setting.choice({ default: 'a', choices: ['a', 'b'], doc: 'Mode.' }),
    names: setting.list({ default: ['x'], doc: 'Names.' }),
    strict: setting.boolean({ default: false, doc: 'Strict.' }),
    key: setting.text({
      default: '',
      secret: true,
      doc: 'Key.',
      pattern: /^k.*$/,
      expected: 'a k',
    }),
  },
  check(values) {
    if (values.laneDeadlineMs <= values.laneFlushMs)
      throw configErrors.create('CONFIG_CONFLICT', {
        expected: 'DEMO_LANE_DEADLINE_MS above DEMO_LANE_FLUSH_MS',
        received: `${values.laneDeadlineMs} and ${values.laneFlushMs}`,
      })
  },
})
const noFiles = () => {
  throw new Error('no such file')
}

test('an environment name is the prefix and the field in capitals', () => {
  expect(environmentName('GATEWAY', 'laneFlushMs')).toBe('GATEWAY_LANE_FLUSH_MS')
})

test('without variables every setting has its default', () => {
  expect(readConfig(spec, {}, noFiles)).toEqual({
    laneFlushMs: 5,
    laneDeadlineMs: 50,
    mode: 'a',
    names: ['x'],
    strict: false,
    key: '',
  })
})

test('variables are parsed by their type', () => {
  const environment = {
    DEMO_LANE_FLUSH_MS: '7',
    DEMO_MODE: 'b',
    DEMO_NAMES: 'p, q',
    DEMO_STRICT: 'true',
    DEMO_KEY: 'k1',
  }
  expect(readConfig(spec, environment, noFiles)).toMatchObject({
    laneFlushMs: 7,
    mode: 'b',
    names: ['p', 'q'],
    strict: true,
    key: 'k1',
  })
})

test.each([
  [
    { DEMO_LANE_FLUSH_MS: 'soon' },
    /DEMO_LANE_FLUSH_MS to be an integer from 0 to 100 \(ms\), received "soon"/,
  ],
  [{ DEMO_LANE_FLUSH_MS: '101' }, /from 0 to 100/],
  [{ DEMO_LANE_FLUSH_MS: '1.5' }, /received "1.5"/],
  [{ DEMO_MODE: 'c' }, /DEMO_MODE to be one of a, b, received "c"/],
  [{ DEMO_STRICT: 'yes' }, /DEMO_STRICT to be true or false/],
  [{ DEMO_NAMES: 'a,,b' }, /DEMO_NAMES/],
])('a bad value %o is one line that names the setting', (environment, message) => {
  expect(() => readConfig(spec, environment, noFiles)).toThrow(message)
  expect(() => readConfig(spec, environment, noFiles)).not.toThrow('\n')
})

test('a bad secret is not printed', () => {
  expect(() => readConfig(spec, { DEMO_KEY: 'hunter2' }, noFiles)).toThrow(
    /DEMO_KEY to be a k, received a value that is not shown/,
  )
})

test('a secret may come from a file, but not from both', () => {
  expect(readConfig(spec, { DEMO_KEY_FILE: 'path' }, () => 'k-file\n').key).toBe('k-file')
  expect(() => readConfig(spec, { DEMO_KEY_FILE: 'path', DEMO_KEY: 'k' }, () => 'k-file')).toThrow(
    'CONFIG_CONFLICT',
  )
  expect(() => readConfig(spec, { DEMO_KEY_FILE: 'gone' }, noFiles)).toThrow(
    /DEMO_KEY_FILE to name a readable file, received gone/,
  )
})

test('fields that disagree are refused with both values', () => {
  expect(() => readConfig(spec, { DEMO_LANE_FLUSH_MS: '60' }, noFiles)).toThrow(
    /CONFIG_CONFLICT.*received 50 and 60/,
  )
})

test('an unknown variable with our prefix is refused, others are not ours', () => {
  expect(() => refuseUnknownSettings([spec], { DEMO_LANE_FLUSHMS: '5', PATH: '/bin' })).toThrow(
    /CONFIG_UNKNOWN.*DEMO_LANE_FLUSHMS/,
  )
  refuseUnknownSettings([spec], { DEMO_KEY_FILE: 'x', DEMOLITION: 'y' })
})
