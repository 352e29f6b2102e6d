/** For the tests that hold PROTOCOL.md against the code. */
declare module '*.md?raw' {
  const text: string
  export { text as default }
}
