import { tokenVariables } from './token.ts'

/** A longer name may differ by more characters. Short names resemble those of other programs: OPS_PORT and APP_PORT. */
const minLengthForOneEdit = 9
const minLengthForTwoEdits = 16

/** Names that begin like this belong to Tidings. The services share an environment, and not every one reads all of them. */
const ownPrefix = /^(?:MEMBER|SERVICE)_JW/
const withOwnPrefix: ReadonlySet<string> = new Set(Object.keys({ ...tokenVariables('MEMBER'), ...tokenVariables('SERVICE') }))

/**
 * Returns the given names that are probably misspelt settings, each with a message that names the mend. A name is one if it begins like
 * those of the tokens, or if it nearly equals a known name that is not given. Other variables belong to other programs.
 */
export function misspeltNames(given: readonly string[], known: readonly string[]): { name: string; message: string }[] {
  const unset = known.filter((name) => !given.includes(name))
  return given
    .filter((name) => !known.includes(name) && !withOwnPrefix.has(name))
    .flatMap((name) => {
      const meant = unset.find((each) => editsBetween(name.toUpperCase(), each) <= allowedEdits(each))
      if (meant !== undefined) return [{ name, message: `is not a setting: rename it to ${meant}, or remove it` }]
      return ownPrefix.test(name) ? [{ name, message: 'is not a setting: correct its name, or remove it' }] : []
    })
}

function allowedEdits({ length }: string): number {
  if (length < minLengthForOneEdit) return 0
  return length < minLengthForTwoEdits ? 1 : 2
}

/** Returns the least number of insertions, deletions, replacements and exchanges of neighbours that make one text of the other. */
function editsBetween(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let at = 1; at <= b.length; at++) {
      const same = a[row - 1] === b[at - 1]
      const exchanged = a[row - 1] === b[at - 2] && a[row - 2] === b[at - 1]
      current[at] = Math.min(
        (last[at] ?? 0) + 1,
        (current[at - 1] ?? 0) + 1,
        (last[at - 1] ?? 0) + (same ? 0 : 1),
        exchanged ? (beforeLast[at - 2] ?? Infinity) + 1 : Infinity,
      )
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}
