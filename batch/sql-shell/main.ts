/**
 * `npm run sql`: answers one statement, or asks for statements. It reads the objects of
 * BACKHAUL_DATA_DIR, or of the bucket GCS_BUCKET, beside a running server and writes nothing there.
 */
import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { openObjectStore, readObjectStoreSettings } from '../../shared/objects/open-object-store.ts'
import { systemClock } from '../../shared/runtime/clock.ts'
import { configErrors, readConfig, refuseUnknownSettings } from '../../shared/runtime/config.ts'
import { failureText, runMain } from '../../shared/runtime/failure.ts'
import { systemRandom } from '../../shared/runtime/random.ts'
import { backhaulConfig } from '../../shared/runtime/settings.ts'
import { openWarehouse, readWarehouseSettings } from '../../shared/warehouse/open-warehouse.ts'
import type { RowFormat } from './rows-as-text.ts'
import { type Answer, SqlShell } from './shell.ts'

const USAGE = `npm run sql -- [--json | --csv] [--max-rows N] [--timeout SECONDS] ["SELECT …"]

Without a statement, a shell: \\? lists its commands. Exit codes: 0 answered, 1 failed, 2 usage.

  npm run sql -- "SELECT COUNT(*) AS sessions FROM sessions"
  npm run -s sql -- --csv "SELECT * FROM qoe_minute WHERE cut = 'cdn'" > cdn.csv
  BACKHAUL_DATA_DIR=/var/lib/backhaul npm run sql`

/** Memory of one statement; beyond, it spills into the system's temporary folder. */
const MEMORY_MAX_BYTES = 1024 * 1024 * 1024
/** A server may run beside: it keeps the other cores. */
const THREADS = 1

interface SqlArguments {
  readonly statement: string | undefined
  readonly format: RowFormat
  readonly maxRows: number
  readonly timeoutMs: number
}

async function main(): Promise<void> {
  const wanted = argumentsOrUsage()
  if (wanted === undefined) return
  const { statement, format, maxRows, timeoutMs } = wanted
  const readFile = (path: string) => readFileSync(path, 'utf8')
  const { dataDir } = readConfig(backhaulConfig, process.env, readFile)
  const { gcs, specs } = readObjectStoreSettings(process.env, readFile)
  const { bigQuery, specs: ofWarehouse } = readWarehouseSettings(process.env, readFile, gcs)
  refuseUnknownSettings([backhaulConfig, ...specs, ...ofWarehouse], process.env)
  const folder = join(dataDir, 'objects')
  if (gcs === undefined && !existsSync(folder))
    throw configErrors.create('CONFIG_INVALID', {
      expected: 'BACKHAUL_DATA_DIR to name the data folder of a server',
      received: dataDir,
    })
  const store = await openObjectStore({ gcs, folder, clock: systemClock, random: systemRandom })
  const warehouse = await openWarehouse({
    bigQuery,
    store,
    temporaryFolder: tmpdir(),
    memoryMaxBytes: MEMORY_MAX_BYTES,
    threads: THREADS,
    clock: systemClock,
    random: systemRandom,
  })
  const shell = new SqlShell({ warehouse, format, limits: { maxRows, timeoutMs } })
  try {
    if (statement === undefined) await talk(shell)
    else show(await shell.run(statement))
  } finally {
    await warehouse.close()
    await store.close()
  }
}

async function talk(shell: SqlShell): Promise<void> {
  const atTerminal = process.stdin.isTTY
  await shell.learn()
  if (atTerminal) console.log('Backhaul’s history, read-only. \\? for help.')
  const prompt = () => (shell.continues ? '  … ' : 'sql> ')
  const lines = createInterface({
    input: process.stdin,
    ...(atTerminal && { output: process.stdout }),
    prompt: prompt(),
    completer: (line: string) => shell.complete(line),
  })
  const ask = () => {
    lines.setPrompt(prompt())
    if (atTerminal) lines.prompt()
  }
  lines.on('SIGINT', () => {
    shell.cancel().then(
      (cancelled) => {
        if (cancelled) return
        shell.clear()
        console.log('')
        ask()
      },
      (error: unknown) => console.error(failureText(error)),
    )
  })
  ask()
  for await (const line of lines) {
    const answer = await shell.line(line)
    show(answer)
    if (answer.ended) return
    ask()
  }
  show(await shell.end())
}

/** A failure of any statement is the failure of the command. */
function show({ text, failed }: Answer): void {
  if (failed) process.exitCode = 1
  if (text !== '') (failed ? console.error : console.log)(text)
}

function argumentsOrUsage(): SqlArguments | undefined {
  try {
    return readArguments()
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    console.error(`${error.message}\n\n${USAGE}`)
    process.exitCode = 2
    return undefined
  }
}

function readArguments(): SqlArguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      csv: { type: 'boolean', default: false },
      'max-rows': { type: 'string', default: '10000' },
      timeout: { type: 'string', default: '300' },
    },
  })
  if (positionals.length > 1) throw new TypeError('one statement, in quotes')
  if (values.json && values.csv) throw new TypeError('one of --json and --csv')
  return {
    statement: positionals[0],
    format: values.json ? 'json' : values.csv ? 'csv' : 'aligned',
    maxRows: readCount('max-rows', values['max-rows'], 1_000_000),
    timeoutMs: readCount('timeout', values.timeout, 3_600) * 1_000,
  }
}

function readCount(name: string, text: string, max: number): number {
  const count = Number(text)
  if (!/^\d+$/.test(text) || count < 1 || count > max)
    throw new TypeError(`--${name} must be from 1 to ${max}, received ${text}`)
  return count
}

await runMain(main)
