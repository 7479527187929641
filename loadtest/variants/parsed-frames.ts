/** Stands in for `shared/events/frame.ts`. */
export { parseFrame as decodeFrame } from '../../shared/events/frame-parse.ts'
