/**
 * The file tree of the image: what the roles run from, and nothing else. Product folders are taken
 * whole but for tests, so that no file is missed that is found by its path and not by an import.
 * Nobody may write to a file of it.
 */
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { isUnreadFile, isUnreadFolder, productionPackages } from './packages.ts'

/** The sources that run as they stand. */
export const PRODUCT_FOLDERS = [
  'batch',
  'client',
  'gateway',
  'processor',
  'serving',
  'shared',
  'standalone',
]
export const ENTRYPOINT = join('scripts', 'image', 'entrypoint.ts')
/** The Node that everything is tested with: a package, of the version that package-lock.json pins. */
export const NODE = join('node_modules', 'node', 'bin', 'node')

const ROOT_FILES = ['LICENSE', 'package.json', ENTRYPOINT]
const TEST_FILE = /\.(test|contract)\.ts$/
const TEST_FOLDER = /(^|\/)testing$/
const READABLE = 0o444
const RUNNABLE = 0o555

/** What a part of the tree weighs. */
export interface Weight {
  readonly name: string
  readonly files: number
  readonly bytes: number
}

/** Copies what the roles run from out of `root` into `target`, which must be absent or empty. */
export function assembleImage(root: string, target: string): Weight[] {
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new Error(`the folder of an image must be absent or empty; found files in ${target}`)
  return partsOf(root).map(({ name, paths }) => {
    let bytes = 0
    for (const path of paths) bytes += copyFile(join(root, path), join(target, path))
    return { name, files: paths.length, bytes }
  })
}

function partsOf(root: string) {
  const sources = PRODUCT_FOLDERS.flatMap((folder) => [
    ...filesIn(root, folder, {
      isFileLeftOut: (path) => TEST_FILE.test(path),
      isFolderLeftOut: (path) => TEST_FOLDER.test(path),
    }),
  ])
  const packages = productionPackages(root).flatMap((folder) => {
    const within = (path: string) => path.slice(folder.length + 1)
    return [
      ...filesIn(root, folder, {
        isFileLeftOut: (path) => path === NODE || isUnreadFile(within(path)),
        isFolderLeftOut: (path) => isUnreadFolder(within(path)),
      }),
    ]
  })
  return [
    { name: 'product', paths: [...ROOT_FILES, ...sources] },
    { name: 'packages', paths: packages },
    { name: 'node', paths: [NODE] },
  ]
}

interface LeftOut {
  isFileLeftOut(path: string): boolean
  isFolderLeftOut(path: string): boolean
}

/** Paths from `root` of the files in a folder of it. */
function* filesIn(root: string, folder: string, leftOut: LeftOut): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (!entry.isDirectory()) {
      if (!leftOut.isFileLeftOut(path)) yield path
    } else if (!leftOut.isFolderLeftOut(path)) yield* filesIn(root, path, leftOut)
  }
}

/** Returns the file's size. */
function copyFile(from: string, to: string): number {
  const { mode, size } = statSync(from)
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, to, constants.COPYFILE_FICLONE)
  chmodSync(to, (mode & 0o111) === 0 ? READABLE : RUNNABLE)
  return size
}
