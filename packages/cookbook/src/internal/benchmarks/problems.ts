/** Rows of benchmarks as problems. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Problem } from "../evaluation/model.ts"
import { hasAnswer, lastChoice, lastNumber } from "./answers.ts"

/** A problem before it is rendered for a model. @internal */
export interface Question {
  readonly input: string
  readonly target: string
  /** from 0 to 1 */
  readonly grade: (text: string) => number
}

/** Where a benchmark is on the hub, and how its rows read. @internal */
export interface Source<A, I> {
  readonly repo: string
  readonly config: string | undefined
  readonly split: string
  readonly schema: Schema.Schema<A, I>
  readonly questionOf: (row: A) => Question
}

const boxSuffix = "Write your answer in \\boxed{} format."

const source = <A, I>(given: Source<A, I>): Source<A, I> => given

/** @internal */
export const gsm8k = source({
  repo: "openai/gsm8k",
  config: "main",
  split: "test",
  schema: Schema.Struct({ question: Schema.NonEmptyString, answer: Schema.NonEmptyString }),
  questionOf: ({ answer, question }) => {
    // the solution comes first, the number behind it
    const target = answer.slice(answer.lastIndexOf("####") + 4).trim()
    const right = lastNumber(target)
    return {
      input: `${question} ${boxSuffix}`,
      target,
      grade: (text) => (right !== undefined && lastNumber(text) === right ? 1 : 0)
    }
  }
})

/** @internal */
export const math500 = source({
  repo: "HuggingFaceH4/MATH-500",
  config: undefined,
  split: "test",
  schema: Schema.Struct({ problem: Schema.NonEmptyString, answer: Schema.NonEmptyString }),
  questionOf: ({ answer, problem }) => ({
    input: `${problem} ${boxSuffix}`,
    target: answer,
    grade: (text) => (hasAnswer(text, answer) ? 1 : 0)
  })
})

const choose = (
  question: string,
  choices: ReadonlyArray<{ readonly label: string; readonly text: string }>,
  target: string
): Question => ({
  input:
    `${question}\n\n${choices.map(({ label, text }) => `${label}. ${text}`).join("\n")}\n\n` +
    "Write the letter of the right answer in \\boxed{} format.",
  target,
  grade: (text) =>
    lastChoice(
      text,
      choices.map(({ label }) => label)
    ) === target
      ? 1
      : 0
})

/** @internal */
export const mmlu = source({
  repo: "cais/mmlu",
  config: "all",
  split: "test",
  schema: Schema.Struct({
    question: Schema.NonEmptyString,
    choices: Schema.Array(Schema.String).pipe(Schema.itemsCount(4)),
    answer: Schema.Union(Schema.Number, Schema.BigIntFromSelf)
  }),
  questionOf: ({ answer, choices, question }) =>
    choose(
      question,
      choices.map((text, i) => ({ label: "ABCD"[i]!, text })),
      "ABCD"[Number(answer)] ?? "none"
    )
})

/** @internal */
export const arcChallenge = source({
  repo: "allenai/ai2_arc",
  config: "ARC-Challenge",
  split: "test",
  schema: Schema.Struct({
    question: Schema.NonEmptyString,
    choices: Schema.Struct({ text: Schema.Array(Schema.String), label: Schema.Array(Schema.String) }).pipe(
      Schema.filter(({ label, text }) => label.length === text.length, { message: () => "has as many labels as texts" })
    ),
    answerKey: Schema.NonEmptyString
  }),
  questionOf: ({ answerKey, choices, question }) =>
    choose(
      question,
      choices.text.map((text, i) => ({ label: choices.label[i]!, text })),
      answerKey
    )
})

/** @internal */
export const toProblem = <E, R>(
  { grade, input, target }: Question,
  render: (question: string) => Effect.Effect<Problem["prompt"], E, R> | Problem["prompt"]
): Effect.Effect<Problem, E, R> => {
  const prompt = render(input)
  return Effect.map(Effect.isEffect(prompt) ? prompt : Effect.succeed(prompt), (prompt) => ({
    prompt,
    input,
    target,
    grade: ({ text }) => grade(text)
  }))
}
