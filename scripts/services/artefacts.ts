/**
 * What services run from, fetched once and kept outside the work tree (`~/.cache/backhaul`, or
 * `BACKHAUL_CACHE_DIR`). A folder is named by what was asked for and appears only when complete, so
 * that a cut download is repeated and another version never meets this one's files.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** What a tool may print, such as the resources of a chart. */
const OUTPUT_MAX_BYTES = 64 * 2 ** 20
/** The plugin that copies a pom's jars, pinned like the jars themselves. */
const COPY_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'

function cacheFolder(): string {
  return process.env['BACKHAUL_CACHE_DIR'] ?? join(homedir(), '.cache', 'backhaul')
}

/** The folder of the jars that a pom lists, fetched from Maven Central when it is not there yet. */
export function mavenJars(pomPath: string): string {
  const name = basename(dirname(pomPath))
  return keptFolder(`${name}-${keyOf(pomPath)}`, `fetching the jars of ${name}`, (folder) => {
    const goal = [COPY_GOAL, '-DincludeScope=runtime', `-DoutputDirectory=${folder}`]
    runTool('mvn', ['-B', '-ntp', '-q', '-f', pomPath, ...goal])
  })
}

/** The class path of a Java program whose sources lie beside their pom, compiled when it is not yet. */
export function javaProgram(sources: string): string {
  const pom = join(sources, 'pom.xml')
  const jars = mavenJars(pom)
  const files = readdirSync(sources).filter((name) => name.endsWith('.java'))
  const paths = files.toSorted().map((name) => join(sources, name))
  const name = basename(sources)
  const key = keyOf(pom, ...paths)
  const compiled = keptFolder(`${name}-classes-${key}`, `compiling ${name}`, (folder) => {
    runTool('javac', ['--release', '17', '-cp', join(jars, '*'), '-d', folder, ...paths])
  })
  return `${compiled}:${join(jars, '*')}`
}

/** The folder of the program that Go builds from a published module, built when it is not there yet. */
export function goTool(module: string, version: string): string {
  const name = `${basename(module)}-${version}`
  return keptFolder(name, `building ${module} ${version}`, (folder) => {
    runTool('go', ['install', `${module}@${version}`], { GOBIN: folder })
  })
}

/** The folder of the programs that a go.mod names as its tools, built when they are not there yet. */
export function goTools(moduleFolder: string, linkerFlags = ''): string {
  const files = ['go.mod', 'go.sum'].map((name) => readFileSync(join(moduleFolder, name)))
  const key = keyOfContents([...files, linkerFlags])
  const name = basename(moduleFolder)
  return keptFolder(`${name}-${key}`, `building ${name}`, (folder) => {
    const install = ['install', `-ldflags=${linkerFlags}`, 'tool']
    runTool('go', ['-C', moduleFolder, ...install], { GOBIN: folder })
  })
}

/** The folder of a published module's files, which Go fetches and checks against the public checksums. */
export function goModule(module: string, version: string): string {
  const told = runTool('go', ['mod', 'download', '-json', `${module}@${version}`])
  return (JSON.parse(told) as { readonly Dir: string }).Dir
}

/** The folder of a virtual environment with the packages that a list pins, made when it is not there yet. */
export function pythonPackages(
  requirementsPath: string,
  finish: (folder: string) => void = () => undefined,
): string {
  const name = basename(dirname(requirementsPath))
  return keptFolder(
    `${name}-${keyOf(requirementsPath)}`,
    `fetching the packages of ${name}`,
    (folder) => {
      runTool('python3', ['-m', 'venv', folder])
      const install = ['-m', 'pip', 'install', '-q', '--no-deps', '-r', requirementsPath]
      runTool(join(folder, 'bin', 'python'), install)
      finish(folder)
    },
  )
}

/** A folder of the cache, which `make` fills when it is not there yet. */
export function keptFolder(name: string, doing: string, make: (folder: string) => void): string {
  const folder = join(cacheFolder(), name)
  if (existsSync(folder)) return folder
  console.log(`services: ${doing} into ${folder}`)
  mkdirSync(cacheFolder(), { recursive: true })
  const partial = mkdtempSync(join(cacheFolder(), `.${name}-`))
  try {
    make(partial)
    // Two at once end with the same files; the later one finds its place taken.
    if (!existsSync(folder)) renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return folder
}

/** Names what was asked for by what the files say. */
function keyOf(...paths: readonly string[]): string {
  return keyOfContents(paths.map((path) => readFileSync(path)))
}

function keyOfContents(contents: readonly (Buffer | string)[]): string {
  const hash = createHash('sha256')
  for (const content of contents) hash.update(content)
  return hash.digest('hex').slice(0, 12)
}

export function hasGo(): boolean {
  return spawnSync('go', ['version'], { stdio: 'ignore' }).status === 0
}

/** Runs a tool to its end and returns what it printed; throws with its output when it fails. */
export function runTool(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: OUTPUT_MAX_BYTES,
    env: { ...process.env, ...environment },
  })
  if (error !== undefined) throw new Error(`${command} cannot be run`, { cause: error })
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} exited with ${status}:\n${stdout}${stderr}`)
  return stdout
}
