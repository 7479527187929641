/** A defect that whoever judges resources must see, whatever their kind. */
export const UNKNOWN_FIELD = 'noSuchField'

/** A resource (a YAML document) with a field that no kind has, in its specification where it has one. */
export function withUnknownField(document: string): string {
  const field = `${UNKNOWN_FIELD}: 1`
  return /^spec:$/m.test(document)
    ? document.replace(/^spec:$/m, `spec:\n  ${field}`)
    : `${document.trimEnd()}\n${field}\n`
}
