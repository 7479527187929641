/** A body of CMCD: what is taken of it meets the schema, the rest is refused by code. */
import { decodeCmcd } from '../../../shared/events/cmcd.ts'
import { eventErrors } from '../../../shared/events/event-errors.ts'
import { CMCD_RECORDS_MAX, DETAIL_MAX_CHARS } from '../../../shared/events/limits.ts'
import { eventSchema, sessionContextSchema } from '../../../shared/events/schema.ts'
import { assert } from '../../../shared/runtime/errors.ts'
import { textOf, utf8, type FuzzTarget } from '../target.ts'

const RECEIVED_AT_MS = 1_795_218_002_000
const IDENTITY = `sid="s",sn=3,ts=${RECEIVED_AT_MS},v=2`

export const cmcdTarget: FuzzTarget = {
  name: 'cmcd',
  seeds: [
    `cid="movie-1",e=ps,sta=s,${IDENTITY}\ncid="movie-1",e=ps,sta=p,${IDENTITY}\n`,
    `bl=(4200),br=(5000;v 128;a),e=bc,mtp=(8100),pr=1.5,sf=h,st=v,${IDENTITY}`,
    `cen="chapter \\"2\\"",e=ce,com.example-key=:aGk=:,${IDENTITY}`,
    `e=e,ec=("x" y;z=?0 1.5 @1795218002 %"%c3%bc"),${IDENTITY}`,
    `e=t,bg,nr,sf=d,${IDENTITY}\r\nnonsense\n\n,,`,
  ].map(utf8),
  words: 'e=ps sta= sid="s" sn= ts= br=( ;v ) ?1 :aGk=: %" @ , \n ;a=1 com.x-y= "\\"" 1.5 -1'.split(
    ' ',
  ),
  judge(bytes) {
    const { frames, rejected } = decodeCmcd(bytes, RECEIVED_AT_MS)
    const verdicts = new Set<string>()
    let events = 0
    for (const frame of frames) {
      sessionContextSchema.parse(frame.context)
      for (const event of frame.events) {
        events += 1
        eventSchema.parse(JSON.parse(textOf(event.bytes)))
        verdicts.add(event.type)
      }
    }
    for (const { code, detail } of rejected) {
      assert(code in eventErrors.catalogue, `${code} is in the catalogue`)
      assert(detail.length <= DETAIL_MAX_CHARS, `a detail of ${detail.length} characters`)
      verdicts.add(`${code} ${detail.slice(0, 12)}`)
    }
    assert(events + rejected.length <= CMCD_RECORDS_MAX + 1, `${events} events of one body`)
    return [...verdicts].toSorted().join()
  },
}
