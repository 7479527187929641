/**
 * What an expression of PromQL asks for: its metrics with the labels that each is selected by, and the
 * labels that results are grouped or matched by. Parsed by the grammar of Prometheus itself.
 */
import { parser } from '@prometheus-io/lezer-promql'

export interface Asked {
  readonly selectors: readonly { readonly metric: string; readonly labels: readonly string[] }[]
  /** Of `by`, `without`, `on`, `ignoring` and `group_left`. */
  readonly grouping: readonly string[]
}

type Tree = ReturnType<typeof parser.parse>
type SyntaxNode = Tree['topNode']

/** Throws a plain Error on what is not PromQL. */
export function askedBy(expression: string): Asked {
  const tree = parser.parse(expression)
  const selectors: { metric: string; labels: string[] }[] = []
  const grouping: string[] = []
  tree.iterate({
    enter({ node, type }) {
      if (type.isError)
        throw new Error(`no PromQL at ${node.from}: ${expression.slice(node.from, node.from + 40)}`)
      if (type.name === 'VectorSelector') selectors.push(selectorOf(node, expression))
      if (type.name === 'GroupingLabels') grouping.push(...labelsOf(node, expression))
    },
  })
  return { selectors, grouping }
}

function selectorOf(node: SyntaxNode, expression: string) {
  const name = node.getChild('Identifier')
  if (name === null) throw new Error(`a selector without a metric: ${textOf(node, expression)}`)
  const matchers = node.getChild('LabelMatchers')
  const labels = matchers?.getChildren('UnquotedLabelMatcher') ?? []
  return {
    metric: textOf(name, expression),
    labels: labels.flatMap((matcher) => labelsOf(matcher, expression)),
  }
}

function labelsOf(node: SyntaxNode, expression: string): string[] {
  return node.getChildren('LabelName').map((label) => textOf(label, expression))
}

function textOf({ from, to }: SyntaxNode, expression: string): string {
  return expression.slice(from, to)
}
