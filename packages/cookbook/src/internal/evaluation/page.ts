/** An evaluation as one page of HTML, with the answers to read. All texts from outside are escaped, and nothing runs. */
import type { Comparison, Outcome, Result } from "./model.ts"

const escapes: { readonly [char: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

// what a terminal would act upon, or reorders a line, is shown as a box
// oxlint-disable-next-line no-control-regex
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** A text that is nothing but text in a page. */
const text = (value: string): string => value.replace(/[&<>"']/g, (char) => escapes[char]!).replace(unseen, "\u25a1")

const share = (value: number): string => `${(value * 100).toFixed(1)} %`

const style = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: .1rem .8rem .1rem 0; text-align: left }
details { border-top: 1px solid #ddd; padding: .4rem 0 } summary { cursor: pointer }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f5; padding: .5rem; margin: .3rem 0 }
.score { display: inline-block; min-width: 4.5rem; font-weight: 600 } .wrong { color: #a11 } .right { color: #171 }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818 } pre { background: #252525 } details { border-color: #444 }
  .wrong { color: #f77 } .right { color: #7d7 }
}`

const row = (name: string, value: string): string => `<tr><th>${text(name)}</th><td>${text(value)}</td></tr>`

const scoreOf = ({ samples }: Outcome): number =>
  samples.length === 0 ? 0 : samples.reduce((sum, { score }) => sum + score, 0) / samples.length

const scoreMark = (score: number): string =>
  `<span class="score ${score >= 0.5 ? "right" : "wrong"}">${text(share(score))}</span>`

const answersOf = ({ error, samples }: Outcome): string =>
  error === undefined
    ? samples
        .map(({ score, stop_reason, text: answer }) => {
          const cut = stop_reason === "stop" ? "" : ` (${text(stop_reason)})`
          return `<p>${scoreMark(score)}${cut}</p><pre>${text(answer)}</pre>`
        })
        .join("")
    : `<p class="wrong">no answer</p><pre>${text(error)}</pre>`

/** The first line of a text, to find a problem by. */
const headline = (input: string): string => {
  const line = input.trim().split("\n", 1)[0]!
  return line.length > 100 ? `${line.slice(0, 100)}…` : line
}

const problem = (
  outcome: Outcome,
  other: { readonly model: string; readonly outcome: Outcome } | undefined
): string => {
  const { id, input, target } = outcome
  const second = other === undefined ? "" : `<h4>${text(other.model)}</h4>${answersOf(other.outcome)}`
  const marks = `${scoreMark(scoreOf(outcome))}${other === undefined ? "" : scoreMark(scoreOf(other.outcome))}`
  return (
    `<details><summary>${marks}${text(headline(input))}</summary><p>${text(id)}</p><pre>${text(input)}</pre>` +
    (target === undefined ? "" : `<p>Right answer</p><pre>${text(target)}</pre>`) +
    `<h4>Answers</h4>${answersOf(outcome)}${second}</details>`
  )
}

const numbersOf = (result: Result): string => {
  const { accuracy, errors, interval, model, outcomes, passAt, samples } = result
  return [
    row("model", model),
    row("problems", `${outcomes.length}, ${samples} ${samples === 1 ? "answer" : "answers"} each`),
    row("score", `${share(accuracy)} (95 %: ${interval.map(share).join(" to ")})`),
    ...Object.entries(passAt).map(([k, value]) => row(`pass@${k}`, share(value))),
    ...(errors === 0 ? [] : [row("without an answer", String(errors))])
  ].join("")
}

const comparisonOf = ({ better, difference, interval, p, problems, worse }: Comparison): string =>
  `<table>${[
    row("difference", `${share(difference)} (95 %: ${interval.map(share).join(" to ")})`),
    row("better, worse", `${better}, ${worse} of ${problems}`),
    row("p of the sign test", p.toPrecision(3))
  ].join("")}</table>`

/** What differs most comes first, or what went worst. */
const order = (first: Outcome, second: Outcome | undefined): number =>
  second === undefined ? scoreOf(first) : -Math.abs(scoreOf(second) - scoreOf(first))

/** @internal */
export const toPage = (
  result: Result,
  {
    limit,
    other
  }: {
    readonly limit: number
    readonly other: { readonly result: Result; readonly comparison: Comparison } | undefined
  }
): string => {
  const others = new Map(other?.result.outcomes.map((outcome) => [outcome.id, outcome] as const))
  const sorted = result.outcomes
    .map((outcome) => [outcome, others.get(outcome.id)] as const)
    .sort((a, b) => order(...a) - order(...b))
  const left = sorted.length - limit
  const problems = sorted
    .slice(0, limit)
    .map(([outcome, second]) =>
      problem(
        outcome,
        second === undefined || other === undefined ? undefined : { model: other.result.model, outcome: second }
      )
    )
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${text(result.name)}</title><style>${style}</style></head><body>
<h1>${text(result.name)}</h1>
<table>${numbersOf(result)}</table>
${other === undefined ? "" : `<h2>Against</h2><table>${numbersOf(other.result)}</table>${comparisonOf(other.comparison)}`}
<h2>Problems</h2>
${problems.join("\n")}
${left > 0 ? `<p>${left} more are not on this page.</p>` : ""}
</body></html>
`
}
