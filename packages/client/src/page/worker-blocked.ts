/** How to make the Content-Security-Policy permit the worker. */
export const workerBlocked =
  'the Content-Security-Policy does not permit the worker that sends heart-beats. A timer sends them, which browsers throttle in hidden tabs. Add worker-src blob: to the policy.'

/** Calls `blocked` when the Content-Security-Policy blocks a worker like that of the connection. Returns a function that ends this. */
export function onWorkerBlocked(blocked: () => void): () => void {
  const violated = ({ effectiveDirective, blockedURI }: SecurityPolicyViolationEvent) => {
    if (effectiveDirective === 'worker-src' && blockedURI === 'blob') blocked()
  }
  document.addEventListener('securitypolicyviolation', violated)
  return () => document.removeEventListener('securitypolicyviolation', violated)
}
