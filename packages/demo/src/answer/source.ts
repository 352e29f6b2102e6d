/** What the answer is based on. */
export interface Source {
  readonly title: string
  readonly url: string
}

/** The sources among the `data` events of a task: each may carry some, as `{"sources": [{"title", "url"}]}`. */
export function sourcesOf(data: readonly unknown[]): readonly Source[] {
  const listed = data.flatMap((each) => {
    const { sources } = (each ?? {}) as { sources?: unknown }
    return Array.isArray(sources) ? (sources as readonly unknown[]) : []
  })
  const sources = listed.filter(isSource)
  return sources.filter(({ url }, at) => sources.findIndex((other) => other.url === url) === at)
}

/** Only what leads to a page: a `javascript:` from a producer is none. */
function isSource(value: unknown): value is Source {
  const { title, url } = (value ?? {}) as { title?: unknown; url?: unknown }
  return typeof title === 'string' && typeof url === 'string' && /^(https?:\/\/|\/(?!\/))/.test(url)
}
