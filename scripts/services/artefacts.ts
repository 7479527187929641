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

/** The plugin that copies a pom's jars, pinned like the jars themselves. */
const COPY_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'

function cacheFolder(): string {
  return process.env['BACKHAUL_CACHE_DIR'] ?? join(homedir(), '.cache', 'backhaul')
}

/** The folder of the jars that a pom lists, fetched from Maven Central when it is not there yet. */
export function mavenJars(pomPath: string): string {
  const name = basename(dirname(pomPath))
  const key = createHash('sha256').update(readFileSync(pomPath)).digest('hex').slice(0, 12)
  const folder = join(cacheFolder(), `${name}-${key}`)
  if (existsSync(folder)) return folder
  console.log(`services: fetching the jars of ${name} into ${folder}`)
  mkdirSync(cacheFolder(), { recursive: true })
  const partial = mkdtempSync(join(cacheFolder(), `.${name}-`))
  try {
    const goal = [COPY_GOAL, '-DincludeScope=runtime', `-DoutputDirectory=${partial}`]
    runTool('mvn', ['-B', '-ntp', '-q', '-f', pomPath, ...goal])
    // Two fetches at once end with the same files; the later one finds its place taken.
    if (!existsSync(folder)) renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return folder
}

/** The class path of a Java program whose sources lie beside their pom, compiled when it is not yet. */
export function javaProgram(sources: string): string {
  const jars = mavenJars(join(sources, 'pom.xml'))
  const files = readdirSync(sources).filter((name) => name.endsWith('.java'))
  const paths = files.toSorted().map((name) => join(sources, name))
  const hash = createHash('sha256').update(jars)
  for (const path of paths) hash.update(readFileSync(path))
  const name = `${basename(sources)}-classes`
  const folder = join(cacheFolder(), `${name}-${hash.digest('hex').slice(0, 12)}`)
  const classPath = `${folder}:${join(jars, '*')}`
  if (existsSync(folder)) return classPath
  console.log(`services: compiling ${basename(sources)} into ${folder}`)
  const partial = mkdtempSync(join(cacheFolder(), `.${name}-`))
  try {
    runTool('javac', ['--release', '17', '-cp', join(jars, '*'), '-d', partial, ...paths])
    if (!existsSync(folder)) renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return classPath
}

/** The folder of the program that Go builds from a published module, built when it is not there yet. */
export function goTool(module: string, version: string): string {
  const folder = join(cacheFolder(), `${basename(module)}-${version}`)
  if (existsSync(folder)) return folder
  console.log(`services: building ${module} ${version} into ${folder}`)
  mkdirSync(cacheFolder(), { recursive: true })
  const partial = mkdtempSync(join(cacheFolder(), `.${basename(module)}-`))
  try {
    runTool('go', ['install', `${module}@${version}`], { GOBIN: partial })
    if (!existsSync(folder)) renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return folder
}

/** The folder of a virtual environment with the packages that a list pins, made when it is not there yet. */
export function pythonPackages(requirementsPath: string, finish: (folder: string) => void): string {
  const name = basename(dirname(requirementsPath))
  const key = createHash('sha256').update(readFileSync(requirementsPath)).digest('hex').slice(0, 12)
  const folder = join(cacheFolder(), `${name}-${key}`)
  if (existsSync(folder)) return folder
  console.log(`services: fetching the packages of ${name} into ${folder}`)
  mkdirSync(cacheFolder(), { recursive: true })
  const partial = mkdtempSync(join(cacheFolder(), `.${name}-`))
  try {
    runTool('python3', ['-m', 'venv', partial])
    const install = ['-m', 'pip', 'install', '-q', '--no-deps', '-r', requirementsPath]
    runTool(join(partial, 'bin', 'python'), install)
    finish(partial)
    if (!existsSync(folder)) renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return folder
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
    env: { ...process.env, ...environment },
  })
  if (error !== undefined) throw new Error(`${command} cannot be run`, { cause: error })
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} exited with ${status}:\n${stdout}${stderr}`)
  return stdout
}
