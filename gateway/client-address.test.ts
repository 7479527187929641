import { expect, test } from 'vitest'
import { ClientAddresses, parseNetworks } from './client-address.ts'

const NONE = { hops: 0, networks: [] }
const PROXIES = { hops: 0, networks: ['10.0.0.0/8', 'fd00::/8'] }

test.each([
  ['no proxy is trusted: the header is not believed', NONE, '192.0.2.1', ['1.1.1.1'], '192.0.2.1'],
  [
    'one hop: its entry is the last',
    { hops: 1, networks: [] },
    '10.0.0.1',
    ['9.9.9.9', '1.1.1.1'],
    '1.1.1.1',
  ],
  [
    'two hops: the last but one',
    { hops: 2, networks: [] },
    '10.0.0.1',
    ['9.9.9.9', '1.1.1.1', '10.0.0.2'],
    '1.1.1.1',
  ],
  [
    'fewer entries than hops: the peer',
    { hops: 2, networks: [] },
    '192.0.2.1',
    ['1.1.1.1'],
    '192.0.2.1',
  ],
  [
    'an entry that is no address: the peer',
    { hops: 1, networks: [] },
    '10.0.0.1',
    ['unknown'],
    '10.0.0.1',
  ],
  [
    'the peer is no trusted proxy: its header is its own invention',
    PROXIES,
    '192.0.2.1',
    ['1.1.1.1'],
    '192.0.2.1',
  ],
  [
    'the nearest that is no trusted proxy',
    PROXIES,
    '10.0.0.1',
    ['9.9.9.9', '1.1.1.1', '10.0.0.2'],
    '1.1.1.1',
  ],
  ['proxies all the way: the farthest', PROXIES, '10.0.0.1', ['10.0.0.3', '10.0.0.2'], '10.0.0.3'],
  [
    'rubbish ends what is believed',
    PROXIES,
    '10.0.0.1',
    ['1.1.1.1', '<script>', '10.0.0.2'],
    '10.0.0.2',
  ],
  ['no header', PROXIES, '10.0.0.1', [], '10.0.0.1'],
  ['blanks and a port', PROXIES, '10.0.0.1', [' 1.1.1.1:4711 '], '1.1.1.1'],
  ['brackets and a port', PROXIES, 'fd00::1', ['[2001:db8:1:2::3]:443'], '2001:db8:1:2::/64'],
] as const)('%s', (...[, trust, peer, forwarded, client]) => {
  expect(new ClientAddresses(trust).of(peer, forwarded)).toBe(client)
})

test('one client is one, however its address is written', () => {
  const addresses = new ClientAddresses(NONE)
  const same = (texts: readonly string[]) =>
    new Set(texts.map((text) => addresses.of(text, []))).size
  expect(same(['1.2.3.4', '::ffff:1.2.3.4', '0000:0000:0000:0000:0000:ffff:0102:0304'])).toBe(1)
  expect(same(['2001:db8::1', '2001:0DB8:0000:0000:ffff:1:2:3', '2001:db8:0:0:5::'])).toBe(1)
  expect(same(['2001:db8::1', '2001:db8:0:1::1', '::1', '1.2.3.4'])).toBe(4)
})

test.each([
  '10.0.0.0',
  '10.0.0.0/33',
  'fd00::/129',
  '10.0.0/8',
  'proxy/8',
  '10.0.0.0/',
  '/8',
  '10.0.0.0/-1',
])('%s is no network', (text) => {
  expect(() => parseNetworks([text])).toThrow(TypeError)
})
