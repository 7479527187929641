import { expect, test } from 'vitest'
import { testTitles } from './test-titles.ts'

test('titles are those of tests, with what a table repeats, whatever its values hold', () => {
  const source = `
    describe('a group', () => {
      test('plain', () => { log('said (so') })
      it.each([['a)', 1], ["(b", 2]])('of each: %s', run)
      test.for(ROWS.map(({ id }) => id))(
        'broken into lines',
        run,
      )
    })
    latest('no test', 1)
    it(\`in other quotes\`, run)`
  expect([...testTitles(source)]).toEqual([
    'plain',
    'of each: %s',
    'broken into lines',
    'in other quotes',
  ])
})

test('what is skipped or planned is not there', () => {
  const source = `it.skip('skipped', run); test.todo('planned'); test.skipIf(no)('asks', run)`
  expect([...testTitles(source)]).toEqual(['asks'])
})
