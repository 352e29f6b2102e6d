/** How long the key of a canary outlives its last one. */
const keepSeconds = 60

/**
 * Appends a canary to a history of one element and publishes it, atomically and with the commands that a publication needs: what
 * refuses publications (memory, read-only, too few replicas) refuses canaries.
 *
 * KEYS[1] is the history of the canary's channel, ARGV[1] the payload.
 */
export const canaryScript = (publish: 'PUBLISH' | 'SPUBLISH') => `
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -1, -1)
redis.call('EXPIRE', KEYS[1], ${keepSeconds})
redis.call('${publish}', string.match(KEYS[1], '^{(.+)}:history$'), ARGV[1])
`
