import { spawn } from 'node:child_process'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { holderAddress } from '../shared/runtime/folder-holder.ts'
import { holdDataFolder, listenAsHolder, openDataFolder } from './data-folder.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'backhaul-data-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('a folder that is held is refused to a second holder, which is told by whom', async () => {
  const held = await holdDataFolder(folder)
  await expect(holdDataFolder(folder)).rejects.toThrow(
    new RegExp(`STANDALONE_DATA_HELD.*BACKHAUL_DATA_DIR.*held by process ${process.pid}`),
  )
  await held.release()
  await (await holdDataFolder(folder)).release()
})

test('two spellings of one folder meet in the same hold', async () => {
  const other = `${folder}-link`
  symlinkSync(folder, other)
  const held = await holdDataFolder(folder)
  await expect(holdDataFolder(other)).rejects.toThrow('STANDALONE_DATA_HELD')
  await held.release()
  rmSync(other)
})

test('a holder that was killed leaves nothing behind', async () => {
  const script = `
    import { holdDataFolder } from ${JSON.stringify(join(import.meta.dirname, 'data-folder.ts'))}
    await holdDataFolder(${JSON.stringify(folder)})
    console.log('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
  await expect(holdDataFolder(folder)).rejects.toThrow(`held by process ${child.pid}`)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
  await (await holdDataFolder(folder)).release()
})

test('where sockets are files, a dead one is replaced and a live one respected', async () => {
  const address = holderAddress(folder, 'darwin')
  writeFileSync(address, '')
  const server = await listenAsHolder(folder, address)
  await expect(listenAsHolder(folder, address)).rejects.toThrow('STANDALONE_DATA_HELD')
  await new Promise((resolve) => server.close(resolve))
})

test('a folder of another format is refused, naming the setting and both formats', async () => {
  writeFileSync(join(folder, 'format.json'), '{"format":99}')
  await expect(holdDataFolder(folder)).rejects.toThrow(
    /STANDALONE_DATA_FORMAT.*expected format 1 .*BACKHAUL_DATA_DIR.*received 99/,
  )
  writeFileSync(join(folder, 'format.json'), 'garbage')
  await expect(holdDataFolder(folder)).rejects.toThrow('STANDALONE_DATA_FORMAT')
})

test('a path that cannot be a folder is refused', async () => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  await expect(holdDataFolder(join(file, 'below'))).rejects.toThrow(
    /STANDALONE_DATA_UNUSABLE.*BACKHAUL_DATA_DIR/,
  )
})

test('a folder is made together with those above it', async () => {
  const deep = join(folder, 'a', 'b', 'c')
  await (await holdDataFolder(deep)).release()
  expect(statSync(deep).isDirectory()).toBe(true)
})

test('where no folder can be made, that is said at once', async () => {
  // Linux answers "no such entry" below /proc, elsewhere /proc itself cannot be made.
  await expect(holdDataFolder('/proc/backhaul/data')).rejects.toThrow(
    /STANDALONE_DATA_UNUSABLE.*BACKHAUL_DATA_DIR.*\/proc\/backhaul\/data/,
  )
})

test('a secret is made once, kept, and readable by its owner alone', async () => {
  const held = await holdDataFolder(folder)
  const secret = held.secret('seal-key')
  expect(Buffer.from(secret, 'base64')).toHaveLength(32)
  expect(held.secret('seal-key')).toBe(secret)
  expect(held.secret('pseudonym-key')).not.toBe(secret)
  const file = join(folder, 'secrets', 'seal-key')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readFileSync(file, 'utf8')).toBe(secret)
  await held.release()
})

test('a second process opens what a server made, beside it and after it', async () => {
  const held = await holdDataFolder(folder)
  const sealKey = held.secret('seal-key')
  const opened = openDataFolder(folder)
  expect(opened).toMatchObject({
    path: folder,
    logFolder: held.logFolder,
    speedFolder: held.speedFolder,
    objectsFolder: held.objectsFolder,
  })
  expect(opened.secret('seal-key')).toBe(sealKey)
  expect(await opened.holder()).toEqual({ processId: process.pid })
  expect(await held.holder()).toEqual({ processId: process.pid })
  await held.release()
  expect(await opened.holder()).toBeUndefined()
  expect(await openDataFolder(folder).holder()).toBeUndefined()
})

test('a holder that is stopped holds the folder, though it cannot say who it is', async () => {
  const script = `
    import { holdDataFolder } from ${JSON.stringify(join(import.meta.dirname, 'data-folder.ts'))}
    await holdDataFolder(${JSON.stringify(folder)})
    console.log('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
  child.kill('SIGSTOP')
  await expect
    .poll(() => openDataFolder(folder).holder(), { interval: 10 })
    .toEqual({ processId: undefined })
  child.kill('SIGKILL')
  await ended
  expect(await openDataFolder(folder).holder()).toBeUndefined()
})

test('what no server made is not opened, nor made', () => {
  for (const path of [folder, join(folder, 'absent')])
    expect(() => openDataFolder(path)).toThrow(/STANDALONE_DATA_ABSENT.*BACKHAUL_DATA_DIR/)
  expect(readdirSync(folder)).toEqual([])
  writeFileSync(join(folder, 'format.json'), '{"format":99}')
  expect(() => openDataFolder(folder)).toThrow(/STANDALONE_DATA_FORMAT.*received 99/)
})
