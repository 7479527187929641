/** Whether a command is one that there is, by the parser of its own. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommandArguments } from '../../batch/cli/arguments.ts'
import { COMMON_OPTIONS } from '../../batch/cli/command-line.ts'
import { commands } from '../../batch/cli/commands.ts'
import { parseAcceptanceCommand } from '../../loadtest/acceptance/command-line.ts'
import { PROOFS } from '../../loadtest/acceptance/proofs.ts'
import { parseLoadCommand } from '../../loadtest/load/command-line.ts'
import { parseSoakCommand } from '../../loadtest/soak/command-line.ts'
import { settingsOfFlags } from '../../standalone/arguments.ts'

type Parser = (args: readonly string[]) => unknown

const ROOT = join(import.meta.dirname, '..', '..')
const SERVICES_VERBS = ['up', 'down', 'status', 'logs', 'prefetch']

/** Of `npm run …` and its like. Whatever has none takes the flags that are named in its source. */
const PARSERS: Readonly<Record<string, Parser>> = {
  start: settingsOfFlags,
  backhaul: parseBackhaul,
  loadtest: parseLoadCommand,
  acceptance: (args) => parseAcceptanceCommand(args, PROOFS),
  soak: (args) => parseSoakCommand(args, 0),
  services: parseServices,
}

/** Throws an Error that says what is not known. */
export function checkCommand(words: readonly string[]): void {
  const [program, ...args] = words
  if (program === 'export') return
  if (program === 'npm') return checkNpm(args)
  if (program === 'npx' && args[0] === 'backhaul') return parseBackhaul(args.slice(1))
  if (program === 'node') return checkFlags(args[0] ?? '', args.slice(1))
  throw new Error(`nothing parses ${words.join(' ')}`)
}

function checkNpm(args: readonly string[]): void {
  const [verb = '', ...rest] = args
  if (verb === 'ci') return
  const named = verb === 'run' ? rest.filter((word) => word !== '-s') : [verb, ...rest]
  // `-s` may stand before the name of the script.
  const [name = '', ...given] = named
  const scripts = readScripts()
  const script = scripts[name]
  if (script === undefined) throw new Error(`package.json has no script ${JSON.stringify(name)}`)
  if (given.length > 0 && given[0] !== '--') throw new Error(`npm takes ${given[0]} for itself`)
  const own = given.slice(1)
  const parser = PARSERS[name]
  if (parser === undefined) checkFlags(/^node (\S+)/.exec(script)?.[1] ?? '', own)
  else parser(own)
}

function readScripts(): Readonly<Record<string, string>> {
  const text = readFileSync(join(ROOT, 'package.json'), 'utf8')
  return (JSON.parse(text) as { scripts: Record<string, string> }).scripts
}

function parseBackhaul(args: readonly string[]): void {
  if (args.length === 0 || args[0] === '--help') return
  const command = commands.find(({ name }) =>
    name.split(' ').every((word, index) => args[index] === word),
  )
  if (command === undefined) throw new Error(`there is no command ${args.join(' ')}`)
  const { name, positionals, options } = command
  const given = args.slice(name.split(' ').length)
  // Its name alone is no call of it.
  if (given.length === 0) return
  CommandArguments.parse(given, { name, positionals, options: { ...options, ...COMMON_OPTIONS } })
}

function parseServices(args: readonly string[]): void {
  const [verb = '', name] = args
  if (!SERVICES_VERBS.includes(verb)) throw new Error(`services has no verb ${verb}`)
  if (name !== undefined) checkFlags(`scripts/services/${name}/command.ts`, args.slice(2))
}

function checkFlags(script: string, args: readonly string[]): void {
  if (!existsSync(join(ROOT, script))) throw new Error(`there is no ${script}`)
  const source = readFileSync(join(ROOT, script), 'utf8')
  for (const arg of args) {
    const [, flag] = /^--([a-z-]+)/.exec(arg) ?? []
    if (flag !== undefined && !new RegExp(`\\b${flag}\\b`).test(source))
      throw new Error(`${script} does not know --${flag}`)
  }
}
