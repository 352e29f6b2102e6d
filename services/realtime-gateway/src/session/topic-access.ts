import { isTopicPattern, maxTopicPatterns, topicMatches } from '@tidings/protocol'

/** The topic that is open to all members. */
const topicOfAll = 'all'

/** Returns the patterns in the claim `topics` of a token. What is no array, or no pattern, permits nothing. */
export function topicPatternsOf(claim: unknown): readonly string[] {
  if (!Array.isArray(claim)) return none
  return claim.slice(0, maxTopicPatterns).filter((item) => typeof item === 'string' && isTopicPattern(item))
}

/** Shared by all sessions whose token permits no topics. */
const none: readonly string[] = []

/** Decides which topics a member may subscribe to (PROTOCOL.md §5, Destinations). */
export class TopicAccess {
  readonly #publicTopics: readonly string[]

  constructor(publicTopics: readonly string[]) {
    this.#publicTopics = publicTopics
  }

  /** `permitted`: the patterns in the token of the member. */
  allows(topic: string, permitted: readonly string[]): boolean {
    if (topic === topicOfAll) return true
    const matches = (pattern: string) => topicMatches(pattern, topic)
    return this.#publicTopics.some(matches) || permitted.some(matches)
  }
}
