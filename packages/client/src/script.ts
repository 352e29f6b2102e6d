/** All of the client in one file, with the bell registered: for pages without a bundler. */
import { TidingsBell } from './bell/index.ts'
import { webPush } from './push/index.ts'

TidingsBell.push = webPush()

export * from './bell/index.ts'
export * from './index.ts'
export { webPush } from './push/index.ts'
