import { replaceModule } from './replace-module.ts'

replaceModule('shared/events/frame.ts', 'parsed-frames.ts')
