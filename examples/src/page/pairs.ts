/** One's own pairs of a prompt and its answer, as lines of a text. */
import * as Either from "effect/Either"

export interface Pair {
  readonly prompt: string
  readonly answer: string
}

const mostPairs = 500
const longestPair = 200
const fewest = 2

const parseLine = (line: string, number: number): Either.Either<Pair, string> => {
  const at = line.indexOf("=>")
  const prompt = line.slice(0, Math.max(at, 0)).trim()
  const answer = line.slice(at + 2).trim()
  if (at < 0) return Either.left(`Line ${number} has no “=>” between the prompt and its answer.`)
  if (prompt === "" || answer === "") return Either.left(`Line ${number} has nothing on one side of “=>”.`)
  if (line.length > longestPair) return Either.left(`Line ${number} is longer than ${longestPair} characters.`)
  return Either.right({ prompt, answer })
}

/** The pairs of the lines that are not empty; on the left, the first line that is none and why. */
export const parse = (text: string): Either.Either<ReadonlyArray<Pair>, string> => {
  const pairs: Array<Pair> = []
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue
    const parsed = parseLine(line, i + 1)
    if (Either.isLeft(parsed)) return Either.left(parsed.left)
    pairs.push(parsed.right)
    if (pairs.length > mostPairs) return Either.left(`These are more than ${mostPairs} pairs.`)
  }
  return pairs.length < fewest ? Either.left(`Write at least ${fewest} pairs, one a line.`) : Either.right(pairs)
}

/** How a prompt is given to the model. */
export const promptOf = (text: string): string => `${text.trim()} ->`

/** How many of one's own pairs are asked before and after. */
const asked = 8

/** The pairs as the program reads its data. The first ones are asked as well, although the model has seen them. */
export const toJsonLines = (pairs: ReadonlyArray<Pair>): string => {
  const line = ({ answer, prompt }: Pair, split: string) =>
    JSON.stringify({ prompt: promptOf(prompt), completion: ` ${answer}\n`, split })
  const seen = pairs.slice(0, asked).map((pair) => line(pair, "test"))
  return [...pairs.map((pair) => line(pair, "train")), ...seen].join("\n")
}
