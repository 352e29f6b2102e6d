/** The Origin that services allow and test sessions send by default. */
export const localOrigin = 'http://localhost:8080'
