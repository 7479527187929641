/**
 * Objects whose numbers stand side by side in one array. As fields of its own, a number of more than
 * 31 bits is an object beside the object that has it; a million sessions have tens of each.
 *
 * `class Part extends packedNumbers({ playingMs: 0, startupMs: NaN })` has them as fields all the
 * same, with these first values; what may be missing is not a number.
 */
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
    Object.defineProperty(PackedNumbers.prototype, name, {
      get(this: PackedNumbers) {
        return this.numbers[index]
      },
      set(this: PackedNumbers, value: number) {
        this.numbers[index] = value
      },
    })
  return PackedNumbers as new () => PackedNumbers & Packed<Initial>
}

/** What may be missing, as the rest of the code says it. */
export function orUndefined(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value
}
