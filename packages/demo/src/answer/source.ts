/** A page that the answer is based on. */
interface Source {
  readonly title: string
  readonly url: string
}

/** Returns the distinct sources in the `data` events of a task. An event carries them as `{"sources": [{"title", "url"}]}`. */
export function sourcesOf(data: readonly unknown[]): readonly Source[] {
  const candidates = data.flatMap((each) => {
    const { sources } = (each ?? {}) as { sources?: unknown }
    return Array.isArray(sources) ? (sources as readonly unknown[]) : []
  })
  const sources = candidates.filter(isSource)
  return sources.filter(({ url }, index) => sources.findIndex((other) => other.url === url) === index)
}

/** Accepts http(s) URLs and paths of this site only, so that a producer cannot inject a `javascript:` link. */
function isSource(value: unknown): value is Source {
  const { title, url } = (value ?? {}) as { title?: unknown; url?: unknown }
  return typeof title === 'string' && typeof url === 'string' && /^(https?:\/\/|\/(?!\/))/.test(url)
}
