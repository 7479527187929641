import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { assembleImage, PRODUCT_FOLDERS } from './tree.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const PACKAGE = '{"version":"1.0.0"}'

let home: string
let source: string
let target: string

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'backhaul-tree-'))
  source = join(home, 'source')
  target = join(home, 'image')
  for (const folder of PRODUCT_FOLDERS) put(`${folder}/main.ts`)
  for (const path of ['LICENSE', 'package.json', 'scripts/image/entrypoint.ts']) put(path)
  put('node_modules/node/package.json', PACKAGE)
  put('node_modules/node/bin/node')
  lock({ 'node_modules/node': {} })
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

function put(path: string, text = ''): void {
  mkdirSync(dirname(join(source, path)), { recursive: true })
  writeFileSync(join(source, path), text)
}

function lock(packages: Readonly<Record<string, object>>): void {
  const locked = Object.entries(packages).map(([path, entry]) => [
    path,
    { version: '1.0.0', ...entry },
  ])
  put('package-lock.json', JSON.stringify({ packages: { '': {}, ...Object.fromEntries(locked) } }))
}

const holds = (path: string) => existsSync(join(target, path))

it('takes product files of every kind, and no tests', () => {
  const taken = ['shared/log/a.ts', 'batch/sql/a.sql', 'serving/dashboard/app.css']
  const left = [
    'shared/log/a.test.ts',
    'shared/log/a.services.test.ts',
    'shared/log/a.contract.ts',
    'shared/log/testing/b.ts',
    'loadtest/load.ts',
    'scripts/test.ts',
  ]
  for (const path of [...taken, ...left]) put(path)
  const parts = assembleImage(source, target)
  expect(taken.filter((path) => !holds(path))).toEqual([])
  expect(left.filter(holds)).toEqual([])
  expect(parts.map(({ name, files }) => [name, files])).toEqual([
    ['product', PRODUCT_FOLDERS.length + 3 + taken.length],
    ['packages', 1],
    ['node', 1],
  ])
})

it('takes of a package what a program reads, and its licence', () => {
  const taken = ['index.js', 'lib/test/needed.js', 'data.json', 'LICENSE.md']
  const left = ['index.d.ts', 'index.js.map', 'README.md', 'test/a.js', 'binding.gyp']
  const native = [`a.abi${process.versions.modules}.node`, 'a.abi1.node', 'a.musl.node']
  put('node_modules/a/package.json', PACKAGE)
  for (const path of [...taken, ...left, ...native]) put(`node_modules/a/${path}`)
  put('node_modules/a/node_modules/b/package.json', PACKAGE)
  put('node_modules/a/node_modules/c/package.json', PACKAGE)
  lock({ 'node_modules/node': {}, 'node_modules/a': {}, 'node_modules/a/node_modules/b': {} })
  assembleImage(source, target)
  const inPackage = (path: string) => holds(`node_modules/a/${path}`)
  expect(taken.filter((path) => !inPackage(path))).toEqual([])
  expect(left.filter(inPackage)).toEqual([])
  expect(native.filter(inPackage)).toEqual([native[0]])
  expect(inPackage('node_modules/b/package.json')).toBe(true)
  expect(inPackage('node_modules/c')).toBe(false)
})

it('takes packages of production for this system alone', () => {
  put('node_modules/a/package.json', PACKAGE)
  put('node_modules/dev/package.json', PACKAGE)
  lock({
    'node_modules/node': {},
    'node_modules/a': { os: [process.platform] },
    'node_modules/dev': { dev: true },
    'node_modules/elsewhere': { os: ['aix'], optional: true },
  })
  assembleImage(source, target)
  expect(holds('node_modules/a/package.json')).toBe(true)
  expect(holds('node_modules/dev')).toBe(false)
})

it('refuses packages that are not those of package-lock.json', () => {
  lock({ 'node_modules/node': {}, 'node_modules/a': {} })
  expect(() => assembleImage(source, target)).toThrow('found nothing: run npm ci')
  put('node_modules/a/package.json', '{"version":"0.9.0"}')
  expect(() => assembleImage(source, target)).toThrow('found 0.9.0: run npm ci')
})

it('refuses a folder that has files', () => {
  mkdirSync(target)
  writeFileSync(join(target, 'a'), '')
  expect(() => assembleImage(source, target)).toThrow('absent or empty')
})

it('leaves nobody the right to write to a file', () => {
  assembleImage(source, target)
  expect(statSync(join(target, 'shared', 'main.ts')).mode & 0o777).toBe(0o444)
})

it('the build of the image is given every folder that it takes', () => {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
  const missing = PRODUCT_FOLDERS.filter((folder) => !lines.includes(`!${folder}`))
  expect(missing).toEqual([])
})
