export interface NotificationWorkerOptions {
  /** URL of the service worker, with `icon` and `badge` in the query. Default: `/tidings-worker.js`. */
  readonly worker?: string
  /** Its scope. Default: one of its own. For a worker of the product's own that contains this one: the scope of that. */
  readonly scope?: string
}

/** The service worker that shows notifications: `tidings-worker.js`, or a worker of the product's own that contains it. */
export class NotificationWorker {
  readonly #options: NotificationWorkerOptions
  readonly #apiUrl: string

  constructor(options: NotificationWorkerOptions, apiUrl: string) {
    this.#options = options
    this.#apiUrl = apiUrl
  }

  /** Resolves to undefined when it is not registered. */
  async find(): Promise<ServiceWorkerRegistration | undefined> {
    if (!('serviceWorker' in navigator)) return undefined
    const { scope } = this.#place()
    const registration = await navigator.serviceWorker.getRegistration(scope).catch(() => undefined)
    // Otherwise it is another worker of the product's, with a wider scope.
    return registration?.scope === scope && registration.active ? registration : undefined
  }

  /** Registers it, and resolves when it is active. Rejects when the file is not there, for instance. */
  async register(): Promise<ServiceWorkerRegistration> {
    const { url, scope } = this.#place()
    const registration = await navigator.serviceWorker.register(url, { scope })
    const starting = registration.installing ?? registration.waiting
    if (registration.active || !starting) return registration
    return new Promise((resolve, reject) => {
      starting.addEventListener('statechange', () => {
        if (registration.active) resolve(registration)
        else if (starting.state === 'redundant') reject(new Error('the service worker was not installed'))
      })
    })
  }

  /** The scope is one of its own by default, so that a worker that the product has registered for `/` stays. */
  #place(): { readonly url: string; readonly scope: string } {
    const { worker = '/tidings-worker.js', scope } = this.#options
    const url = new URL(worker, location.href)
    const apiUrl = this.#apiUrl
    if (new URL(apiUrl, location.href).origin !== location.origin && !url.searchParams.has('api'))
      url.searchParams.set('api', apiUrl)
    return { url: url.href, scope: new URL(scope ?? `${url.pathname}/`, location.href).href }
  }
}
