/** A release from its install to its end on a real API server, and what is not as it should be on the way. */
import { type KubernetesObject, objectOf } from '../../scripts/helm/kubernetes-client.ts'
import { whilePlayed } from '../../scripts/helm/played-hooks.ts'
import type { Release } from '../../scripts/helm/release.ts'
import { UNKNOWN_FIELD, withUnknownField } from '../../scripts/helm/unknown-field.ts'
import { contentOf, differences } from '../../scripts/helm/stored.ts'

/** A value that every role is told. */
const CHANGED = ['--set', 'settings.BACKHAUL_LOG_LEVEL=debug']
/** How helm begins to say that a hook, and nothing else, has stopped an install. */
const FAILED_HOOK = 'failed pre-install: resource Job/'
const RECORD_OF_HELM = 'Secret/sh.helm.release.'
/** Made by who played the controllers. */
const NOT_OF_THE_RELEASE = new Set(['ServiceAccount/default'])

/** Each list says what was found, one line a finding. */
export interface ReleaseLife {
  readonly objects: number
  readonly changedByUpgrade: number
  readonly madeAfterFailedMigration: readonly string[]
  readonly notDeployed: readonly string[]
  readonly notStored: readonly string[]
  readonly takenWithUnknownField: readonly string[]
  readonly notBroughtBack: readonly string[]
  readonly left: readonly string[]
}

export async function liveThrough(release: Release): Promise<ReleaseLife> {
  const { client, namespace } = release
  const played = (work: () => Promise<void>) =>
    whilePlayed({ client, namespace, ends: 'succeeds' }, work)
  await release.prepare()
  const madeAfterFailedMigration = await afterFailedMigration(release)

  await played(() => release.install())
  const notDeployed = await unlessDeployed(release, 1)
  const manifest = await release.manifest()
  const notStored = await notAsRendered(release)
  const installed = await contents(release)
  const takenWithUnknownField = await takenThoughWrong(release, manifest)
  await played(() => release.test())

  await played(() => release.upgrade(...CHANGED))
  notDeployed.push(...(await unlessDeployed(release, 2)))
  notStored.push(...(await notAsRendered(release)))
  const upgraded = await contents(release)

  await release.rollback(1)
  notDeployed.push(...(await unlessDeployed(release, 3)))
  notStored.push(...(await notAsRendered(release)))
  const rolledBack = await contents(release)

  await release.uninstall()
  return {
    objects: manifest.length,
    changedByUpgrade: unequal(installed, upgraded).length,
    madeAfterFailedMigration,
    notDeployed,
    notStored,
    takenWithUnknownField,
    notBroughtBack: unequal(installed, rolledBack),
    left: await namesBut(release, [`Pod/${namespace}-backhaul-smoke`]),
  }
}

/** What there is of a release whose migration failed, but for the migration itself. */
async function afterFailedMigration(release: Release): Promise<string[]> {
  const { client, namespace } = release
  const job = `Job/${namespace}-backhaul-schema-migration`
  const failure = await whilePlayed({ client, namespace, ends: 'fails' }, () =>
    release.install().then(() => 'nothing failed', String),
  )
  const made = await namesBut(release, [job])
  await release.uninstall()
  return failure.includes(FAILED_HOOK) ? made : [...made, `the release: ${failure}`]
}

async function unlessDeployed(release: Release, revision: number): Promise<string[]> {
  const found = await release.status()
  const isSo = found.status === 'deployed' && found.revision === revision
  return isSo ? [] : [`revision ${revision}: ${JSON.stringify(found)}`]
}

/** Where what is stored is not what the newest revision renders. */
async function notAsRendered(release: Release): Promise<string[]> {
  const found: string[] = []
  for (const document of await release.manifest()) {
    const rendered = objectOf(document)
    const stored = await release.client.stored(rendered, release.namespace)
    const paths = stored === undefined ? [' is not there'] : differences(rendered, stored)
    found.push(...paths.map((path) => `${nameOf(rendered)}${path}`))
  }
  return found
}

/** The objects that the server would take with a field that their kind does not have. */
async function takenThoughWrong(release: Release, manifest: string[]): Promise<string[]> {
  const taken: string[] = []
  for (const document of manifest) {
    const refusal = await release.client.refusal(withUnknownField(document), release.namespace)
    if (!(refusal?.includes(UNKNOWN_FIELD) ?? false)) taken.push(document)
  }
  return taken
}

/** What users have said of each object of the release, by its name. */
async function contents(release: Release): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const document of await release.manifest()) {
    const rendered = objectOf(document)
    const stored = await release.client.stored(rendered, release.namespace)
    found.set(nameOf(rendered), stored === undefined ? '' : contentOf(stored))
  }
  return found
}

function unequal(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name))
}

/** Everything of the namespace but what helm keeps of releases, and what is expected. */
async function namesBut(release: Release, expected: readonly string[]): Promise<string[]> {
  const objects = await release.client.all(release.namespace)
  const names = objects.map(nameOf).filter((name) => !name.startsWith(RECORD_OF_HELM))
  const known = new Set([...NOT_OF_THE_RELEASE, ...expected])
  const missing = expected.filter((name) => !names.includes(name)).map((name) => `no ${name}`)
  return [...names.filter((name) => !known.has(name)), ...missing]
}

function nameOf({ kind, metadata }: KubernetesObject): string {
  return `${kind}/${metadata.name}`
}
