/** Finds the word that was meant by one that was mistyped. */

/** The number of letters to insert, remove, replace or swap with the next one to turn one word into another. */
const distance = (a: string, b: string): number => {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i])
  for (let j = 0; j <= b.length; j++) rows[0]![j] = j
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwap ? rows[i - 2]![j - 2]! + 1 : Number.POSITIVE_INFINITY
      rows[i]![j] = Math.min(replaced, swapped, rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1)
    }
  }
  return rows[a.length]![b.length]!
}

/** The choice that is most like a word, if one is: at most a third of it differs, or it is the beginning. @internal */
export const nearest = (word: string, choices: ReadonlyArray<string>): string | undefined => {
  const begun = choices.filter((choice) => word.length > 1 && choice.startsWith(word))
  if (begun.length === 1) return begun[0]
  const limit = Math.max(1, Math.floor(word.length / 3))
  return choices
    .map((choice) => [distance(word.slice(0, 40).toLowerCase(), choice), choice] as const)
    .filter(([count]) => count <= limit)
    .sort(([a], [b]) => a - b)[0]?.[1]
}
