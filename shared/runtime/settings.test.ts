import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { TOPICS, topicSpecs } from '../log/topics.ts'
import { readConfig } from './config.ts'
import { BackhaulError } from './errors.ts'
import { backhaulConfig, checkEmbeddedLogBudget, type BackhaulConfig } from './settings.ts'

const TOPIC_COUNT = Object.keys(TOPICS).length

function read(environment: Record<string, string>): BackhaulConfig {
  return readConfig(backhaulConfig, environment, (path) => {
    throw new Error(`no file ${path}`)
  })
}

/** The message of the refusal, which is one line. */
function refusalOf(environment: Record<string, string>): string {
  try {
    checkEmbeddedLogBudget(read(environment))
  } catch (error) {
    if (error instanceof BackhaulError && !error.message.includes('\n')) return error.message
    throw error
  }
  throw new Error('the settings were accepted')
}

describe('the log’s retention and its budget', () => {
  const kept = (config: BackhaulConfig) =>
    config.partitions *
    topicSpecs(config).reduce((sum, { retentionBytes }) => sum + retentionBytes, 0)

  it('agree by default, with room for the pages around what is kept', () => {
    const defaults = read({})
    expect(kept(defaults) * 1.5).toBeLessThanOrEqual(defaults.logMapBytes)
  })

  it('may meet exactly, and are refused one byte beyond, each value named', () => {
    const mapBytes = 3 * TOPIC_COUNT * 2 ** 21
    const settings = {
      BACKHAUL_PARTITIONS: '3',
      BACKHAUL_LOG_MAP_BYTES: `${mapBytes}`,
    }
    const exact = read({ ...settings, BACKHAUL_LOG_RETENTION_BYTES: `${2 ** 21}` })
    expect(kept(exact)).toBe(mapBytes)
    checkEmbeddedLogBudget(exact)
    const refusal = refusalOf({ ...settings, BACKHAUL_LOG_RETENTION_BYTES: `${2 ** 21 + 1}` })
    expect(refusal).toMatch(/^CONFIG_CONFLICT/)
    expect(refusal).toContain(`BACKHAUL_LOG_RETENTION_BYTES (${2 ** 21 + 1})`)
    expect(refusal).toContain('BACKHAUL_PARTITIONS (3)')
    expect(refusal).toContain(`BACKHAUL_LOG_MAP_BYTES (${mapBytes})`)
  })

  it('allow the most partitions once the budget is raised', () => {
    const most = { BACKHAUL_PARTITIONS: '1000' }
    expect(refusalOf(most)).toContain('BACKHAUL_LOG_MAP_BYTES')
    expect(read({ ...most, BACKHAUL_LOG_MAP_BYTES: `${2 ** 44}` }).partitions).toBe(1_000)
  })
})

describe('the budget of the speed store', () => {
  it('is a setting with a range', () => {
    expect(read({}).speedMapBytes).toBe(16 * 2 ** 30)
    expect(read({ BACKHAUL_SPEED_MAP_BYTES: `${2 ** 30}` }).speedMapBytes).toBe(2 ** 30)
    expect(refusalOf({ BACKHAUL_SPEED_MAP_BYTES: '1' })).toMatch(
      /^CONFIG_INVALID.*BACKHAUL_SPEED_MAP_BYTES/,
    )
  })
})

describe('the key set’s URL', () => {
  const jwks = (url: string) => ({ BACKHAUL_AUTH_MODE: 'jwks', BACKHAUL_AUTH_JWKS_URL: url })

  it.each(['https://id.example/keys', 'http://127.0.0.1:8000/jwks.json'])('may be %s', (url) => {
    expect(read(jwks(url)).authJwksUrl).toBe(url)
  })

  it.each(['garbage', 'id.example/keys', 'file:///etc/keys', 'https://', 'two\nlines'])(
    'is refused when it is %j',
    (url) => {
      expect(refusalOf(jwks(url))).toMatch(/^CONFIG_INVALID.*BACKHAUL_AUTH_JWKS_URL/)
    },
  )
})

describe('secrets', () => {
  const key = (bytes: number) => randomBytes(bytes).toString('base64')

  it('are accepted in the form that is asked for', () => {
    const sealKey = key(32)
    const pseudonymKeys = `new:${key(32)},old:${key(16)}`
    expect(
      read({ BACKHAUL_SEAL_KEY: sealKey, BACKHAUL_PSEUDONYM_KEYS: pseudonymKeys }),
    ).toMatchObject({ sealKey, pseudonymKeys })
    const urlSafe = randomBytes(32).toString('base64url')
    expect(read({ BACKHAUL_SEAL_KEY: urlSafe }).sealKey).toBe(urlSafe)
  })

  it('may be left empty', () => {
    const empty = { BACKHAUL_SEAL_KEY: '', BACKHAUL_PSEUDONYM_KEYS: '' }
    expect(read(empty)).toMatchObject({ sealKey: '', pseudonymKeys: '' })
  })

  it.each([
    ['BACKHAUL_SEAL_KEY', 'too few bytes', key(31)],
    ['BACKHAUL_SEAL_KEY', 'too many bytes', key(33)],
    ['BACKHAUL_SEAL_KEY', 'no base64', 'hunter2 hunter2 hunter2 hunter2 hunter2 hunt='],
    ['BACKHAUL_PSEUDONYM_KEYS', 'no key id', key(32)],
    ['BACKHAUL_PSEUDONYM_KEYS', 'a short key', 'id:c2hvcnQ='],
    ['BACKHAUL_PSEUDONYM_KEYS', 'a repeated id', `id:${key(32)},id:${key(32)}`],
  ])('%s with %s is refused without being shown', (name, _, value) => {
    const refusal = refusalOf({ [name]: value })
    expect(refusal).toMatch(new RegExp(`^CONFIG_INVALID.*${name}`))
    const shown = value.split(/[:, ]/).filter((part) => part !== 'id' && refusal.includes(part))
    expect(shown).toEqual([])
  })
})

describe('the source of content metadata', () => {
  it('is the topic, and a file only when it is named', () => {
    expect(read({}).contentSource).toBe('topic')
    const file = { BACKHAUL_CONTENT_SOURCE: 'file' }
    expect(() => read(file)).toThrow(/^CONFIG_CONFLICT.*BACKHAUL_CONTENT_FILE/)
    expect(read({ ...file, BACKHAUL_CONTENT_FILE: 'content.jsonl' }).contentFile).toBe(
      'content.jsonl',
    )
  })
})
