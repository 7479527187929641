/** What is proven of the chart beyond what every run of the tests does. */
import { join } from 'node:path'
import { parse } from 'yaml'
import { Chart, KUBERNETES_VERSIONS } from '../../scripts/helm/chart.ts'
import {
  customResourceDefinitions,
  DEFINITION_SOURCES,
} from '../../scripts/helm/custom-resources.ts'
import { problemsOf, VALIDATED_KUBERNETES } from '../../scripts/helm/kubectl-validate.ts'
import { KubernetesApi } from '../../scripts/helm/kubernetes-api.ts'
import type { KubernetesObject } from '../../scripts/helm/kubernetes-client.ts'
import { Release } from '../../scripts/helm/release.ts'
import { prepareChartTools } from '../../scripts/helm/tools.ts'
import { UNKNOWN_FIELD, withUnknownField } from '../../scripts/helm/unknown-field.ts'
import { none, told } from './claims.ts'
import type { Claim, Proof } from './proof.ts'
import { liveThrough, type ReleaseLife } from './release-life.ts'

const CHART = join(import.meta.dirname, '..', '..', 'helm', 'backhaul')
const [, NEWEST = ''] = KUBERNETES_VERSIONS
const DEFINITIONS = DEFINITION_SOURCES.map(({ module, version }) => `${module} ${version}`)

const helmValidate: Proof = {
  name: 'helm-validate',
  shows:
    "every resource of every example of the chart is as Kubernetes' schemas and the definitions of custom resources say",
  minutes: 8,
  run({ said }) {
    const chart = new Chart(CHART, prepareChartTools())
    const rendered = chart.examples.map((values) => chart.render(values, NEWEST))
    const resources = rendered.flatMap(({ ofKubernetes, custom }) => [...ofKubernetes, ...custom])
    const custom = rendered.flatMap((example) => example.custom)
    const problems = problemsOf(resources).filter((problem) => problem !== undefined)
    for (const problem of problems) said(problem)
    // A validator that does not know a kind must not let it pass.
    const seen = problemsOf(resources.map(withUnknownField))
    const unseen = resources.filter((_, at) => !(seen[at]?.includes(UNKNOWN_FIELD) ?? false))
    for (const resource of unseen) said(`an unknown field is not seen in:\n${resource}`)
    return Promise.resolve({
      claims: [
        none('resources that are refused', problems.length),
        none('resources in which an unknown field is not seen', unseen.length),
        told('resources', resources.length),
        told('of them custom resources', custom.length),
        told('kinds of custom resources', kindsOf(custom).length),
      ],
      details: {
        kubernetes: VALIDATED_KUBERNETES,
        definitions: DEFINITIONS,
        customKinds: kindsOf(custom),
      },
    })
  },
}

const helmInstall: Proof = {
  name: 'helm-install',
  shows:
    'a real API server of Kubernetes takes every example of the chart: install, test, upgrade, rollback and uninstall (no nodes; hooks are ended by the proof)',
  minutes: 15,
  async run({ said }) {
    const tools = prepareChartTools()
    const { helm } = tools
    const chart = new Chart(CHART, tools)
    const api = await KubernetesApi.start()
    try {
      await api.define(customResourceDefinitions())
      const lives: ReleaseLife[] = []
      for (const example of chart.examples) {
        const values = ['--values', chart.pathOf(example)]
        const name = example.replace('-values.yaml', '')
        const life = await liveThrough(new Release({ helm, api, name, folder: CHART, values }))
        said(`${name}: ${life.objects} objects, ${life.changedByUpgrade} changed by the upgrade`)
        lives.push(life)
      }
      return { claims: claimsOf(lives, said), details: { definitions: DEFINITIONS } }
    } finally {
      await api.stop()
    }
  },
}

function claimsOf(lives: readonly ReleaseLife[], said: (line: string) => void): Claim[] {
  const noneOf = (what: string, findings: (life: ReleaseLife) => readonly string[]): Claim => {
    const found = lives.flatMap(findings)
    for (const finding of found) said(`${what}: ${finding}`)
    return none(what, found.length)
  }
  return [
    noneOf('objects made although the migration failed', (life) => life.madeAfterFailedMigration),
    noneOf('revisions that are not deployed', (life) => life.notDeployed),
    noneOf('fields that are not stored as rendered', (life) => life.notStored),
    noneOf('objects that are taken with an unknown field', (life) => life.takenWithUnknownField),
    noneOf('objects that a rollback does not bring back', (life) => life.notBroughtBack),
    noneOf('objects that an uninstall leaves undocumented', (life) => life.left),
    {
      kind: 'correctness',
      what: 'objects of an example that an upgrade changes, at least',
      measured: Math.min(...lives.map(({ changedByUpgrade }) => changedByUpgrade)),
      unit: '',
      bound: { atLeast: 1 },
    },
    told(
      'objects',
      lives.reduce((sum, { objects }) => sum + objects, 0),
    ),
    told('examples', lives.length),
  ]
}

function kindsOf(documents: readonly string[]): string[] {
  const objects = documents.map((document) => parse(document) as KubernetesObject)
  return [...new Set(objects.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`))].toSorted()
}

export const chartProofs: readonly Proof[] = [helmValidate, helmInstall]
