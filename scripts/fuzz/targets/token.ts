/**
 * A token, as a text of anybody's, and with a header and claims of anybody's under the right
 * secret. Nobody comes in whose token the secret did not sign with HS256.
 */
import { createHmac } from 'node:crypto'
import { authErrors } from '../../../shared/auth/auth-errors.ts'
import {
  bearerFromAuthorization,
  bearerFromSubprotocols,
  createTokenVerifier,
} from '../../../shared/auth/token-verifier.ts'
import { ManualClock } from '../../../shared/runtime/clock.ts'
import { assert } from '../../../shared/runtime/errors.ts'
import { codeOf, textOf, utf8, type FuzzTarget } from '../target.ts'

const SECRET = 'a secret of at least thirty-two characters'
const NOW_MS = 1_795_218_000_000
const OPTIONS = { mode: 'hs256', secret: SECRET, jwksUrl: '', issuer: '', audience: '' } as const
const verifier = createTokenVerifier(OPTIONS, new ManualClock(NOW_MS))

const HEADER = '{"alg":"HS256","typ":"JWT"}'
const CLAIMS = `{"sub":"ann","scope":"write","exp":${NOW_MS / 1_000 + 600}}`

/** Header and claims are a line each. */
export const tokenTarget: FuzzTarget = {
  name: 'token',
  seeds: [
    `${HEADER}\n${CLAIMS}`,
    `{"alg":"none"}\n${CLAIMS}`,
    `{"alg":"RS256","kid":"../../etc/passwd","jwk":{"kty":"oct","k":"AA"},"jku":"http://127.0.0.1/"}\n${CLAIMS}`,
    `{"alg":"HS256","crit":["exp"],"b64":false,"zip":"DEF"}\n${CLAIMS}`,
    `${HEADER}\n{"scopes":["write"],"exp":1795219000,"nbf":1795217000,"iat":0,"aud":["a"]}`,
    signed(utf8(HEADER), utf8(CLAIMS)),
    `Bearer ${signed(utf8(HEADER), utf8(CLAIMS))}`,
    `playback.v1, bearer.${Buffer.from(signed(utf8(HEADER), utf8(CLAIMS))).toString('base64url')}`,
  ].map(utf8),
  words: [
    ...'HS256 HS512 RS256 none None "alg": "kid": "crit": "b64":false "exp": "nbf":'.split(' '),
    ...'"scope":"write" "scopes":["write"] "sub":"" null [] {} . .. bearer. = "__proto__":'.split(
      ' ',
    ),
    '\n',
  ],
  async judge(bytes) {
    const text = textOf(bytes)
    const [head, ...claims] = text.split('\n')
    const tokens = [
      text,
      bearerFromAuthorization(text),
      bearerFromSubprotocols(text),
      signed(utf8(head ?? ''), utf8(claims.join('\n'))),
    ]
    const verdicts: string[] = []
    for (const token of tokens) verdicts.push(await verdictOf(token))
    return verdicts.join(' ')
  },
}

async function verdictOf(token: string | undefined): Promise<string> {
  try {
    const { scopes, subject } = await verifier.verify(token, 'write')
    assert(scopes.includes('write'), 'whoever comes in has the scope')
    assert(token !== undefined && isOurs(token), 'a token that the secret did not sign comes in')
    return `in with ${scopes.length}${subject === undefined ? '' : ' and a subject'}`
  } catch (error) {
    return codeOf(error, authErrors.catalogue)
  }
}

function signed(header: Uint8Array, claims: Uint8Array): string {
  const content = [header, claims].map((part) => Buffer.from(part).toString('base64url')).join('.')
  return `${content}.${hmac(content).toString('base64url')}`
}

/** Judged apart from the library: base64 has several spellings of the same bytes. */
function isOurs(token: string): boolean {
  const [header = '', claims = '', signature = '', ...rest] = token.split('.')
  const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg?: unknown }
  const found = Buffer.from(signature, 'base64url')
  return rest.length === 0 && alg === 'HS256' && found.equals(hmac(`${header}.${claims}`))
}

function hmac(content: string): Buffer {
  return createHmac('sha256', SECRET).update(content).digest()
}
