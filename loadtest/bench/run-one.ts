/**
 * One benchmark in a process of its own: `node run-one.ts <name> <events a frame> <events>`, for
 * `state` and `recovery` `<frames a session> <sessions>`. Run one after another in one process they would slow each
 * other down, through its heap and its types. The results go to standard output as one line of JSON.
 */
import { benchAcksBesideBatch } from './ack-bench.ts'
import { benchDecodeAndFold, benchFold } from './fold-bench.ts'
import { benchGateway } from './gateway-bench.ts'
import { benchProcessor } from './processor-bench.ts'
import { benchRecovery } from './recovery-bench.ts'
import { benchRelay } from './relay-bench.ts'
import type { BenchResult } from './results.ts'
import {
  benchDecode,
  benchDecodeByParsing,
  benchEncode,
  benchValidate,
  benchValidateByParsing,
} from './stage-bench.ts'
import { benchState } from './state-bench.ts'

type Bench = (
  eventsPerFrame: number,
  events: number,
) => BenchResult | readonly BenchResult[] | Promise<BenchResult | readonly BenchResult[]>

const BENCHES = {
  validate: benchValidate,
  validateByParsing: benchValidateByParsing,
  encode: benchEncode,
  decode: benchDecode,
  decodeByParsing: benchDecodeByParsing,
  fold: benchFold,
  decodeAndFold: benchDecodeAndFold,
  state: benchState,
  gateway: benchGateway,
  relay: benchRelay,
  processor: benchProcessor,
  recovery: benchRecovery,
  acksBesideBatch: benchAcksBesideBatch,
} satisfies Readonly<Record<string, Bench>>

export type BenchName = keyof typeof BENCHES

const [name = '', eventsPerFrame, events] = process.argv.slice(2)
const bench: Bench | undefined = new Map<string, Bench>(Object.entries(BENCHES)).get(name)
if (bench === undefined)
  throw new TypeError(`a benchmark of ${Object.keys(BENCHES).join(', ')}; received ${name}`)
console.log(JSON.stringify([await bench(Number(eventsPerFrame), Number(events))].flat()))
