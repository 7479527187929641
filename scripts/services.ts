/**
 * `npm run services -- up kafka [--brokers 3] | up cassandra | up gcs | up bigquery | status | logs kafka | down [kafka]`: real
 * services on this machine, for tests by hand, benchmarks and development. `prefetch` only fetches what they run
 * from. With `--data DIR` as the first argument they live there instead of in a temporary folder.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  defaultServicesFolder,
  isUp,
  logText,
  statusLines,
  takeDown,
  type ServiceCommand,
} from './services/command-line.ts'
import { prepareChartTools } from './helm/tools.ts'
import { prepareCassandra } from './services/cassandra.ts'
import { prepareBigQuery } from './services/bigquery.ts'
import { bigQueryCommand } from './services/bigquery/command.ts'
import { hasGo } from './services/artefacts.ts'
import { cassandraCommand } from './services/cassandra/command.ts'
import { prepareGcs } from './services/gcs.ts'
import { gcsCommand } from './services/gcs/command.ts'
import { prepareKafka } from './services/kafka.ts'
import { prepareK6 } from './services/k6.ts'
import { kafkaCommand } from './services/kafka/command.ts'

/** Every service that can be started; each has a file of its own in `services/`. */
const SERVICES: Readonly<Record<string, ServiceCommand>> = {
  kafka: kafkaCommand,
  cassandra: cassandraCommand,
  gcs: gcsCommand,
  bigquery: bigQueryCommand,
}

function usage(): Error {
  const ups = Object.entries(SERVICES).map(([name, service]) => `up ${name} ${service.usage}`)
  const rest = ['status', 'logs NAME', 'down [NAME]', 'prefetch']
  return new Error(`usage: npm run services -- [--data DIR] ${[...ups, ...rest].join(' | ')}`)
}

function serviceNamed(name: string | undefined): ServiceCommand {
  const service = name === undefined ? undefined : SERVICES[name]
  if (service === undefined) throw usage()
  return service
}

type Verb = (root: string, name: string | undefined, options: readonly string[]) => Promise<void>

const VERBS: Readonly<Record<string, Verb>> = {
  async up(root, name, options) {
    const service = serviceNamed(name)
    const folder = join(root, name ?? '')
    if (isUp(folder)) throw new Error(`${name} is up already: npm run services -- down ${name}`)
    console.log(`services: starting ${name}, data in ${folder}`)
    console.log(`services: ${name} is ready: ${await service.up(folder, options)}`)
  },
  async status(root) {
    const lines = startedIn(root).flatMap((service) => statusLines(join(root, service)))
    console.log(lines.length === 0 ? 'services: none is up' : lines.join('\n'))
  },
  async logs(root, name) {
    serviceNamed(name)
    console.log(logText(join(root, name ?? '')))
  },
  async down(root, name) {
    for (const service of name === undefined ? startedIn(root) : [name]) {
      serviceNamed(service)
      console.log(`services: taking ${service} down`)
      await takeDown(join(root, service))
    }
  },
  async prefetch() {
    console.log(`services: kafka runs from ${prepareKafka()}`)
    console.log(`services: cassandra runs from ${prepareCassandra()}`)
    console.log(`services: bigquery runs from ${prepareBigQuery()}`)
    if (!hasGo())
      return console.log('services: gcs, k6 and helm are built by Go, which is not installed')
    console.log(`services: gcs is ${prepareGcs()}`)
    console.log(`services: k6 is ${prepareK6()}`)
    console.log(`services: helm is ${prepareChartTools().helm}`)
  },
}

function startedIn(root: string): string[] {
  return existsSync(root) ? readdirSync(root) : []
}

async function run(root: string, args: readonly string[]): Promise<void> {
  const [name, service, ...options] = args
  const verb = name === undefined ? undefined : VERBS[name]
  if (verb === undefined) throw usage()
  await verb(root, service, options)
}

function main(): Promise<void> {
  const args = process.argv.slice(2)
  const [flag, folder, ...rest] = args
  if (flag === '--data' && folder !== undefined) return run(resolve(folder), rest)
  return run(defaultServicesFolder(join(import.meta.dirname, '..')), args)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
