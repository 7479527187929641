/** `helm/backhaul/README.md`: the values of the chart, from the comments of `values.yaml`. */
import { isMap, isScalar, parseDocument, type Pair, type YAMLMap } from 'yaml'

const HEAD = `# The chart

Backhaul on Kubernetes, on GKE first of all: gateway, relay, processor, serving, batch, what they are scaled, watched
and kept apart by. Kafka, Cassandra and the bucket are outside of it, by address and by the names of secrets. From an empty
project to the first event: [docs/gke.md](../../docs/gke.md).

\`\`\`
helm install backhaul helm/backhaul --namespace backhaul --create-namespace --values values.yaml
helm test backhaul --namespace backhaul --logs
\`\`\`

[\`ci/minimal-values.yaml\`](ci/minimal-values.yaml) is the least that it takes, [\`ci/production-values.yaml\`](ci/production-values.yaml)
what a production looks like, [\`ci/all-on-values.yaml\`](ci/all-on-values.yaml) has everything. A value that is not listed here
is refused, as is a setting that is not in [docs/config.md](../../docs/config.md).

This page is made from the comments of [\`values.yaml\`](values.yaml) by \`npm run docs\`.
`

interface Row {
  readonly path: string
  readonly fallback: string
  readonly meaning: string
}

export function valuesPage(valuesText: string): string {
  const { contents } = parseDocument(valuesText)
  if (!isMap(contents)) throw new TypeError('values.yaml must be a map')
  const sections = contents.items.map((pair) => section(pair as Pair))
  return [HEAD, ...sections].join('\n')
}

function section(pair: Pair): string {
  const title = keyOf(pair)
  const about = commentOf(pair)
  const rows =
    isMap(pair.value) && pair.value.items.length > 0
      ? rowsOf(pair.value, title)
      : [leaf(pair, title, about)]
  const undocumented = rows.filter(({ meaning }) => meaning === '').map(({ path }) => path)
  if (undocumented.length > 0 && about === '')
    throw new TypeError(`values.yaml: no comment on ${undocumented.join(', ')}`)
  return [
    `## \`${title}\``,
    '',
    ...(about === '' || !isMap(pair.value) ? [] : [about, '']),
    '| value | default | meaning |',
    '|---|---|---|',
    ...rows.map(({ path, fallback, meaning }) => `| \`${path}\` | ${fallback} | ${meaning} |`),
    '',
  ].join('\n')
}

/** Every value with a comment of its own, and every other that is no map. */
function rowsOf(map: YAMLMap, above: string): Row[] {
  return map.items.flatMap((item, index) => {
    const pair = item as Pair
    const path = `${above}.${keyOf(pair)}`
    // The comment above the first of a map is the map's.
    const own = commentOf(pair) || (index === 0 ? oneLine(map.commentBefore) : '')
    if (!isMap(pair.value) || (own !== '' && !hasComments(pair.value)))
      return [leaf(pair, path, own)]
    const head = own === '' ? [] : [{ path, fallback: '', meaning: own }]
    return [...head, ...rowsOf(pair.value, path)]
  })
}

/** Whether a map explains its values one by one. */
function hasComments({ commentBefore, items }: YAMLMap): boolean {
  return oneLine(commentBefore) !== '' || items.some((item) => commentOf(item as Pair) !== '')
}

function leaf(pair: Pair, path: string, meaning: string): Row {
  const value: unknown = isScalar(pair.value) ? pair.value.value : toPlain(pair.value)
  return { path, fallback: `\`${JSON.stringify(value)}\``, meaning }
}

function toPlain(node: unknown): unknown {
  return isNode(node) ? node.toJSON() : node
}

function isNode(node: unknown): node is { toJSON(): unknown } {
  return typeof node === 'object' && node !== null && 'toJSON' in node
}

function keyOf({ key }: Pair): string {
  return String(isScalar(key) ? key.value : key)
}

/** The comment right above. */
function commentOf({ key }: Pair): string {
  return isScalar(key) ? oneLine(key.commentBefore) : ''
}

function oneLine(comment: string | null | undefined): string {
  const lines = (comment ?? '').split('\n').map((line) => line.trim())
  return lines.join(' ').trim().replaceAll('|', '\\|')
}
