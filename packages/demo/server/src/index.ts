export { demoServer } from './demo-server.ts'
export type { DemoOptions } from './options.ts'
export { builtPageDirectory } from './page.ts'
