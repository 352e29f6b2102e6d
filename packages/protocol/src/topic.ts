/** A name, or the beginning of names followed by `*`. */
const topicPattern = /^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,127}\*?|\*)$/

/** Most patterns that the claim `topics` of a token may have. */
export const maxTopicPatterns = 100

/** True for the pattern of topics: a name such as `team.7`, or the beginning of names followed by `*`, such as `order.*`. */
export function isTopicPattern(text: string): boolean {
  return topicPattern.test(text)
}

/** Returns whether a topic matches a pattern. */
export function topicMatches(pattern: string, topic: string): boolean {
  return pattern.endsWith('*') ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern
}
