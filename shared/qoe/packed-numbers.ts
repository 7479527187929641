/**
 * Objects whose numbers stand side by side in one array. As fields of its own, a number of more than
 * 31 bits is an object beside the object that has it; a million sessions have tens of each.
 *
 * `class Part extends packedNumbers({ playingMs: 0, startupMs: NaN })` has them as fields all the
 * same, with these first values; what may be missing is not a number.
 */
import { canCompile, compile } from '../events/scan/compile.ts'

type Packed<Initial> = { -readonly [Name in keyof Initial]: number }

export function packedNumbers<const Initial extends Readonly<Record<string, number>>>(
  initial: Initial,
): new () => Packed<Initial> {
  const entries = Object.entries(initial)
  // Begun with what is no small integer, so that the engine keeps numbers in it and no objects.
  const template = Array.from(entries, () => Number.NaN)
  for (const [index, [, value]] of entries.entries()) template[index] = value
  class PackedNumbers {
    // A copy is exactly as long as it must be.
    readonly numbers = template.slice()
  }
  for (const [index, [name]] of entries.entries())
    Object.defineProperty(PackedNumbers.prototype, name, accessorOf(index))
  return PackedNumbers as new () => PackedNumbers & Packed<Initial>
}

interface Accessor {
  get(this: { readonly numbers: number[] }): number
  set(this: { readonly numbers: number[] }, value: number): void
}

/**
 * Compiled with its index where code may be generated: of functions that share their code and differ
 * in what they close over, the engine makes calls, which would cost the fold a quarter of its speed.
 */
function accessorOf(index: number): Accessor {
  if (canCompile())
    return compile(
      `({ get() { return this.numbers[${index}] }, set(value) { this.numbers[${index}] = value } })`,
      {},
    )
  return {
    get() {
      return this.numbers[index] ?? Number.NaN
    },
    set(value) {
      this.numbers[index] = value
    },
  }
}

/** What may be missing, as the rest of the code says it. */
export function orUndefined(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value
}
