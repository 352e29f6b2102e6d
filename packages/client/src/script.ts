/** All of the client in one file, with the bell registered: for pages without a bundler. */
export * from './bell/index.ts'
export * from './index.ts'
