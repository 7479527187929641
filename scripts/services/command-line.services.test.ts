import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { documented } from '../docs/elsewhere.ts'
import { freePorts, isPortOpen } from './ports.ts'

const execute = promisify(execFile)
const ROOT = join(import.meta.dirname, '..', '..')
const script = join(import.meta.dirname, '..', 'services.ts')

let folder: string

/** What `npm run services -- …` prints. */
async function services(...args: string[]): Promise<string> {
  const { stdout } = await execute(process.execPath, [script, '--data', folder, ...args])
  return stdout
}

/** The words that `npm run services --` has in the docs. */
function wordsOf(command: string): string[] {
  return command.replace('npm run services -- ', '').split(' ')
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-services-test-'))
})
afterAll(async () => {
  await services('down')
  rmSync(folder, { recursive: true })
})

describe('npm run services', () => {
  it('starts a service that outlives the command, shows it and takes it down', async () => {
    const [port = 0] = await freePorts(1)
    expect(await services('status')).toContain('none is up')
    expect(await services('up', 'kafka', '--port', `${port}`)).toContain(
      `KAFKA_BROKERS=127.0.0.1:${port}`,
    )
    expect(await isPortOpen(port)).toBe(true)
    expect(await services('status')).toContain(`kafka broker 1: running, port ${port}`)
    expect(await services('logs', 'kafka')).toContain('Kafka Server started')
    await expect(services('up', 'kafka', '--port', `${port}`)).rejects.toThrow(
      'kafka is up already',
    )
    await services('down', 'kafka')
    expect(await isPortOpen(port)).toBe(false)
    expect(await services('status')).toContain('none is up')
  })

  it('does the same with Cassandra', async () => {
    const [port = 0] = await freePorts(1)
    const up = wordsOf(documented('npm run services -- up cassandra'))
    const printed = await services(...up, '--port', `${port}`, '--sync', 'batch')
    expect(printed).toContain(`CASSANDRA_CONTACT_POINTS=127.0.0.1:${port}`)
    const settings = [...printed.matchAll(/(CASSANDRA_\w+)=(\S+)/g)].map(([, name, value]) => [
      name,
      value,
    ])
    expect(await services('logs', 'cassandra')).toContain('Startup complete')
    const [program = '', ...args] = documented('npx backhaul schema migrate').split(' ')
    const { stdout } = await execute(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...Object.fromEntries(settings) },
    })
    expect(stdout).toMatch(/^the tables of keyspace backhaul are of version \d+/)
    expect(await services('status')).toContain(`cassandra: running, port ${port}`)
    await services(...wordsOf(documented('npm run services -- down')))
    expect(await isPortOpen(port)).toBe(false)
  })

  it('does the same with GCS, the proxy before it included', async () => {
    const [port = 0] = await freePorts(1)
    expect(
      await services(...wordsOf(documented('npm run services -- up gcs')), '--port', `${port}`),
    ).toContain(`GCS_BUCKET=backhaul GCS_ENDPOINT=http://127.0.0.1:${port}`)
    expect(await services('status')).toContain(`gcs proxy: running, port ${port}`)
    expect(await services('logs', 'gcs')).toContain('server started at')
    const listed = await fetch(`http://127.0.0.1:${port}/storage/v1/b/backhaul/o`)
    expect(listed.status).toBe(200)
    await services('down', 'gcs')
    expect(await isPortOpen(port)).toBe(false)
    expect(await services('status')).toContain('none is up')
  })

  it('does the same with BigQuery, which loads from the GCS beside it', async () => {
    const [port = 0] = await freePorts(1)
    const where = `http://127.0.0.1:${port}`
    const up = wordsOf(documented('npm run services -- up bigquery'))
    expect(await services(...up, '--port', `${port}`)).toContain(`BIGQUERY_ENDPOINT=${where} `)
    expect(await services('status')).toContain(`bigquery proxy: running, port ${port}`)
    expect((await fetch(`${where}/bigquery/v2/projects/local/datasets`)).status).toBe(200)
    await services('down', 'bigquery')
    expect(await isPortOpen(port)).toBe(false)
  })

  it.each([
    [['up', 'nothing'], 'usage'],
    [['up', 'kafka', '--brokers', '2'], '--brokers is 1 or 3; received 2'],
    [['up', 'kafka', '--port', 'x'], '--port is a port from 1 to 65533; received x'],
    [['up', 'cassandra', '--port', '0'], '--port is a port from 1 to 65535; received 0'],
    [['up', 'gcs', '--port', '0'], '--port is a port from 1 to 65535; received 0'],
    [['up', 'bigquery', '--port', 'x'], '--port is a port from 1 to 65535; received x'],
    [['up', 'cassandra', '--sync', 'never'], '--sync is periodic or batch; received never'],
    [[], 'usage'],
  ])('refuses %j and says what it takes', async (args, reason) => {
    await expect(services(...args)).rejects.toThrow(reason)
  })
})
