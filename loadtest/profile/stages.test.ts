import { expect, test } from 'vitest'
import type { ProfileNode } from './inspector.ts'
import { stageShares } from './stages.ts'

const ROOT_URL = 'file:///repository/'

function node(
  id: number,
  functionName: string,
  file: string,
  children: number[] = [],
): ProfileNode {
  const url = file === '' || file.startsWith('node:') ? file : `${ROOT_URL}${file}`
  return { id, callFrame: { functionName, url }, children }
}

const nodes = [
  node(1, '(root)', '', [2, 3, 4, 5, 9]),
  node(2, '(idle)', ''),
  node(3, '(program)', ''),
  node(4, '(garbage collector)', ''),
  node(5, 'receive', 'gateway/connection.ts', [6, 8]),
  node(6, 'scan', 'shared/events/scan/frame-scanner.ts', [7]),
  node(7, 'scan', ''),
  node(8, '#sendAck', 'gateway/connection.ts'),
  node(9, 'encode', 'shared/kafka/record-batch.ts', [10]),
  node(10, 'zstdCompressSync', 'node:zlib', [11]),
  node(11, 'writeSync', ''),
]

test('each sample counts for the innermost stage on its stack', () => {
  const samples = [3, 4, 5, 6, 7, 8, 9, 10, 11, 11]
  expect(Object.fromEntries(stageShares({ nodes, samples }, ROOT_URL))).toEqual({
    'sockets: µWebSockets.js and the kernel': 0.1,
    'garbage collection': 0.1,
    'connections: intake, credit, rates': 0.1,
    // What is compiled at start has no file: it counts for the scanner, which calls it.
    'decode and validate': 0.2,
    acknowledge: 0.1,
    'encode batches': 0.1,
    'compress (zstd)': 0.3,
  })
})

test('time in which the thread had nothing to do is no part of the whole', () => {
  const shares = stageShares({ nodes, samples: [2, 2, 2, 4] }, ROOT_URL)
  expect([...shares]).toEqual([['garbage collection', 1]])
})
