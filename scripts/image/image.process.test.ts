/** What the image holds, and that each role starts from it with nothing else. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it, test } from 'vitest'
import { endMainProcesses } from '../../shared/http/testing/main-process.ts'
import { freePorts } from '../services/ports.ts'
import { sendEvent, TestImage } from './testing/test-image.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const DEADLINE_MS = 180_000
const SOON = { timeout: 120_000, interval: 200 }
/** What `gcr.io/distroless/cc-debian12` has beside root certificates. */
const BASE_LIBRARIES =
  /^(linux-vdso|ld-linux-[\w-]+|libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s)\.so/
/** Runs in a browser, which finds its imports by the paths that serving answers. */
const DASHBOARD = join('serving', 'dashboard')
const IMPORT = /^(?:import|export) (?!type\b)[^'"]*?from '([^']+)'|\bimport\('([^']+)'\)/gms

let image: TestImage
let paths: readonly string[]

beforeAll(() => {
  image = new TestImage()
  const entries = readdirSync(image.folder, { recursive: true, withFileTypes: true })
  paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(image.folder.length + 1))
}, DEADLINE_MS)
afterEach(endMainProcesses)
afterAll(() => image.remove(), DEADLINE_MS)

it('holds no test, no load generator and no package of development', () => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>
  }
  const development = Object.entries(lock.packages).filter(([, { dev }]) => dev === true)
  expect(development.length).toBeGreaterThan(10)
  expect(development.filter(([path]) => existsSync(join(image.folder, path)))).toEqual([])
  const product = paths.filter((path) => !path.startsWith('node_modules/'))
  expect(product.length).toBeGreaterThan(100)
  expect(product.filter((path) => /\.test\.|\.contract\.|testing\/|^loadtest/.test(path))).toEqual(
    [],
  )
  const weighed = image.weights.reduce((sum, { files }) => sum + files, 0)
  expect(weighed).toBe(paths.length)
})

it('holds whatever its sources import', () => {
  const missing = paths
    .filter((path) => path.endsWith('.ts') && !path.startsWith(DASHBOARD))
    .flatMap((path) => importsOf(path).filter((name) => !isThere(path, name)))
  expect(missing).toEqual([])
})

function importsOf(path: string): string[] {
  const matches = readFileSync(join(image.folder, path), 'utf8').matchAll(IMPORT)
  return [...matches].map(([, by, dynamic]) => by ?? dynamic ?? '')
}

function isThere(importer: string, name: string): boolean {
  if (name.startsWith('node:') || builtinModules.includes(name)) return true
  if (name.startsWith('.')) return existsSync(resolve(image.folder, dirname(importer), name))
  const [scope = '', within = ''] = name.split('/')
  const folder = scope.startsWith('@') ? join(scope, within) : scope
  return existsSync(join(image.folder, 'node_modules', folder))
}

it('needs no library that the base has not', () => {
  const native = paths.filter((path) => /\.node$|\.so$|bin\/node$/.test(path))
  expect(native.length).toBeGreaterThan(3)
  const needed = native.flatMap(librariesOf)
  expect(needed.length).toBeGreaterThan(native.length)
  expect(needed.filter((library) => !BASE_LIBRARIES.test(library))).toEqual([])
})

/** Names of the libraries that a binary needs, but for those that lie in the tree. */
function librariesOf(path: string): string[] {
  const { stdout } = spawnSync('ldd', [join(image.folder, path)], { encoding: 'utf8' })
  const outside = stdout.split('\n').filter((line) => !line.includes(image.folder))
  return outside.flatMap((line) => /^\s+(?:\S*\/)?(\S+\.so\S*)/.exec(line)?.[1] ?? [])
}

it(
  'starts each role, which refuses a setting that there is not',
  { timeout: DEADLINE_MS },
  async () => {
    const roles = ['gateway', 'relay', 'processor', 'serving', 'standalone']
    const settings = { BACKHAUL_LOG_LEVEL: 'silent', BACKHAUL_COLOUR: 'red' }
    const ended = await Promise.all(roles.map((role) => image.run([role], settings)))
    const refused = { exitCode: 1, stderr: expect.stringContaining('BACKHAUL_COLOUR') as unknown }
    expect(ended).toEqual(roles.map(() => expect.objectContaining(refused) as unknown))
  },
)

test.each([
  [[], 'none'],
  [['gatewya'], '"gatewya"'],
  [['constructor'], '"constructor"'],
])('a role there is not is named, with those that there are: %s', async (args, received) => {
  const { exitCode, stderr } = await image.run(args)
  expect(stderr).toContain('gateway, relay, processor, serving, standalone, backhaul')
  expect(stderr).toContain(`received ${received}`)
  expect(exitCode).toBe(64)
})

test(
  'standalone takes an event and has its session, and its batch runs',
  async () => {
    const [gatewayPort = 0, servingPort = 0] = await freePorts(2)
    const settings = {
      BACKHAUL_LOG_LEVEL: 'warn',
      BATCH_EVERY_MS: '0',
      GATEWAY_PORT: `${gatewayPort}`,
      SERVING_PORT: `${servingPort}`,
    }
    const standalone = image.start('standalone', servingPort, settings)
    const statusOf = async (path: string) => (await standalone.ask(path))?.status
    await expect.poll(() => statusOf('/readyz'), SOON).toBe(200)
    expect(await sendEvent(gatewayPort, 'from-the-image')).toBe(204)
    await expect.poll(() => statusOf('/v1/sessions/from-the-image'), SOON).toBe(200)
    const batch = await image.run(['backhaul', 'batch', 'run'], settings)
    expect(batch, batch.stderr).toMatchObject({ exitCode: 0 })
    standalone.signal('SIGTERM')
    expect(await standalone.ended, standalone.stderr).toBe(0)
  },
  DEADLINE_MS,
)
