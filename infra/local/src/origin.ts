/** The Origin that a service of {@link startService} allows and that a test session sends, unless told otherwise. */
export const localOrigin = 'http://localhost:8080'
