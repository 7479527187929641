/** The token that a smoke test bears: one it is given, or one of its own under the shared secret. */
import { SignJWT } from 'jose'
import type { Clock } from '../../../shared/runtime/clock.ts'
import type { BackhaulConfig } from '../../../shared/runtime/settings.ts'
import { SMOKE_TOKEN_MS } from '../limits.ts'

/** `undefined` where there is neither; services that ask for one then refuse. */
export async function smokeToken(
  given: string | undefined,
  { authMode, authSecret, authIssuer, authAudience }: BackhaulConfig,
  clock: Clock,
): Promise<string | undefined> {
  if (given !== undefined) return given
  if (authMode !== 'hs256') return undefined
  const expiresAtSeconds = Math.ceil((clock.nowMs() + SMOKE_TOKEN_MS) / 1_000)
  const token = new SignJWT({ scope: 'write read' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(expiresAtSeconds)
  if (authIssuer !== '') token.setIssuer(authIssuer)
  if (authAudience !== '') token.setAudience(authAudience)
  return await token.sign(new TextEncoder().encode(authSecret))
}
