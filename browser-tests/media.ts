/** Test media, made by ffmpeg: a counting test picture with a tone, as HLS of 2 s segments. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const SEGMENT_SECONDS = 2

/** Writes `master.m3u8`, `video.m3u8` and `segment-<n>.ts` into `folder`. */
export function makeHlsVideo(folder: string, seconds: number): void {
  const result = spawnSync(
    'ffmpeg',
    [
      '-hide_banner -loglevel error',
      `-f lavfi -i testsrc2=size=320x180:rate=25:duration=${seconds}`,
      `-f lavfi -i sine=frequency=330:duration=${seconds}`,
      '-c:v libx264 -preset ultrafast -profile:v baseline -pix_fmt yuv420p',
      '-b:v 300k -g 50 -keyint_min 50 -sc_threshold 0 -c:a aac -b:a 64k',
      `-f hls -hls_time ${SEGMENT_SECONDS} -hls_playlist_type vod`,
      '-hls_segment_filename segment-%d.ts video.m3u8',
    ].flatMap((words) => words.split(' ')),
    { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  if (result.status !== 0) throw new Error(`ffmpeg ended with ${result.status}`)
  writeFileSync(
    join(folder, 'master.m3u8'),
    '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=320x180,CODECS="avc1.42c015,mp4a.40.2"\nvideo.m3u8\n',
  )
}
