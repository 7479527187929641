/**
 * Which stage of the gateway a sample belongs to. A sample counts for the innermost function on its
 * stack whose file a stage names: what Node and the engine do is done for whoever called them.
 */
import type { CpuProfile, ProfileNode } from './inspector.ts'

export interface Stage {
  readonly name: string
  /** Of a function's file, from the repository's root, a `#`, and the function's name. */
  readonly places: RegExp
}

/** The first that matches counts. */
export const STAGES: readonly Stage[] = [
  { name: 'garbage collection', places: /#\(garbage collector\)$/ },
  { name: 'sockets: µWebSockets.js and the kernel', places: /^#\(program\)$/ },
  {
    name: 'compress (zstd)',
    places: /^(node:zlib|shared\/kafka\/zstd-context\.ts|.*\/compression\.js)#/,
  },
  {
    name: 'encode batches',
    places: /record-batch\.ts#|library-batches\.ts#|wasm|crc32c|\/records\.js#/,
  },
  {
    name: 'decode and validate',
    places:
      /^(shared\/events\/(scan|frame|decoded-frame|json-text|schema|issue-detail)|node_modules\/zod)/,
  },
  {
    name: 'enrich',
    places: /^(gateway\/enrichment|shared\/events\/(context|identity|same-context))/,
  },
  { name: 'encode records', places: /^shared\/log\/(record|partitioner|topics)\.ts/ },
  {
    name: 'acknowledge',
    places:
      /^gateway\/ack-window|^gateway\/connection\.ts#(#?acknowledge|#sendAck|#releaseCredit|flush|durable|#scheduleFlush|#send)$/,
  },
  {
    name: 'lanes and books',
    places:
      /^gateway\/(lane|lanes|lane-pacer|submission|ledger|byte-budget|copies|rejects|routes)\.ts/,
  },
  {
    name: 'produce (requests and answers)',
    places: /^(shared\/kafka|shared\/log\/kafka|node_modules\/(@platformatic|kafkajs))/,
  },
  {
    name: 'telemetry',
    places: /^(gateway\/telemetry|shared\/runtime\/telemetry|node_modules\/(prom-client|pino))/,
  },
  { name: 'connections: intake, credit, rates', places: /^(gateway|shared)\// },
]

export const OTHER = 'other'
const IDLE = '(idle)'
const ROOT = '(root)'

/** Share of the busy samples of each stage; the shares add up to 1. */
export function stageShares(profile: CpuProfile, rootUrl: string): ReadonlyMap<string, number> {
  const stageOf = stagesOfNodes(profile, rootUrl)
  const counts = new Map<string, number>()
  let busy = 0
  for (const sample of profile.samples) {
    const stage = stageOf.get(sample) ?? OTHER
    if (stage === IDLE) continue
    busy += 1
    counts.set(stage, (counts.get(stage) ?? 0) + 1)
  }
  return new Map(Array.from(counts, ([stage, count]) => [stage, count / Math.max(1, busy)]))
}

function stagesOfNodes({ nodes }: CpuProfile, rootUrl: string): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const stages = new Map<number, string>()
  const visit = (node: ProfileNode, outer: string) => {
    const own = stageOf(node, rootUrl) ?? outer
    stages.set(node.id, own)
    for (const id of node.children ?? []) {
      const child = byId.get(id)
      if (child !== undefined) visit(child, own)
    }
  }
  const root = nodes.find(({ callFrame }) => callFrame.functionName === ROOT)
  if (root !== undefined) visit(root, OTHER)
  return stages
}

function stageOf({ callFrame }: ProfileNode, rootUrl: string): string | undefined {
  const { functionName, url } = callFrame
  if (functionName === IDLE) return IDLE
  const file = url.startsWith(rootUrl) ? url.slice(rootUrl.length) : url
  const place = `${file}#${functionName}`
  return STAGES.find(({ places }) => places.test(place))?.name
}
