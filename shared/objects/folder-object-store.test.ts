import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import {
  appendFile,
  mkdtemp,
  open,
  readdir,
  rm,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ManualClock, systemClock } from '../runtime/clock.ts'
import { FILE_UNDERWAY_MAX_MS, openFolderObjectStore } from './folder-object-store.ts'
import { describeLease } from './lease.contract.ts'
import { describeObjectStore, type ObjectStoreHarness } from './object-store.contract.ts'
import type { ObjectStore } from './object-store.ts'

const harness = async (): Promise<ObjectStoreHarness> => {
  const folder = await temporaryFolder()
  return {
    open: () => openFolderObjectStore({ folder, clock: systemClock }),
    dispose: () => rm(folder, { recursive: true }),
  }
}

describeObjectStore('the folder object store', harness)
describeLease('the folder object store', harness)

describe('the folder object store', () => {
  let folder: string
  let clock: ManualClock
  let store: ObjectStore

  beforeEach(async () => {
    folder = await temporaryFolder()
    clock = new ManualClock()
    store = await openFolderObjectStore({ folder, clock })
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  const files = async (): Promise<string[]> => {
    const entries = await readdir(join(folder, 'files'), { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
  }
  const reopen = async (): Promise<void> => {
    await store.close()
    store = await openFolderObjectStore({ folder, clock })
  }

  it('keeps one file an object, under its name and generation', async () => {
    const first = await store.create('a/b', Buffer.from('first'))
    expect(await files()).toEqual([`b@${first.generation}`])
    const second = await store.replace('a/b', Buffer.from('second'), first.generation)
    expect(await files()).toEqual([`b@${second.generation}`])
    await expect(store.create('a/b', Buffer.of(1))).rejects.toThrow('OBJECT_PRECONDITION_FAILED')
    expect(await files()).toEqual([`b@${second.generation}`])
    await store.delete('a/b')
    expect(await files()).toEqual([])
  })

  it('takes its times from the clock', async () => {
    const info = await store.create('a', Buffer.of(1))
    expect(info.updatedAtMs).toBe(clock.nowMs())
  })

  it.each([
    ['longer', (path: string) => appendFile(path, 'x')],
    ['cut short', (path: string) => truncate(path, 3)],
    ['changed', (path: string) => writeFile(path, 'abcdE')],
    ['gone', (path: string) => unlink(path)],
  ])('says that an object is damaged when its file is %s', async (_, damage) => {
    const { generation } = await store.create('a', Buffer.from('abcde'))
    await damage(join(folder, 'files', `a@${generation}`))
    await expect(store.read('a')).rejects.toMatchObject({ code: 'OBJECT_DAMAGED' })
  })

  it('has one winner a name among processes that create at once', async () => {
    const script = childScript(
      folder,
      `
      const won = []
      for (let index = 0; index < 30; index += 1)
        await store.create('race/' + index, Buffer.from(String(process.pid))).then(
          () => won.push(index),
          (error) => { if (error.code !== 'OBJECT_PRECONDITION_FAILED') throw error })
      console.log(JSON.stringify({ pid: process.pid, won }))
      await store.close()`,
    )
    const outputs = await Promise.all([1, 2, 3].map(() => outputOf(script)))
    const children = outputs.map(
      (lines) => JSON.parse(lines.at(-1) ?? '') as { pid: number; won: number[] },
    )
    const winners = children.flatMap(({ pid, won }) =>
      won.map((index) => [index, `${pid}`] as const),
    )
    expect(winners).toHaveLength(30)
    for (const [index, pid] of winners) {
      const object = await store.read(`race/${index}`)
      expect(Buffer.from(object?.bytes ?? []).toString()).toBe(pid)
    }
    expect(await files()).toHaveLength(30)
  })

  it('counts every replacement of processes that replace at once', async () => {
    await store.create('counter', Buffer.from('0'))
    const script = childScript(
      folder,
      `
      for (let added = 0; added < 15; ) {
        const { bytes, info } = await store.read('counter')
        const next = Buffer.from(String(Number(Buffer.from(bytes)) + 1))
        await store.replace('counter', next, info.generation).then(
          () => { added += 1 },
          (error) => { if (error.code !== 'OBJECT_PRECONDITION_FAILED') throw error })
      }
      await store.close()`,
    )
    await Promise.all([1, 2].map(() => outputOf(script)))
    expect(Buffer.from((await store.read('counter'))?.bytes ?? []).toString()).toBe('30')
    expect(await files()).toHaveLength(1)
  })

  it('looks again when another process replaced what it found, before the file was opened', async () => {
    const { generation } = await store.create('a', Buffer.from('old'))
    // Opening a pipe that nobody writes holds up a thread of the pool, and what queues behind it.
    const pipe = join(folder, 'pipe')
    execFileSync('sh', ['-c', 'mkfifo "$0"', pipe])
    const blocked = Array.from({ length: 64 }, () => open(pipe, 'r'))
    const reading = store.read('a')
    const script = childScript(
      folder,
      `await store.replace('a', Buffer.from('new'), ${generation})
      await store.close()`,
    )
    execFileSync(process.execPath, ['--input-type=module', '-e', script])
    const writer = openSync(pipe, 'r+')
    const handles = await Promise.all(blocked)
    expect(Buffer.from((await reading)?.bytes ?? []).toString()).toBe('new')
    await Promise.all(handles.map((handle) => handle.close()))
    closeSync(writer)
  })

  it('keeps what was acknowledged before a kill, lists nothing else and clears the rest', async () => {
    const script = childScript(
      folder,
      `
      nowMs = ${clock.nowMs()}
      const lane = async (index) => {
        await store.create('kill/' + index, Buffer.alloc(200_000, index))
        process.stdout.write(index + '\\n')
        return lane(index + 8)
      }
      await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(lane))`,
    )
    const child = spawn(process.execPath, ['--input-type=module', '-e', script])
    const acknowledged: number[] = []
    for await (const line of createInterface(child.stdout)) {
      acknowledged.push(Number(line))
      if (acknowledged.length === 10) child.kill('SIGKILL')
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(10)
    await reopen()
    const listed = await store.list('kill/', { limit: 100_000 })
    for (const { name } of listed) expect((await store.read(name))?.bytes.length).toBe(200_000)
    const names = new Set(listed.map(({ name }) => name))
    for (const index of acknowledged) expect(names).toContain(`kill/${index}`)
    expect(await files()).toHaveLength(listed.length)
  })

  it('clears the file of a writer that is gone, and of a living one when it is too old', async () => {
    const script = `import { ObjectIndex } from ${module('./object-index.ts')}
      import { writeFileSync } from 'node:fs'
      const index = new ObjectIndex(${JSON.stringify(join(folder, 'index'))})
      for (const [name, processId] of [['dead', process.pid], ['alive', ${process.pid}]]) {
        const owner = { processId, sinceMs: ${clock.nowMs()} }
        const { generation } = await index.reserve(name, 0, owner)
        writeFileSync(${JSON.stringify(join(folder, 'files/'))} + name + '@' + generation, 'half')
      }
      await index.close()`
    await outputOf(script)
    expect(await files()).toHaveLength(2)
    await reopen()
    expect((await files()).map((name) => name.split('@')[0])).toEqual(['alive'])
    expect(await store.list('', { limit: 9 })).toEqual([])
    await clock.advance(FILE_UNDERWAY_MAX_MS + 1)
    await reopen()
    expect(await files()).toEqual([])
  })

  it('says that it is full when the disk refuses an object, and leaves no file of it', async () => {
    const script = childScript(
      folder,
      `
      const small = await store.create('small', Buffer.alloc(1000))
      const failure = await store.create('large', Buffer.alloc(4_000_000)).catch((error) => error)
      const after = await store.create('after', Buffer.alloc(1000))
      console.log(JSON.stringify({ code: failure.code, names: (await store.list('', { limit: 9 })).map((i) => i.name) }))
      await store.close()`,
    )
    const lines = await outputOf(script, 'ulimit -f 2000')
    expect(JSON.parse(lines.at(-1) ?? '')).toEqual({
      code: 'OBJECT_FULL',
      names: ['after', 'small'],
    })
    expect(new Set((await files()).map((name) => name.split('@')[0]))).toEqual(
      new Set(['after', 'small']),
    )
  })
})

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'backhaul-objects-'))
}

function module(path: string): string {
  return JSON.stringify(new URL(path, import.meta.url).href)
}

function childScript(folder: string, script: string): string {
  return `
    import { openFolderObjectStore } from ${module('./folder-object-store.ts')}
    import { systemClock } from ${module('../runtime/clock.ts')}
    let nowMs
    const clock = { ...systemClock, nowMs: () => nowMs ?? systemClock.nowMs() }
    const store = await openFolderObjectStore({ folder: ${JSON.stringify(folder)}, clock })
    ${script}`
}

async function outputOf(script: string, shellSetup = 'true'): Promise<string[]> {
  const command = `${shellSetup}; exec "$0" --input-type=module -e "$1"`
  const child = spawn('sh', ['-c', command, process.execPath, script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  createInterface(child.stdout).on('line', (line) => lines.push(line))
  const [code] = (await once(child, 'close')) as [number]
  expect(code).toBe(0)
  return lines
}
