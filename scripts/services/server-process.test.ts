import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freePorts, isPortOpen } from './ports.ts'
import { endRecordedProcess, recordedProcess, ServerProcess } from './server-process.ts'

let folder: string
let port: number
let server: ServerProcess

/** A server in a few lines: it listens, says so after a while, and goes when it is asked to. */
function script(ready = 'I am ready'): string {
  return `require('node:net').createServer().listen(${port}, '127.0.0.1', () =>
    setTimeout(() => console.log(${JSON.stringify(ready)}), 100))`
}

function create(body: string): ServerProcess {
  return new ServerProcess({
    name: 'test server',
    folder,
    command: process.execPath,
    args: ['-e', body],
    port,
    readyLine: 'I am ready',
  })
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-server-'))
  const [free = 0] = await freePorts(1)
  port = free
  server = create(script())
})
afterEach(async () => {
  await server.kill()
  rmSync(folder, { recursive: true })
})

describe('a server process', () => {
  it('is ready when its port is open and its log says so', async () => {
    await server.start()
    expect(await isPortOpen(port)).toBe(true)
    expect(readFileSync(server.logPath, 'utf8')).toContain('I am ready')
    expect(recordedProcess(folder)).toMatchObject({ name: 'test server', port })
    await server.stop()
    expect(server.isRunning).toBe(false)
    expect(recordedProcess(folder)).toBeUndefined()
  })

  it('does not take the ready line of an earlier start for its own', async () => {
    await server.start()
    await server.kill()
    const silent = "setTimeout(() => process.exit(3), 300); console.log('not yet')"
    await expect(server.start({ args: ['-e', silent] })).rejects.toThrow('ended while it started')
  })

  it('refuses a port that is in use, rather than take another server for its own', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
    await expect(server.start()).rejects.toThrow(`port ${port} of test server is in use`)
    await new Promise((resolve) => other.close(resolve))
  })

  it('shows the log of a start that failed', async () => {
    server = create("console.log('no such setting'); process.exit(1)")
    await expect(server.start()).rejects.toThrow('no such setting')
  })

  it('says which program is missing', async () => {
    await expect(server.start({ command: 'no-such-program', args: [] })).rejects.toThrow(
      'is no-such-program installed?',
    )
  })

  it('can be ended while it stands still', async () => {
    await server.start()
    server.pause()
    await server.stop()
    expect(server.isRunning).toBe(false)
  })

  it('is ended by its record alone, and only while the record is its own', async () => {
    await server.start()
    await endRecordedProcess(folder)
    await expect.poll(() => server.isRunning).toBe(false)
    expect(await isPortOpen(port)).toBe(false)
    await endRecordedProcess(folder)
  })
})
