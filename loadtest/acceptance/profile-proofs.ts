/** CPU profiles of the gateway under load, with the compiled scanner and with JSON.parse and zod. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseLoadCommand } from '../load/command-line.ts'
import { profileLoad } from '../profile/profile-load.ts'
import { countClaims } from './count-claims.ts'
import type { Proof } from './proof.ts'

const MINUTES = 0.5
const AROUND_MINUTES = 0.5

export const PROFILED_FRAMES = [100, 10, 1] as const
type ProfiledFrame = (typeof PROFILED_FRAMES)[number]

/** Rates that both ways to judge a frame can hold; more frames of one event than k6 can send. */
const LOADS: Readonly<Record<ProfiledFrame, { readonly eps: number; readonly args: string[] }>> = {
  100: { eps: 100_000, args: [] },
  10: { eps: 100_000, args: [] },
  1: { eps: 15_000, args: ['--connections', '200', '--driver', 'sender'] },
}

export function profileName(frame: number, variant: 'product' | 'parsed-frames'): string {
  return `profile-${variant === 'product' ? 'scanned' : 'parsed'}-${frame}`
}

export const profileProofs: readonly Proof[] = PROFILED_FRAMES.flatMap((frame) => [
  profileProof(frame, 'parsed-frames'),
  profileProof(frame, 'product'),
])

function profileProof(frame: ProfiledFrame, variant: 'product' | 'parsed-frames'): Proof {
  const how = variant === 'product' ? 'the compiled scanner' : 'JSON.parse and zod'
  const name = profileName(frame, variant)
  const { eps, args } = LOADS[frame]
  return {
    name,
    shows: `ns an event at each stage, ${how}, ${eps / 1_000}K/s at ${frame} a frame`,
    minutes: MINUTES + AROUND_MINUTES,
    async run({ minutesMax, folder, said }) {
      const minutes = `${Math.min(MINUTES, minutesMax)}`
      const asked = ['--frame', `${frame}`, '--eps', `${eps}`, '--minutes', minutes]
      const command = parseLoadCommand(['steady', ...asked, '--variant', variant, ...args])
      const { report, profile, stages, totalNsPerEvent } = await profileLoad(command, said)
      const path = join(folder, `${name}.cpuprofile`)
      writeFileSync(path, JSON.stringify(profile))
      said(`profile in ${path}`)
      return {
        claims: [
          ...countClaims(report),
          { kind: 'told', what: 'the gateway', measured: totalNsPerEvent, unit: 'ns/event' },
        ],
        stages,
      }
    },
  }
}
