/** Type of the documents that the tests import as text. */
declare module '*.md?raw' {
  const text: string
  export { text as default }
}
