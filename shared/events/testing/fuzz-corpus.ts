/**
 * Frames that take a scanner where it may go wrong: each came from a bound, a rule of JSON or a
 * difference once found. The test cuts each at every byte and changes every byte of it.
 */
const frame = (events: string, session = '{"sessionId":"s"}') =>
  `{"v":1,"frame":0,"sentAt":5,"session":${session},"events":[${events}]}`
const event = (rest: string) => `{"seq":1,"type":"custom","at":2,"name":"n"${rest}}`

export const FUZZ_CORPUS: readonly string[] = [
  frame('{"seq":0,"type":"heartbeat","at":1795217990000,"playheadMs":1,"bufferMs":2}'),
  frame(
    '{"at":999999999,"seq":1000000,"type":"playbackStall"},{"at":1000000000,"seq":0,"type":"seekEnd"}',
  ),
  frame('{"type":"playbackRateUpdate","playbackRate":0.001,"seq":0,"at":0}'),
  frame('{"type":"renditionUpdate","frameRate":29.97,"widthPx":65535,"seq":0,"at":0}'),
  frame('{"type":"playbackFail","code":"é","domain":"drm","message":"日🎬","seq":0,"at":0}'),
  frame('{"type":"playbackRequest","seq":0,"at":0},{"type":"playbackStart","seq":0,"at":0}'),
  // Lengths are counted in characters: 32 and 33 of them, of two units each.
  frame(
    `{"type":"adBreakEnd","position":"${'🎬'.repeat(32)}","seq":0,"at":0},{"type":"adBreakEnd","position":"${'🎬'.repeat(33)}","seq":1,"at":0}`,
  ),
  // A field of another type, right and wrong for it.
  frame('{"type":"seekEnd","seq":0,"at":0,"code":""},{"type":"seekEnd","seq":0,"at":0,"code":"c"}'),
  // Names: twice, unknown twice, escaped, inherited, cut.
  frame(`${event(',"seq":2')},${event(',"x":1,"y":2,"x":3')},${event(String.raw`,"s\u0065q":6`)}`),
  frame(`${event(',"__proto__":1')},${event(',"toString":"x"')},${event(',"":null')}`),
  frame(`${event(',"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1')}`),
  frame(`${event(',"se":1,"seqq":2,"typ":3')}`),
  // Values that JSON has in several spellings.
  frame('{"seq":-0,"type":"seekEnd","at":1},{"seq":1.0,"type":"seekEnd","at":1e3}'),
  frame('{"seq":1000000000000000,"type":"seekEnd","at":9999999999999999}'),
  frame(`${event(',"x":1.50,"y":0.05,"z":true')},${event(',"x":{"seq":1},"y":[[]]')}`),
  frame(String.raw`{"seq":1,"type":"custom","at":2,"name":"\ud83c\udfac","value":"\ud83c"}`),
  frame(String.raw`{"seq":1,"type":"custom","at":2,"name":"\"}","value":"\\"}`),
  // What is no event.
  frame('7,null,"{",[],{},[{}]'),
  // Contexts.
  frame(
    event(''),
    '{"sessionId":"s","labels":{"a":"1","__proto__":"x"},"device":{"type":"tv","x":1}}',
  ),
  frame(event(''), '{"country":"DE","sessionId":"s","autoplay":true,"labels":{},"player":{}}'),
  frame(
    event(''),
    '{"sessionId":"s","streamType":"lowLatencyLive","contentTitle":"日本","isp":""}',
  ),
  frame(event(''), '{"sessionId":"s","viewerId":"v","sessionId":"t"}'),
  frame(event(''), '{"sessionId":"s","x":[1,{"sessionId":"t"}]}'),
  // The frame itself.
  ` { "v" : 1 , "frame" : 0 , "sentAt" : 5 , "session" : {"sessionId":"s"} , "events" : [ ${event('')} ] } `,
  `{"events":[${event('')}],"session":{"sessionId":"s"},"sentAt":0,"v":1}`,
  `{"v":1,"frame":9007199254740991,"sentAt":253402300799999,"session":{"sessionId":"s"},"events":[7]}`,
]
