import { runSeed } from './simulation/run-seed.ts'
const [from, to, trace] = process.argv.slice(2)
const t0 = process.cpuUsage()
let bad = 0
let sum = { calls: 0, steps: 0, virtualMs: 0 }
for (let seed = Number(from); seed < Number(to); seed++) {
  const r = await runSeed(seed, trace ? (l) => process.stdout.write(l) : undefined)
  sum.calls += r.counts.calls
  sum.steps += r.counts.steps
  sum.virtualMs += r.counts.virtualMs
  if (r.violations.length) {
    bad++
    console.log(seed, r.violations.slice(0, 3).join('\n   ').slice(0, 1500))
  }
}
const t = process.cpuUsage(t0)
console.log({ bad, cpuMs: (t.user + t.system) / 1000, ...sum })
