/** Sparse structures of aggregates: entries `[key, value]`, ascending by key. */

export type Sparse = readonly (readonly [key: number, value: number])[]

/** Merges them two by two, so that nothing is sorted again; `combine` joins the values of one key. */
export function mergeSparse(
  list: Iterable<Sparse>,
  combine: (left: number, right: number) => number,
): Sparse {
  let level = [...list]
  while (level.length > 1) {
    const next: Sparse[] = []
    for (let index = 0; index < level.length; index += 2)
      next.push(mergeTwo(level[index] ?? [], level[index + 1] ?? [], combine))
    level = next
  }
  return level[0] ?? []
}

function mergeTwo(
  left: Sparse,
  right: Sparse,
  combine: (left: number, right: number) => number,
): Sparse {
  if (left.length === 0) return right
  if (right.length === 0) return left
  const merged: (readonly [number, number])[] = []
  let rightIndex = 0
  for (const entry of left) {
    let other = right[rightIndex]
    for (; other !== undefined && other[0] < entry[0]; other = right[++rightIndex])
      merged.push(other)
    if (other?.[0] === entry[0]) {
      merged.push([entry[0], combine(entry[1], other[1])])
      rightIndex++
    } else merged.push(entry)
  }
  for (; rightIndex < right.length; rightIndex++) {
    const other = right[rightIndex]
    if (other !== undefined) merged.push(other)
  }
  return merged
}
