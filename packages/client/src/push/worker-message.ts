import type { Shown } from '../page/browser-notification.ts'

/** What the service worker asks of the page. */
export interface WorkerMessageListener {
  /** It has shown a notification. */
  shown(): void
  /** A notification was clicked. Returns whether this page can open it: not one of another member. */
  opens(clicked: Shown): boolean
  /** Of the pages that can, this one is to open it. */
  open(redirectPath: string): void
}

/** Passes on what the service worker posts. Returns a function that ends this. */
export function onWorkerMessage(listener: WorkerMessageListener): () => void {
  if (!('serviceWorker' in navigator)) return () => {}
  const { serviceWorker } = navigator
  const received = ({ data, ports: [port] }: MessageEvent<(Shown & { tidings?: unknown; redirectPath?: string }) | null>) => {
    if (data?.tidings === 'shown') listener.shown()
    if (data?.tidings !== 'click' || !port || !listener.opens(data)) return
    port.addEventListener('message', () => {
      if (data.redirectPath !== undefined) listener.open(data.redirectPath)
    })
    port.start()
    port.postMessage(true)
  }
  serviceWorker.addEventListener('message', received)
  return () => serviceWorker.removeEventListener('message', received)
}
